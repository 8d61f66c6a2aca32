// Time as a parameter: everything that asks what time it is gets a Clock. sim/fake_clock.h is the
// twin for tests.
#pragma once

#include <chrono>

#include "base/time.h"

namespace shoal {

class Clock {
 public:
  virtual ~Clock() = default;
  // CLOCK_REALTIME; may jump. What files are stamped with.
  virtual Time now() const = 0;
  // CLOCK_BOOTTIME since some start: never goes back, goes on during suspend. For terms, timeouts
  // and measuring.
  virtual std::chrono::nanoseconds since_boot() const = 0;
};

// The machine's. Stateless and thread-safe.
class SystemClock final : public Clock {
 public:
  Time now() const override;
  std::chrono::nanoseconds since_boot() const override;
};

}  // namespace shoal
