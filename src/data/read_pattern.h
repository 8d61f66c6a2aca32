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
  // Reads that follow each other closely are a stream after so many bytes. Among random reads some
  // fall beside the one before, and where pages are cached already the kernel adds a few by itself.
  static constexpr uint64_t kStreamAfter = 128 << 10;

  // Where to read ahead.
  struct Look {
    uint64_t window = 0;  // bytes behind the read; 0: this is no stream
    uint64_t from = 0;    // up to here everything was asked for
    uint64_t stream = 0;  // for looked_to()
  };

  // Notes a read of [offset, offset + length).
  Look note(uint64_t offset, uint64_t length, uint64_t window_max) {
    MutexLock lock(mutex_);
    const uint64_t distance = offset > next_ ? offset - next_ : next_ - offset;
    // Before it is a stream its requests are small, and not many are under way at once.
    const bool goes_on = known_ && distance <= (window_ > 0 ? kSlack : 2 * kStreamAfter);
    known_ = true;
    if (!goes_on) {
      ++stream_;
      window_ = 0;
      next_ = offset + length;
      advanced_ = length;
      ahead_to_ = 0;
      return {};
    }
    next_ = std::max(next_, offset + length);
    advanced_ += length;
    if (window_ == 0 && advanced_ <= kStreamAfter) return {};
    if (window_ == 0) {
      window_ = std::min(kWindowFirst, window_max);
      advanced_ = 0;
    } else if (advanced_ >= window_ / 2) {  // double once half of the window was really used
      window_ = std::min(window_ * 2, window_max);
      advanced_ = 0;
    }
    return {window_, std::max(offset, ahead_to_), stream_};
  }

  // Up to here everything was asked for: each part of a file is looked at once. Ignored when the
  // program went elsewhere meanwhile.
  void looked_to(const Look& look, uint64_t offset) {
    MutexLock lock(mutex_);
    if (look.stream == stream_) ahead_to_ = std::max(ahead_to_, offset);
  }

 private:
  Mutex mutex_;
  bool known_ GUARDED_BY(mutex_) = false;
  uint64_t stream_ GUARDED_BY(mutex_) = 0;  // how many there were so far
  uint64_t next_ GUARDED_BY(mutex_) = 0;    // end of the furthest read of the stream
  uint64_t window_ GUARDED_BY(mutex_) = 0;
  uint64_t advanced_ GUARDED_BY(mutex_) = 0;  // bytes read since the window last changed
  uint64_t ahead_to_ GUARDED_BY(mutex_) = 0;
};

}  // namespace shoal::data
