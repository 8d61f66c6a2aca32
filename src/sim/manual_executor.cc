#include "sim/manual_executor.h"

#include <algorithm>

#include "base/check.h"

namespace shoal::sim {

void ManualExecutor::post(Task task) {
  post_after(std::chrono::nanoseconds::zero(), std::move(task));
}

void ManualExecutor::post_after(std::chrono::nanoseconds delay, Task task) {
  constexpr std::chrono::nanoseconds kDelayMax = std::chrono::hours(24 * 365 * 100);
  const auto due =
      clock_.since_boot() + std::clamp(delay, std::chrono::nanoseconds::zero(), kDelayMax);
  MutexLock lock(mutex_);
  tasks_.emplace(Key{due, posted_++}, std::move(task));
}

bool ManualExecutor::run_one() {
  const auto now = clock_.since_boot();
  Task task;
  {
    MutexLock lock(mutex_);
    if (tasks_.empty() || tasks_.begin()->first.first > now) return false;
    task = std::move(tasks_.begin()->second);
    tasks_.erase(tasks_.begin());
  }
  task();
  return true;
}

size_t ManualExecutor::run_ready() {
  size_t ran = 0;
  while (run_one()) ++ran;
  return ran;
}

bool ManualExecutor::next_due(std::chrono::nanoseconds* due) const {
  MutexLock lock(mutex_);
  if (tasks_.empty()) return false;
  *due = tasks_.begin()->first.first;
  return true;
}

size_t ManualExecutor::advance(std::chrono::nanoseconds by) {
  const auto end = clock_.since_boot() + by;
  size_t ran = run_ready();
  std::chrono::nanoseconds due{};
  while (next_due(&due) && due <= end) {
    // A task may have moved the clock itself, past `due` or past `end`.
    clock_.advance(std::max(due - clock_.since_boot(), std::chrono::nanoseconds::zero()));
    ran += run_ready();
  }
  clock_.advance(std::max(end - clock_.since_boot(), std::chrono::nanoseconds::zero()));
  return ran;
}

size_t ManualExecutor::run_all(size_t tasks_max) {
  size_t ran = 0;
  std::chrono::nanoseconds due{};
  while (next_due(&due)) {
    clock_.advance(std::max(due - clock_.since_boot(), std::chrono::nanoseconds::zero()));
    while (run_one()) {
      ++ran;
      CHECK(ran <= tasks_max);  // something posts itself again for ever: use advance()
    }
  }
  return ran;
}

size_t ManualExecutor::waiting() const {
  MutexLock lock(mutex_);
  return tasks_.size();
}

}  // namespace shoal::sim
