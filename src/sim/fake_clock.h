// A Clock that moves when a test says so. Thread-safe.
#pragma once

#include <chrono>

#include "base/check.h"
#include "sys/clock.h"
#include "sys/mutex.h"

namespace shoal::sim {

class FakeClock final : public Clock {
 public:
  // The wall clock starts in November 2023, the boot clock an hour after the boot: neither is 0 by
  // accident.
  FakeClock() = default;
  explicit FakeClock(Time now) : now_(now) {}

  Time now() const override {
    MutexLock lock(mutex_);
    return now_;
  }
  std::chrono::nanoseconds since_boot() const override {
    MutexLock lock(mutex_);
    return since_boot_;
  }

  // Both clocks go forward. REQUIRES by >= 0.
  void advance(std::chrono::nanoseconds by) {
    CHECK(by >= std::chrono::nanoseconds::zero());
    MutexLock lock(mutex_);
    since_boot_ += by;
    const auto nanoseconds = std::chrono::nanoseconds(now_.nanoseconds) + by;
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(nanoseconds);
    now_.seconds += seconds.count();
    now_.nanoseconds = static_cast<uint32_t>((nanoseconds - seconds).count());
  }
  // The wall clock jumps, back too, as when an administrator or NTP sets it; the boot clock does
  // not notice.
  void set(Time now) {
    MutexLock lock(mutex_);
    now_ = now;
  }

 private:
  mutable Mutex mutex_;
  Time now_ GUARDED_BY(mutex_) = {1'700'000'000, 0};
  std::chrono::nanoseconds since_boot_ GUARDED_BY(mutex_) = std::chrono::hours(1);
};

}  // namespace shoal::sim
