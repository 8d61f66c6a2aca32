#include "engine/rocksdb/group_sync.h"

namespace shoal::engine {

Status GroupSync::run() {
  MutexLock lock(mutex_);
  const uint64_t wanted = begun_ + 1;  // one under way may have begun before the caller's write
  while (done_ < wanted) {
    if (failure_.has_value()) break;
    if (begun_ > done_) {
      ++waiting_;
      ended_.wait(mutex_);
      --waiting_;
      continue;
    }
    ++begun_;
    lock.unlock();
    const Status status = sync_();
    lock.lock();
    ++done_;
    if (!status.ok() && !failure_.has_value()) failure_ = status.error();
    ended_.notify_all();
  }
  if (failure_.has_value()) return *failure_;
  return {};
}

uint64_t GroupSync::waiting() {
  MutexLock lock(mutex_);
  return waiting_;
}

}  // namespace shoal::engine
