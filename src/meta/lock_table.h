// LockTable: flock(2), POSIX record locks and OFD locks of one volume: granted ones, queued ones,
// deadlocks. Pure bookkeeping: no engine, no threads. Source: POSIX.1-2017 fcntl, Linux
// fcntl_locking(2), flock(2).
//
// POSIX and OFD locks are ranges that conflict with each other when owners differ; flock locks are
// a world of their own. Who a lock belongs to is (session, owner). The `handle` that took a lock
// drops it when it is released: by then every process that could hold it has closed it, so that
// this also frees OFD locks, which close(2) does not name.
//
// Thread-safe. Callbacks run on the thread that made the grant possible, after every internal lock
// was dropped.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "format/locks.h"
#include "meta/types.h"
#include "sys/mutex.h"

namespace shoal::meta {

class LockTable {
 public:
  using Done = std::function<void(Status)>;
  static constexpr size_t kWaitersMax = 100'000;  // over all inodes; beyond: ENOLCK
  static constexpr size_t kLocksPerInodeMax =
      100'000;  // granted ranges of one inode; beyond: ENOLCK

  // The first lock in the way of `wanted`, or one of type kUnlock.
  Lock get(SessionId session, Ino ino, const Lock& wanted);
  // EAGAIN when another owner is in the way; kUnlock always succeeds. EINVAL when the range is
  // empty.
  Status set(SessionId session, Ino ino, const Lock& wanted);
  // Grants now or queues; `done` runs exactly once: ok, EDEADLK (POSIX only), ENOLCK, EINTR after
  // cancel. Returns a ticket for cancel, 0 when `done` has run already.
  uint64_t wait(SessionId session, Ino ino, const Lock& wanted, Done done);
  void cancel(uint64_t ticket);  // no effect when it was granted meanwhile

  void release_owner(SessionId session, Ino ino,
                     uint64_t owner);  // close(2): POSIX locks of the owner
  void release_handle(SessionId session, Ino ino,
                      uint64_t handle);     // RELEASE: everything the handle took
  void release_session(SessionId session);  // waiters of it hear EINTR

  size_t granted_count();  // for status and tests
  std::vector<format::HeldLock> held(Ino ino);
  std::vector<Ino> inodes_of(SessionId session);  // on which it holds a lock

 private:
  struct Owner {
    SessionId session = 0;
    uint64_t owner = 0;
    auto operator<=>(const Owner&) const = default;
  };
  struct Held {
    Owner owner;
    Lock lock;
  };
  struct Waiter {
    uint64_t ticket = 0;
    Ino ino = 0;
    Owner owner;
    Lock lock;
    Done done;
  };
  struct Inode {
    std::vector<Held> ranges;  // POSIX and OFD, sorted by start
    std::vector<Held> flocks;
    std::list<Waiter> waiters;  // in order of arrival
  };
  using Ready = std::vector<std::pair<Done, Status>>;

  static bool in_the_way(const Held& held, const Owner& owner, const Lock& wanted);
  static const Held* conflict(const Inode& inode, const Owner& owner, const Lock& wanted);
  static void apply(Inode& inode, const Owner& owner, const Lock& wanted);
  static void apply_range(std::vector<Held>& ranges, const Owner& owner, const Lock& wanted);
  Status try_grant(Inode& inode, const Owner& owner, const Lock& wanted) REQUIRES(mutex_);
  bool would_deadlock(const Owner& asker, const Inode& inode, const Lock& wanted) REQUIRES(mutex_);
  void wake(Ino ino, Ready& ready) REQUIRES(mutex_);
  template <typename Goes>
  void drop(Ino ino, const Goes& goes, Ready& ready) REQUIRES(mutex_);
  void forget_if_empty(Ino ino) REQUIRES(mutex_);
  static void run(Ready& ready);

  Mutex mutex_;
  std::unordered_map<Ino, Inode> inodes_ GUARDED_BY(mutex_);
  std::unordered_map<uint64_t, Ino> tickets_ GUARDED_BY(mutex_);
  std::map<Owner, Ino> waiting_posix_
      GUARDED_BY(mutex_);  // one request of a thread; the last one is what is walked
  uint64_t next_ticket_ GUARDED_BY(mutex_) = 1;
};

}  // namespace shoal::meta
