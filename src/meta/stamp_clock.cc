#include "meta/stamp_clock.h"

#include <algorithm>

#include "base/check.h"

namespace shoal::meta {

StampClock::StampClock(uint64_t epoch)
    : next_((epoch << kStampSequenceBits) + 1), committed_(next_ - 1), synced_(next_ - 1) {
  CHECK(epoch > 0 && epoch < (uint64_t{1} << (64 - kStampSequenceBits)));
}

Stamp StampClock::begin() {
  MutexLock lock(mutex_);
  const Stamp stamp = next_++;
  in_flight_.push_back(stamp);
  return stamp;
}

void StampClock::end(Stamp stamp, bool committed) {
  MutexLock lock(mutex_);
  const auto it = std::lower_bound(in_flight_.begin(), in_flight_.end(), stamp);
  CHECK(it != in_flight_.end() && *it == stamp);
  in_flight_.erase(it);
  if (committed) committed_ = std::max(committed_, stamp);
}

Stamp StampClock::committed() const {
  MutexLock lock(mutex_);
  return committed_;
}

Stamp StampClock::settled() const {
  MutexLock lock(mutex_);
  return in_flight_.empty() ? next_ - 1 : in_flight_.front() - 1;
}

void StampClock::synced(Stamp stamp) {
  MutexLock lock(mutex_);
  synced_ = std::max(synced_, stamp);
}

Stamp StampClock::synced() const {
  MutexLock lock(mutex_);
  return synced_;
}

}  // namespace shoal::meta
