// Breaker: leaves a failing disk alone. Every I/O error adds to a score, every success takes a
// little off, so a disk that fails more than about one call in nine opens the breaker and a rare
// bad sector does not. While it is open nothing is allowed for kPause; then one call is let through
// as a probe, and its outcome closes or opens it again. Thread-safe, lock-free.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>

#include "sys/clock.h"

namespace shoal::cache {

class Breaker {
 public:
  static constexpr std::chrono::nanoseconds kPause = std::chrono::seconds(30);
  static constexpr int kErrorWeight = 8;
  static constexpr int kOpenScore = 64;  // eight errors in a row

  explicit Breaker(const Clock& clock) : clock_(clock) {}

  bool open() const { return open_until_.load() != 0; }
  // Whether allow() would say yes. Takes no probe.
  bool would_allow() const {
    const int64_t until = open_until_.load();
    return until == 0 || clock_.since_boot().count() >= until;
  }
  // True: do the I/O and tell succeeded() or failed(). After a pause one caller gets true, as the
  // probe.
  bool allow() {
    int64_t until = open_until_.load();
    if (until == 0) return true;
    const int64_t now = clock_.since_boot().count();
    return now >= until && open_until_.compare_exchange_strong(until, now + kPause.count());
  }
  void succeeded() {
    if (open_until_.load() != 0) {
      score_ = kOpenScore - kErrorWeight;  // on probation: the next error opens it again
      open_until_ = 0;
      return;
    }
    int score = score_.load();
    while (score > 0 && !score_.compare_exchange_weak(score, score - 1)) {
    }
  }
  // True when this error is the one that opened it.
  bool failed() {
    if (score_.fetch_add(kErrorWeight) + kErrorWeight < kOpenScore) return false;
    score_ = kOpenScore;  // a long outage must not take long to forget
    return open_until_.exchange(clock_.since_boot().count() + kPause.count()) == 0;
  }

 private:
  const Clock& clock_;
  std::atomic<int64_t> open_until_{0};  // boot time in nanoseconds; 0: closed
  std::atomic<int> score_{0};
};

}  // namespace shoal::cache
