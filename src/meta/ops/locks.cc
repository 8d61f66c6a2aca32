// Locks.
#include "meta/owner_impl.h"

namespace shoal::meta {

Result<Lock> Owner::lock_get(const Request&, Ino, const Lock&) { return Error(ENOSYS); }
Status Owner::lock_set(const Request&, Ino, const Lock&) { return Error(ENOSYS); }
uint64_t Owner::lock_wait(const Request&, Ino, const Lock&, std::function<void(Status)> done) {
  done(Error(ENOSYS));
  return 0;
}
void Owner::lock_cancel(uint64_t) {}
void Owner::release_posix_locks(const Request&, Ino, uint64_t) {}
void Owner::release_handle_locks(const Request&, Ino, uint64_t) {}
void Owner::drop_session_locks(SessionId) {}

}  // namespace shoal::meta
