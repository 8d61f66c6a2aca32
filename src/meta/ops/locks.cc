// flock(2), POSIX and OFD locks: kept in memory by the owner. (`K` records are for remote
// sessions.)
#include "meta/owner_impl.h"

namespace shoal::meta {

Result<Lock> Owner::lock_get(const Request& request, Ino ino, const Lock& wanted) {
  TRY(healthy());
  return locks_.get(request.session, ino, wanted);
}

Status Owner::lock_set(const Request& request, Ino ino, const Lock& wanted) {
  TRY(healthy());
  return locks_.set(request.session, ino, wanted);
}

uint64_t Owner::lock_wait(const Request& request, Ino ino, const Lock& wanted,
                          std::function<void(Status)> done) {
  if (Status well = healthy(); !well.ok()) {
    done(std::move(well));
    return 0;
  }
  return locks_.wait(request.session, ino, wanted, std::move(done));
}

void Owner::lock_cancel(uint64_t ticket) { locks_.cancel(ticket); }

void Owner::release_posix_locks(const Request& request, Ino ino, uint64_t owner) {
  locks_.release_owner(request.session, ino, owner);
}

void Owner::release_handle_locks(const Request& request, Ino ino, uint64_t handle) {
  locks_.release_handle(request.session, ino, handle);
}

void Owner::drop_session_locks(SessionId session) { locks_.release_session(session); }

}  // namespace shoal::meta
