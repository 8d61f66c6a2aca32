// Locks: flock, POSIX and OFD, all kept by the owner. A blocking one is answered when it is
// granted, from whichever thread grants it; no thread waits for it here.
//
// The kernel does not say whether a record lock is POSIX or OFD. Both are passed on as POSIX with
// the handle that took them: FLUSH drops a process's locks by their owner, RELEASE whatever the
// handle still has, which are OFD locks.
#include <fcntl.h>

#include <algorithm>

#include "fuse/ops.h"

namespace shoal::fuse {
namespace {

Result<meta::Lock> lock_of(const fuse_lk_in& in, uint32_t pid) {
  meta::Lock lock;
  lock.kind = (in.lk_flags & FUSE_LK_FLOCK) != 0 ? meta::LockKind::kFlock : meta::LockKind::kPosix;
  switch (in.lk.type) {
    case F_RDLCK:
      lock.type = meta::LockType::kRead;
      break;
    case F_WRLCK:
      lock.type = meta::LockType::kWrite;
      break;
    case F_UNLCK:
      lock.type = meta::LockType::kUnlock;
      break;
    default:
      return Error(EINVAL);
  }
  if (in.lk.start > in.lk.end) return Error(EINVAL);
  if (lock.kind != meta::LockKind::kFlock) {
    lock.start = in.lk.start;
    lock.end = in.lk.end;
  }
  lock.owner = in.owner;
  lock.handle = in.fh;
  lock.pid = in.lk.pid != 0 ? in.lk.pid : pid;
  return lock;
}

}  // namespace

void Ops::getlk(const Request& request, const Reply& reply) {
  Arguments arguments(request.arguments);
  const auto in = arguments.fixed<fuse_lk_in>();
  const Result<meta::Lock> wanted = lock_of(in, request.pid);
  if (!arguments.ok() || !wanted.ok()) {
    reply.fail(EINVAL);
    return;
  }
  const Result<meta::Lock> held = client_.lock_get(caller(request), ino(request), *wanted);
  if (!held.ok()) {
    reply.fail(held.code());
    return;
  }
  fuse_lk_out out{};
  out.lk = in.lk;
  switch (held->type) {
    case meta::LockType::kUnlock:
      out.lk.type = F_UNLCK;
      break;
    case meta::LockType::kRead:
      out.lk.type = F_RDLCK;
      break;
    case meta::LockType::kWrite:
      out.lk.type = F_WRLCK;
      break;
  }
  if (held->type != meta::LockType::kUnlock) {
    out.lk.start = held->start;
    out.lk.end = held->end;
    out.lk.pid = held->pid;
  }
  reply.ok(out);
}

void Ops::setlk(const Request& request, const Reply& reply) {
  Arguments arguments(request.arguments);
  const auto in = arguments.fixed<fuse_lk_in>();
  const Result<meta::Lock> wanted = lock_of(in, request.pid);
  if (!arguments.ok() || !wanted.ok()) {
    reply.fail(EINVAL);
    return;
  }
  reply.status(client_.lock_set(caller(request), ino(request), *wanted));
}

void Ops::setlkw(const Request& request, const Reply& reply) {
  Arguments arguments(request.arguments);
  const auto in = arguments.fixed<fuse_lk_in>();
  const Result<meta::Lock> wanted = lock_of(in, request.pid);
  if (!arguments.ok() || !wanted.ok()) {
    reply.fail(EINVAL);
    return;
  }
  if (wanted->type == meta::LockType::kUnlock) {
    reply.status(client_.lock_set(caller(request), ino(request), *wanted));
    return;
  }
  const uint64_t unique = request.unique;
  {
    MutexLock lock(waits_mutex_);
    const bool interrupted = interrupted_early(unique);
    // With the interrupt known the request is still tried: the lock may be free.
    if (!waiting_locks_.try_emplace(unique, WaitingLock{0, interrupted}).second) {
      lock.unlock();
      reply.fail(EINVAL);  // the kernel never reuses a number
      return;
    }
  }
  const auto done = [this, unique, late = Reply(reply)](const Status& status) {
    late.status(status);
    MutexLock lock(waits_mutex_);  // last: the destructor waits for it
    waiting_locks_.erase(unique);
    locks_changed_.notify_all();
  };
  const uint64_t ticket = client_.lock_wait(caller(request), ino(request), *wanted, done);
  {
    MutexLock lock(waits_mutex_);
    const auto found = waiting_locks_.find(unique);
    if (found == waiting_locks_.end()) return;  // answered
    found->second.ticket = ticket;
    if (!found->second.interrupted) return;
  }
  client_.lock_cancel(ticket);
}

bool Ops::interrupted_early(uint64_t unique) {
  const auto early = std::find(early_interrupts_.begin(), early_interrupts_.end(), unique);
  if (early == early_interrupts_.end()) return false;
  early_interrupts_.erase(early);
  return true;
}

void Ops::begin_interruptible(uint64_t unique, std::atomic<bool>& given_up) {
  MutexLock lock(waits_mutex_);
  given_up = interrupted_early(unique);
  interruptible_[unique] = &given_up;
}

void Ops::end_interruptible(uint64_t unique) {
  MutexLock lock(waits_mutex_);
  interruptible_.erase(unique);
}

void Ops::interrupt(const Request& request) {
  Arguments arguments(request.arguments);
  const auto in = arguments.fixed<fuse_interrupt_in>();
  if (!arguments.ok()) return;
  uint64_t ticket = 0;
  {
    MutexLock lock(waits_mutex_);
    const auto found = waiting_locks_.find(in.unique);
    if (found == waiting_locks_.end()) {
      const auto flag = interruptible_.find(in.unique);
      if (flag != interruptible_.end()) {
        flag->second->store(true);
        return;
      }
      early_interrupts_.push_back(in.unique);
      if (early_interrupts_.size() > kEarlyInterruptsMax) early_interrupts_.pop_front();
      return;
    }
    found->second.interrupted = true;
    ticket = found->second.ticket;
  }
  if (ticket != 0) client_.lock_cancel(ticket);
}

Ops::~Ops() {
  std::vector<uint64_t> tickets;
  MutexLock lock(waits_mutex_);
  for (const auto& [unique, waiting] : waiting_locks_) tickets.push_back(waiting.ticket);
  lock.unlock();
  for (const uint64_t ticket : tickets) client_.lock_cancel(ticket);
  lock.lock();
  while (!waiting_locks_.empty()) locks_changed_.wait(waits_mutex_);
}

}  // namespace shoal::fuse
