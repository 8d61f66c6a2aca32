// flock(2), POSIX and OFD locks: kept in memory by the owner, and in `K` when their session
// outlives it.
#include "format/locks.h"

#include "base/log.h"
#include "format/keys.h"
#include "meta/owner_impl.h"

namespace shoal::meta {

Result<Lock> Owner::lock_get(const Request& request, Ino ino, const Lock& wanted) {
  TRY(healthy());
  return locks_.get(request.session, ino, wanted);
}

Status Owner::lock_set(const Request& request, Ino ino, const Lock& wanted) {
  TRY(healthy());
  TRY(locks_.set(request.session, ino, wanted));
  keep_locks(request.session, ino);
  return {};
}

uint64_t Owner::lock_wait(const Request& request, Ino ino, const Lock& wanted,
                          std::function<void(Status)> done) {
  if (Status well = healthy(); !well.ok()) {
    done(std::move(well));
    return 0;
  }
  const auto granted = [this, session = request.session, ino,
                        done = std::move(done)](const Status& status) {
    if (status.ok()) keep_locks(session, ino);
    done(status);
  };
  return locks_.wait(request.session, ino, wanted, granted);
}

void Owner::lock_cancel(uint64_t ticket) { locks_.cancel(ticket); }

void Owner::release_posix_locks(const Request& request, Ino ino, uint64_t owner) {
  locks_.release_owner(request.session, ino, owner);
  keep_locks(request.session, ino);
}

void Owner::release_handle_locks(const Request& request, Ino ino, uint64_t handle) {
  locks_.release_handle(request.session, ino, handle);
  keep_locks(request.session, ino);
}

void Owner::drop_session_locks(SessionId session) {
  const std::vector<Ino> held = locks_.inodes_of(session);
  locks_.release_session(session);
  for (const Ino ino : held) keep_locks(session, ino);
}

void Owner::keep_locks(SessionId session, Ino ino) {
  if (!outlives_owner(session)) return;
  MutexLock lock(keep_locks_mutex_);  // what is written last is what was so last
  std::vector<format::HeldLock> held = locks_.held(ino);
  std::erase_if(held, [this](const format::HeldLock& one) { return !outlives_owner(one.session); });
  const bool known = kept_locks_.contains(ino);
  if (held.empty() && !known) return;
  Change change(stamps_);
  if (held.empty()) {
    kept_locks_.erase(ino);
    change.batch().remove(format::locks_key(ino));
  } else {
    kept_locks_.insert(ino);
    change.batch().put(format::locks_key(ino), format::encode_locks(held));
  }
  if (const Status kept = commit(change); !kept.ok())
    log(LogLevel::kWarn, "locks of inode {}: {}", ino, kept.error().text());
}

}  // namespace shoal::meta
