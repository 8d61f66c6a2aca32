// Sessions and stores.
#include <algorithm>

#include "engine/for_each.h"
#include "format/keys.h"
#include "meta/owner_impl.h"

namespace shoal::meta {

Result<SessionId> Owner::begin_session(const std::string& host, const std::string& description,
                                       bool outlives_owner) {
  TRY(healthy());
  TRY_ASSIGN(const SessionId session, new_number("session"));
  if (outlives_owner) {
    MutexLock lock(sessions_mutex_);
    outliving_.insert(session);
  }
  Change change(stamps_);
  change.batch().insert(format::session_key(session),
                        format::encode_session({host, description, now(), outlives_owner}));
  TRY(commit(change));
  session_began(session);
  return session;
}

Result<SessionId> Owner::session_open(const std::string& host, const std::string& description) {
  return begin_session(host, description, /*outlives_owner=*/false);
}

Result<SessionId> Owner::open_kept_session(const std::string& host,
                                           const std::string& description) {
  return begin_session(host, description, /*outlives_owner=*/true);
}

bool Owner::outlives_owner(SessionId session) const {
  MutexLock lock(sessions_mutex_);
  return outliving_.contains(session);
}

std::vector<KeptSession> Owner::kept_sessions() { return kept_; }

void Owner::session_returned(SessionId session, const std::vector<HeldOpen>& opens) {
  for (const HeldOpen& held : opens) {
    for (uint64_t i = 0; i < held.reads + held.writes; ++i)
      opens_.add(held.ino, session, /*write=*/i >= held.reads);
  }
}

Status Owner::session_close(SessionId session) {
  TRY(healthy());
  session_ended(session);
  drop_session_locks(session);
  {
    MutexLock lock(sessions_mutex_);
    outliving_.erase(session);
  }
  for (const Ino ino : opens_.of_session(session)) {
    if (opens_.drop_all(ino, session)) finish_orphan(ino);
  }
  {
    MutexLock lock(space_mutex_);
    if (const auto it = grants_.find(session); it != grants_.end()) {
      granted_ -= it->second;
      grants_.erase(it);
    }
  }
  const std::string key = format::session_key(session);
  TRY_ASSIGN(const auto found, engine_.get(nullptr, key));
  if (!found) return {};
  Change change(stamps_);
  change.batch().erase(key, found->stamp);
  return commit(change);
}

Result<uint32_t> Owner::store_open(SessionId /*session*/, const Uuid& store,
                                   const std::string& host, const std::string& path, uint64_t nonce,
                                   const std::string& address) {
  TRY(healthy());
  const std::string key = format::store_key(store);
  uint32_t number = 0;
  MutexLock lock(lease_mutex_);  // two opens of one store must not draw two numbers
  TRY_ASSIGN(const auto found, engine_.get(nullptr, key));
  format::StoreRecord record;
  if (found) {
    TRY_ASSIGN(record, format::decode_store(found->value));
  } else {
    TRY_ASSIGN(const uint64_t fresh, lease("store", 1));
    record.number = static_cast<uint32_t>(fresh);
  }
  number = record.number;
  record.host = host;
  record.path = path;
  record.address = address;
  constexpr size_t kNoncesMax = 4096;
  if (record.nonces.size() >= kNoncesMax) record.nonces.erase(record.nonces.begin());
  if (std::find(record.nonces.begin(), record.nonces.end(), nonce) == record.nonces.end()) {
    record.nonces.push_back(nonce);
  }
  Change change(stamps_);
  if (found) {
    change.batch().update(key, format::encode_store(record), found->stamp);
  } else {
    change.batch().insert(key, format::encode_store(record));
  }
  TRY(commit(change));
  TRY(sync());
  note_store(record);
  return number;
}

void Owner::note_store(format::StoreRecord record) {
  MutexLock lock(stores_mutex_);
  record.nonces.clear();
  stores_[record.number] = std::move(record);
}

// Only store_open changes `H`, so what was read once stays right.
Result<std::optional<format::StoreRecord>> Owner::store_of(uint32_t number) {
  for (const bool read : {false, true}) {
    if (read) {
      const auto visit = [&](const engine::Item& item) -> Result<engine::Visit> {
        TRY_ASSIGN(format::StoreRecord record, format::decode_store(item.value));
        MutexLock lock(stores_mutex_);
        record.nonces.clear();
        stores_.try_emplace(record.number, std::move(record));  // never over a newer one
        return engine::Visit::kContinue;
      };
      TRY(engine::for_each_with(engine_, nullptr, format::store_prefix(), visit));
    }
    MutexLock lock(stores_mutex_);
    if (const auto it = stores_.find(number); it != stores_.end()) return std::optional(it->second);
  }
  return std::optional<format::StoreRecord>();
}

}  // namespace shoal::meta
