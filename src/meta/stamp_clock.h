// StampClock: draws stamps (epoch << 40 | sequence) and knows up to which one all is settled,
// though commits overlap. Thread-safe.
#pragma once

#include <vector>

#include "base/ids.h"
#include "sys/mutex.h"

namespace shoal::meta {

class StampClock {
 public:
  // Stamps of `epoch` above sequence 0. REQUIRES epoch < 2^24.
  explicit StampClock(uint64_t epoch);

  // A stamp greater than all before; in flight until end().
  Stamp begin();
  void end(Stamp stamp, bool committed);

  Stamp committed() const;  // the greatest that was committed
  // Everything with a stamp ≤ settled() was committed or given up before this call.
  Stamp settled() const;
  // To be called when an engine sync that began after settled() had answered `stamp` succeeded.
  void synced(Stamp stamp);
  Stamp synced() const;

 private:
  mutable Mutex mutex_;
  Stamp next_ GUARDED_BY(mutex_);
  Stamp committed_ GUARDED_BY(mutex_);
  Stamp synced_ GUARDED_BY(mutex_);
  std::vector<Stamp> in_flight_ GUARDED_BY(mutex_);  // ascending; as many as operations under way
};

}  // namespace shoal::meta
