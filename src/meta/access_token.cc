#include "meta/access_token.h"

#include "format/election.h"
#include "format/keys.h"

namespace shoal::meta {

Result<std::string> read_access_token(engine::KvEngine& engine) {
  TRY_ASSIGN(const auto found, engine.get(nullptr, format::access_token_key()));
  if (!found) return error(ENOENT, "the volume has no token yet; make one with shoal token");
  TRY_ASSIGN(format::AccessToken record, format::decode_access_token(found->value));
  return std::move(record.token);
}

Result<std::string> draw_access_token(engine::KvEngine& engine, Random& random, bool renew) {
  const std::string key = format::access_token_key();
  TRY_ASSIGN(const auto found, engine.get(nullptr, key));
  if (found && !renew) {
    TRY_ASSIGN(format::AccessToken record, format::decode_access_token(found->value));
    return std::move(record.token);
  }
  const Uuid halves[2] = {random.uuid(), random.uuid()};
  std::string token;
  for (const Uuid& half : halves) token += to_hex(std::as_bytes(std::span(half.bytes)));
  // The record is compared with nothing but itself: its stamps only need to differ.
  engine::Batch batch(found ? found->stamp + 1 : Stamp{1});
  if (found) {
    batch.update(key, format::encode_access_token({token}), found->stamp);
  } else {
    batch.insert(key, format::encode_access_token({token}));
  }
  TRY_ASSIGN(const engine::CommitResult result, engine.commit(batch));
  if (result.kind == engine::CommitResult::Kind::kConflict)
    return error(EBUSY, "somebody else draws a token for this volume just now; try again");
  if (result.kind == engine::CommitResult::Kind::kUnknown)
    return error(EIO, "the engine lost the reply; try again");
  TRY(engine.sync());
  return token;
}

}  // namespace shoal::meta
