// How one open file is being read: decides how far to read ahead (design §6.3).
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/ids.h"
#include "sys/mutex.h"

namespace shoal::data {

// A place in the bucket: byte `offset` of a segment.
struct ObjectPosition {
  SegmentId segment;
  uint64_t offset = 0;
};

// Thread-safe. The kernel sends the pieces of one read-ahead window to several threads at once, so
// pieces may arrive a little out of order and still are one stream.
class ReadPattern {
 public:
  static constexpr uint64_t kWindowFirst = 1 << 20;
  static constexpr uint64_t kSlack = 4 << 20;  // how far out of order a stream's piece may be

  // Notes a read of `length` bytes at `at`; `next_extent` is where the file goes on when this read
  // ended an extent. Returns the bytes to read ahead behind it: 0 unless this is a stream.
  uint64_t note(const ObjectPosition& at, uint64_t length, const ObjectPosition* next_extent,
                uint64_t window_max) {
    MutexLock lock(mutex_);
    const bool stream = near(at, next_) || near(at, other_);
    const ObjectPosition after{at.segment, at.offset + length};
    other_ = next_extent != nullptr ? *next_extent : after;
    if (!stream) {
      window_ = 0;
      next_ = after;
      return 0;
    }
    if (next_.segment != after.segment || after.offset > next_.offset) next_ = after;
    advanced_ += length;
    if (window_ == 0) {
      window_ = kWindowFirst;
      advanced_ = 0;
    } else if (advanced_ >= window_ / 2) {  // double once half of the window was really used
      window_ = std::min(window_ * 2, window_max);
      advanced_ = 0;
    }
    return window_;
  }

 private:
  static bool near(const ObjectPosition& at, const ObjectPosition& expected) {
    if (at.segment != expected.segment || at.segment.is_zero()) return false;
    const uint64_t distance =
        at.offset > expected.offset ? at.offset - expected.offset : expected.offset - at.offset;
    return distance <= kSlack;
  }

  Mutex mutex_;
  ObjectPosition next_ GUARDED_BY(mutex_);   // end of the furthest read of the stream
  ObjectPosition other_ GUARDED_BY(mutex_);  // start of the extent behind it
  uint64_t window_ GUARDED_BY(mutex_) = 0;
  uint64_t advanced_ GUARDED_BY(mutex_) = 0;  // bytes read since the window last changed
};

}  // namespace shoal::data
