// The global limit on retries: what a store that is down must not get from us is more requests than
// before.
#pragma once

#include <algorithm>
#include <chrono>

namespace shoal::object {

// Every first try earns a tenth of a retry, up to kSavedMax; so retries stay at 10 % of the
// requests. A floor of kFloor retries, refilled by one a second, lets a few always work when there
// is little traffic. Not thread-safe.
class RetryBudget {
 public:
  static constexpr double kShare = 0.1;
  static constexpr double kSavedMax = 100;
  static constexpr double kFloor = 10;
  static constexpr double kFloorPerSecond = 1;

  explicit RetryBudget(std::chrono::nanoseconds now) : refilled_(now) {}

  void first_try() { saved_ = std::min(kSavedMax, saved_ + kShare); }

  // Takes one retry; false when there is none now.
  bool take(std::chrono::nanoseconds now) {
    floor_ = std::min(
        kFloor, floor_ + kFloorPerSecond * std::chrono::duration<double>(now - refilled_).count());
    refilled_ = now;
    double& purse = saved_ >= 1 ? saved_ : floor_;
    if (purse < 1) return false;
    purse -= 1;
    return true;
  }

 private:
  double saved_ = 0;
  double floor_ = kFloor;
  std::chrono::nanoseconds refilled_;
};

}  // namespace shoal::object
