#include "meta/lock_table.h"

#include <algorithm>
#include <set>

namespace shoal::meta {
namespace {

bool overlaps(const Lock& a, const Lock& b) { return a.start <= b.end && b.start <= a.end; }

std::vector<Lock> cut(const Lock& lock, const Lock& hole) {
  std::vector<Lock> pieces;
  if (lock.start < hole.start) {
    pieces.push_back(lock);
    pieces.back().end = hole.start - 1;
  }
  if (lock.end > hole.end) {
    pieces.push_back(lock);
    pieces.back().start = hole.end + 1;
  }
  return pieces;
}

}  // namespace

bool LockTable::in_the_way(const Held& held, const Owner& owner, const Lock& wanted) {
  if (held.owner == owner || !overlaps(held.lock, wanted)) return false;
  return held.lock.type == LockType::kWrite || wanted.type == LockType::kWrite;
}

const LockTable::Held* LockTable::conflict(const Inode& inode, const Owner& owner,
                                           const Lock& wanted) {
  if (wanted.type == LockType::kUnlock) return nullptr;
  const std::vector<Held>& held = wanted.kind == LockKind::kFlock ? inode.flocks : inode.ranges;
  for (const Held& one : held) {
    if (in_the_way(one, owner, wanted)) return &one;
  }
  return nullptr;
}

// The owner's locks inside the range give way to the new one; what sticks out stays; neighbours of
// one kind merge.
void LockTable::apply_range(std::vector<Held>& ranges, const Owner& owner, const Lock& wanted) {
  std::vector<Held> next;
  next.reserve(ranges.size() + 2);
  Held fresh{owner, wanted};
  for (const Held& held : ranges) {
    if (held.owner != owner) {
      next.push_back(held);
    } else if (!overlaps(held.lock, wanted)) {
      const bool same = held.lock.type == wanted.type && held.lock.handle == wanted.handle;
      if (same && held.lock.end != ~uint64_t{0} && held.lock.end + 1 == fresh.lock.start) {
        fresh.lock.start = held.lock.start;
      } else if (same && fresh.lock.end != ~uint64_t{0} && fresh.lock.end + 1 == held.lock.start) {
        fresh.lock.end = held.lock.end;
      } else {
        next.push_back(held);
      }
    } else if (held.lock.type == wanted.type && held.lock.handle == wanted.handle) {
      fresh.lock.start = std::min(fresh.lock.start, held.lock.start);
      fresh.lock.end = std::max(fresh.lock.end, held.lock.end);
    } else {
      for (const Lock& piece : cut(held.lock, wanted)) next.push_back({owner, piece});
    }
  }
  if (wanted.type != LockType::kUnlock) next.push_back(fresh);
  std::stable_sort(next.begin(), next.end(),
                   [](const Held& a, const Held& b) { return a.lock.start < b.lock.start; });
  ranges = std::move(next);
}

void LockTable::apply(Inode& inode, const Owner& owner, const Lock& wanted) {
  if (wanted.kind != LockKind::kFlock) return apply_range(inode.ranges, owner, wanted);
  std::erase_if(inode.flocks, [&](const Held& held) { return held.owner == owner; });
  if (wanted.type != LockType::kUnlock) inode.flocks.push_back({owner, wanted});
}

Status LockTable::try_grant(Inode& inode, const Owner& owner, const Lock& wanted) {
  if (wanted.start > wanted.end)
    return error(EINVAL, "lock range {} … {} is empty", wanted.start, wanted.end);
  // Converting a flock gives up the old one first, even if the new one is then refused (flock(2)).
  if (wanted.kind == LockKind::kFlock) {
    std::erase_if(inode.flocks, [&](const Held& held) {
      return held.owner == owner && held.lock.type != wanted.type;
    });
  }
  if (conflict(inode, owner, wanted) != nullptr) return Error(EAGAIN);
  if (wanted.type != LockType::kUnlock &&
      inode.ranges.size() + inode.flocks.size() >= kLocksPerInodeMax) {
    return error(ENOLCK, "more than {} locks on one inode", kLocksPerInodeMax);
  }
  apply(inode, owner, wanted);
  return {};
}

Lock LockTable::get(SessionId session, Ino ino, const Lock& wanted) {
  Lock free = wanted;
  free.type = LockType::kUnlock;
  MutexLock lock(mutex_);
  const auto it = inodes_.find(ino);
  if (it == inodes_.end()) return free;
  const Held* held = conflict(it->second, {session, wanted.owner}, wanted);
  return held == nullptr ? free : held->lock;
}

Status LockTable::set(SessionId session, Ino ino, const Lock& wanted) {
  Ready ready;
  Status result;
  {
    MutexLock lock(mutex_);
    result = try_grant(inodes_[ino], {session, wanted.owner}, wanted);
    wake(ino, ready);  // an unlock, a downgrade, or a flock given up for a conversion
    forget_if_empty(ino);
  }
  run(ready);
  return result;
}

// Follows "waits for": from the holders of what `asker` wants, over what those wait for, back to
// `asker`.
bool LockTable::would_deadlock(const Owner& asker, const Inode& inode, const Lock& wanted) {
  std::vector<Owner> todo;
  std::set<Owner> seen;
  auto add_holders = [&](const Inode& of, const Owner& owner, const Lock& what) {
    for (const Held& held : of.ranges) {
      if (in_the_way(held, owner, what) && seen.insert(held.owner).second)
        todo.push_back(held.owner);
    }
  };
  add_holders(inode, asker, wanted);
  while (!todo.empty()) {
    const Owner owner = todo.back();
    todo.pop_back();
    if (owner == asker) return true;
    const auto waiting = waiting_posix_.find(owner);
    if (waiting == waiting_posix_.end()) continue;
    const auto where = inodes_.find(waiting->second);
    if (where == inodes_.end()) continue;
    for (const Waiter& waiter : where->second.waiters) {
      if (waiter.owner != owner || waiter.lock.kind == LockKind::kFlock) continue;
      for (const Held& held : where->second.ranges) {
        if (!in_the_way(held, owner, waiter.lock)) continue;
        if (held.owner == asker) return true;
        if (seen.insert(held.owner).second) todo.push_back(held.owner);
      }
    }
  }
  return false;
}

uint64_t LockTable::wait(SessionId session, Ino ino, const Lock& wanted, Done done) {
  const Owner owner{session, wanted.owner};
  Ready ready;
  uint64_t ticket = 0;
  {
    MutexLock lock(mutex_);
    Inode& inode = inodes_[ino];
    Status granted = try_grant(inode, owner, wanted);
    if (granted.code() != EAGAIN) {
      ready.emplace_back(std::move(done), std::move(granted));
    } else if (wanted.kind == LockKind::kPosix && would_deadlock(owner, inode, wanted)) {
      ready.emplace_back(std::move(done), Error(EDEADLK));
    } else if (tickets_.size() >= kWaitersMax) {
      ready.emplace_back(std::move(done),
                         error(ENOLCK, "more than {} requests wait for locks", kWaitersMax));
    } else {
      ticket = next_ticket_++;
      inode.waiters.push_back({ticket, ino, owner, wanted, std::move(done)});
      tickets_.emplace(ticket, ino);
      if (wanted.kind == LockKind::kPosix) waiting_posix_[owner] = ino;
    }
    wake(ino, ready);
    forget_if_empty(ino);
  }
  run(ready);
  return ticket;
}

void LockTable::wake(Ino ino, Ready& ready) {
  const auto it = inodes_.find(ino);
  if (it == inodes_.end()) return;
  Inode& inode = it->second;
  for (auto waiter = inode.waiters.begin(); waiter != inode.waiters.end();) {
    Status granted = try_grant(inode, waiter->owner, waiter->lock);
    if (granted.code() == EAGAIN) {
      ++waiter;
      continue;
    }
    ready.emplace_back(std::move(waiter->done), std::move(granted));
    tickets_.erase(waiter->ticket);
    waiting_posix_.erase(waiter->owner);
    waiter = inode.waiters.erase(waiter);
  }
}

void LockTable::forget_if_empty(Ino ino) {
  const auto it = inodes_.find(ino);
  if (it == inodes_.end()) return;
  const Inode& inode = it->second;
  if (inode.ranges.empty() && inode.flocks.empty() && inode.waiters.empty()) inodes_.erase(it);
}

void LockTable::run(Ready& ready) {
  for (auto& [done, status] : ready) done(std::move(status));
}

void LockTable::cancel(uint64_t ticket) {
  Ready ready;
  {
    MutexLock lock(mutex_);
    const auto known = tickets_.find(ticket);
    if (known == tickets_.end()) return;
    const Ino ino = known->second;
    Inode& inode = inodes_[ino];
    for (auto waiter = inode.waiters.begin(); waiter != inode.waiters.end(); ++waiter) {
      if (waiter->ticket != ticket) continue;
      ready.emplace_back(std::move(waiter->done), Error(EINTR));
      waiting_posix_.erase(waiter->owner);
      inode.waiters.erase(waiter);
      break;
    }
    tickets_.erase(known);
    forget_if_empty(ino);
  }
  run(ready);
}

template <typename Goes>
void LockTable::drop(Ino ino, const Goes& goes, Ready& ready) {
  const auto it = inodes_.find(ino);
  if (it == inodes_.end()) return;
  std::erase_if(it->second.ranges, goes);
  std::erase_if(it->second.flocks, goes);
  wake(ino, ready);
  forget_if_empty(ino);
}

void LockTable::release_owner(SessionId session, Ino ino, uint64_t owner) {
  Ready ready;
  {
    MutexLock lock(mutex_);
    drop(
        ino,
        [&](const Held& held) {
          return held.owner == Owner{session, owner} && held.lock.kind == LockKind::kPosix;
        },
        ready);
  }
  run(ready);
}

void LockTable::release_handle(SessionId session, Ino ino, uint64_t handle) {
  Ready ready;
  {
    MutexLock lock(mutex_);
    drop(
        ino,
        [&](const Held& held) {
          return held.owner.session == session && held.lock.handle == handle;
        },
        ready);
  }
  run(ready);
}

void LockTable::release_session(SessionId session) {
  Ready ready;
  {
    MutexLock lock(mutex_);
    std::vector<Ino> inos;
    for (auto& [ino, inode] : inodes_) {
      inos.push_back(ino);
      for (auto waiter = inode.waiters.begin(); waiter != inode.waiters.end();) {
        if (waiter->owner.session != session) {
          ++waiter;
          continue;
        }
        ready.emplace_back(std::move(waiter->done), Error(EINTR));
        tickets_.erase(waiter->ticket);
        waiting_posix_.erase(waiter->owner);
        waiter = inode.waiters.erase(waiter);
      }
    }
    for (const Ino ino : inos) {
      drop(
          ino, [&](const Held& held) { return held.owner.session == session; }, ready);
    }
  }
  run(ready);
}

std::vector<format::HeldLock> LockTable::held(Ino ino) {
  MutexLock lock(mutex_);
  std::vector<format::HeldLock> all;
  const auto at = inodes_.find(ino);
  if (at == inodes_.end()) return all;
  for (const auto* list : {&at->second.ranges, &at->second.flocks}) {
    for (const Held& one : *list) {
      all.push_back({one.owner.session, static_cast<uint8_t>(one.lock.kind),
                     one.lock.type == LockType::kWrite, one.lock.start, one.lock.end,
                     one.owner.owner, one.lock.handle, one.lock.pid});
    }
  }
  return all;
}

std::vector<Ino> LockTable::inodes_of(SessionId session) {
  MutexLock lock(mutex_);
  std::vector<Ino> all;
  for (const auto& [ino, inode] : inodes_) {
    const auto is_its = [session](const Held& one) { return one.owner.session == session; };
    if (std::any_of(inode.ranges.begin(), inode.ranges.end(), is_its) ||
        std::any_of(inode.flocks.begin(), inode.flocks.end(), is_its))
      all.push_back(ino);
  }
  return all;
}

size_t LockTable::granted_count() {
  MutexLock lock(mutex_);
  size_t count = 0;
  for (const auto& [ino, inode] : inodes_) count += inode.ranges.size() + inode.flocks.size();
  return count;
}

}  // namespace shoal::meta
