// How many requests of one kind may be under way: additive increase, multiplicative decrease (Chiu
// and Jain 1989), so that a store that throttles sees less of us at once and gets more again step
// by step.
#pragma once

#include <algorithm>
#include <chrono>

namespace shoal::object {

// Not thread-safe.
class Window {
 public:
  explicit Window(int limit) : limit_(limit), size_(std::min(limit, 16)) {}

  bool is_open() const { return in_flight_ < static_cast<int>(size_); }
  int in_flight() const { return in_flight_; }
  double size() const { return size_; }

  void started() { ++in_flight_; }
  void cancelled() { --in_flight_; }
  void succeeded() {
    // Grows by one per round trip, and only while it is what limits us.
    if (in_flight_ + 1 >= static_cast<int>(size_))
      size_ = std::min<double>(limit_, size_ + 1 / size_);
    --in_flight_;
  }
  void failed() { --in_flight_; }
  // `started` is when the throttled try began: those sent before the last decrease say nothing new.
  void throttled(std::chrono::nanoseconds started, std::chrono::nanoseconds now) {
    --in_flight_;
    if (started < decreased_) return;
    size_ = std::max(1.0, size_ / 2);
    decreased_ = now;
  }

 private:
  const int limit_;
  double size_;
  int in_flight_ = 0;
  std::chrono::nanoseconds decreased_{0};
};

}  // namespace shoal::object
