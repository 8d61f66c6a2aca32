#include "engine/engine.h"

#include "base/coding.h"

namespace shoal::engine {

void Batch::merge_add(std::string key, int64_t delta) {
  add({Write::Kind::kMergeAdd, std::move(key), encode_counter(delta), 0, 0});
}

void Batch::merge_max(std::string key, int64_t value) {
  add({Write::Kind::kMergeMax, std::move(key), encode_counter(value), 0, 0});
}

std::string encode_counter(int64_t value) {
  std::string bytes;
  Encoder(bytes).le64(static_cast<uint64_t>(value));
  return bytes;
}

Result<int64_t> decode_counter(std::string_view value) {
  if (value.size() != sizeof(int64_t)) {
    return error(EBADMSG, "a counter of {} bytes instead of {}", value.size(), sizeof(int64_t));
  }
  return static_cast<int64_t>(Decoder(value).le64());
}

Result<int64_t> read_counter(KvEngine& engine, const ReadToken* token, std::string_view key) {
  TRY_ASSIGN(const std::optional<Versioned> found, engine.get(token, key));
  if (!found.has_value()) return 0;
  return decode_counter(found->value);
}

std::string prefix_end(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && end.back() == '\xff') end.pop_back();
  if (!end.empty()) end.back() = static_cast<char>(static_cast<uint8_t>(end.back()) + 1);
  return end;
}

}  // namespace shoal::engine
