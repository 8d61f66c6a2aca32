// How one open file is being read: decides how far to read ahead (design §6.3).
#pragma once

#include <algorithm>
#include <cstdint>

#include "sys/mutex.h"

namespace shoal::data {

// Thread-safe. The kernel sends the pieces of one read-ahead window to several threads at once, so
// requests may arrive a little out of order and still are one stream.
class ReadPattern {
 public:
  static constexpr uint64_t kWindowFirst = 1 << 20;
  static constexpr uint64_t kSlack = 4 << 20;  // how far out of order a stream's request may be

  // Notes a read of [offset, offset + length). Returns how far behind it to read ahead: 0 unless
  // this is a stream.
  uint64_t note(uint64_t offset, uint64_t length, uint64_t window_max) {
    MutexLock lock(mutex_);
    const uint64_t distance = offset > next_ ? offset - next_ : next_ - offset;
    const bool stream = known_ && distance <= kSlack;
    known_ = true;
    if (!stream) {
      window_ = 0;
      next_ = offset + length;
      ahead_to_ = 0;
      return 0;
    }
    next_ = std::max(next_, offset + length);
    advanced_ += length;
    if (window_ == 0) {
      window_ = std::min(kWindowFirst, window_max);
      advanced_ = 0;
    } else if (advanced_ >= window_ / 2) {  // double once half of the window was really used
      window_ = std::min(window_ * 2, window_max);
      advanced_ = 0;
    }
    return window_;
  }

  // Up to here everything was asked for ahead. Each part of a file is looked at once.
  uint64_t ahead_to() const {
    MutexLock lock(mutex_);
    return ahead_to_;
  }
  void set_ahead_to(uint64_t offset) {
    MutexLock lock(mutex_);
    ahead_to_ = std::max(ahead_to_, offset);
  }

 private:
  mutable Mutex mutex_;
  bool known_ GUARDED_BY(mutex_) = false;
  uint64_t next_ GUARDED_BY(mutex_) = 0;  // end of the furthest read of the stream
  uint64_t window_ GUARDED_BY(mutex_) = 0;
  uint64_t advanced_ GUARDED_BY(mutex_) = 0;  // bytes read since the window last changed
  uint64_t ahead_to_ GUARDED_BY(mutex_) = 0;
};

}  // namespace shoal::data
