// Numbers that never recur: leased from `C` and synced before the first use; a lease is never
// resumed in the middle.
#include <algorithm>

#include "base/coding.h"
#include "format/keys.h"
#include "meta/owner_impl.h"

namespace shoal::meta {
namespace {

constexpr uint64_t kInoLease = uint64_t{1} << 20;
constexpr uint32_t kRunMax = 4096;
constexpr size_t kRunsMax = 20'000;  // beyond it runs are given up: numbers are plenty

}  // namespace

// REQUIRES lease_mutex_. The value of C is the first number that was never given away.
Result<uint64_t> Owner::lease(const std::string& counter, uint64_t count) {
  const std::string key = format::counter_key(counter);
  TRY_ASSIGN(auto found, engine_.get(nullptr, key));
  uint64_t first = counter == "ino" ? kRootIno + 1 : 1;
  if (found) {
    TRY_ASSIGN(const int64_t stored, engine::decode_counter(found->value));
    first = static_cast<uint64_t>(stored);
  }
  Change change(stamps_);
  std::string next = engine::encode_counter(static_cast<int64_t>(first + count));
  if (found) {
    change.batch().update(key, std::move(next), found->stamp);
  } else {
    change.batch().insert(key, std::move(next));
  }
  TRY(commit(change));
  TRY(engine_.sync());
  return first;
}

Result<uint64_t> Owner::new_number(const std::string& counter) {
  MutexLock lock(lease_mutex_);
  return lease(counter, 1);
}

void Owner::forget_run(Ino directory) {
  MutexLock lock(alloc_mutex_);
  runs_.erase(directory);
}

Result<Ino> Owner::new_ino(Ino parent) {
  for (;;) {
    {
      MutexLock lock(alloc_mutex_);
      Run& run = runs_[parent];
      if (run.next < run.end) return run.next++;
      if (lease_next_ < lease_end_) {
        const uint64_t size = std::min<uint64_t>(run.size, lease_end_ - lease_next_);
        run.next = lease_next_;
        run.end = lease_next_ + size;
        lease_next_ += size;
        run.size = std::min(run.size * 2, kRunMax);
        const Ino ino = run.next++;
        if (runs_.size() > kRunsMax) runs_.clear();
        return ino;
      }
    }
    MutexLock leasing(lease_mutex_);
    {
      MutexLock lock(alloc_mutex_);
      if (lease_next_ < lease_end_) continue;
    }
    TRY_ASSIGN(const uint64_t first, lease("ino", kInoLease));
    if (first + kInoLease - 1 > kInoMax) return error(ENOSPC, "all inode numbers are used up");
    MutexLock lock(alloc_mutex_);
    lease_next_ = first;
    lease_end_ = first + kInoLease;
  }
}

}  // namespace shoal::meta
