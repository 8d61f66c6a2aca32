// What a new owner does before it answers anybody: it ends the sessions that died with the owner
// before, and keeps those that outlive owners, with what they hold.
#include <algorithm>

#include "engine/for_each.h"
#include "format/keys.h"
#include "format/locks.h"
#include "meta/owner_impl.h"

namespace shoal::meta {

Status Owner::take_over() {
  TRY(take_over_sessions());
  TRY(take_over_orphans());
  TRY(take_over_locks());
  return take_over_reclaim();
}

Status Owner::take_over_sessions() {
  std::vector<engine::Item> dead;
  const auto visit = [&](const engine::Item& item) -> Result<engine::Visit> {
    TRY_ASSIGN(const format::SessionRecord record, format::decode_session(item.value));
    TRY_ASSIGN(const SessionId session, format::parse_session_key(item.key));
    if (record.outlives_owner) {
      kept_.push_back({session, record.host, record.description});
      MutexLock lock(sessions_mutex_);
      outliving_.insert(session);
      sessions_.try_emplace(session);
    } else {
      dead.push_back(item);
    }
    return engine::Visit::kContinue;
  };
  TRY(engine::for_each_with(engine_, nullptr, "S", visit));
  for (size_t begin = 0; begin < dead.size(); begin += kPageEntriesMax) {
    Change change(stamps_);
    for (size_t i = begin; i < std::min(dead.size(), begin + kPageEntriesMax); ++i)
      change.batch().erase(dead[i].key, dead[i].stamp);
    TRY(commit(change));
  }
  return {};
}

// What dead sessions held without a name goes to the reclaimer, unless a living one holds it, too.
Status Owner::take_over_orphans() {
  std::vector<std::pair<engine::Item, Ino>> dead;
  const auto visit = [&](const engine::Item& item) -> Result<engine::Visit> {
    TRY_ASSIGN(const auto key, format::parse_open_unlinked_key(item.key));
    if (outlives_owner(key.first)) {
      // Not open yet: the session tells when it returns. (What it says to have released meanwhile
      // stays until it ends: a create that it has no answer to yet may be of that file.)
      (void)opens_.set_orphan(key.second, key.first, item.stamp);
    } else {
      dead.emplace_back(item, key.second);
    }
    return engine::Visit::kContinue;
  };
  TRY(engine::for_each_with(engine_, nullptr, "O", visit));
  for (size_t begin = 0; begin < dead.size(); begin += kPageEntriesMax) {
    Change change(stamps_);
    std::vector<Ino> queued;
    for (size_t i = begin; i < std::min(dead.size(), begin + kPageEntriesMax); ++i) {
      const auto& [item, ino] = dead[i];
      change.batch().erase(item.key, item.stamp);
      if (opens_.is_open(ino) || std::find(queued.begin(), queued.end(), ino) != queued.end())
        continue;
      queued.push_back(ino);
      change.reclaim(ino);
    }
    TRY(commit(change));
  }
  return {};
}

Status Owner::take_over_locks() {
  const auto visit = [&](const engine::Item& item) -> Result<engine::Visit> {
    TRY_ASSIGN(const Ino ino, format::parse_locks_key(item.key));
    TRY_ASSIGN(const std::vector<format::HeldLock> locks, format::decode_locks(item.value));
    {
      MutexLock lock(keep_locks_mutex_);
      kept_locks_.insert(ino);
    }
    for (const format::HeldLock& held : locks) {
      if (!outlives_owner(held.session)) continue;
      Lock lock;
      lock.kind = static_cast<LockKind>(held.kind);
      lock.type = held.write ? LockType::kWrite : LockType::kRead;
      lock.start = held.start;
      lock.end = held.end;
      lock.owner = held.owner;
      lock.handle = held.handle;
      lock.pid = held.pid;
      TRY(locks_.set(held.session, ino, lock));
    }
    return engine::Visit::kContinue;
  };
  return engine::for_each_with(engine_, nullptr, "K", visit);
}

}  // namespace shoal::meta
