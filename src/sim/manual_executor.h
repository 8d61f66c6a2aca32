// An Executor whose tasks run when a test says so, on the test's thread, in an order that depends
// on nothing else: by due time, then by the order of posting.
//
//   FakeClock clock;
//   ManualExecutor executor(clock);
//   Uploader uploader(executor, …);
//   executor.advance(5s);   // everything that falls due within 5 s of fake time has run
//
// post() and post_after() are thread-safe; one thread at a time may run tasks, and tasks may post.
// Tasks that have not run when the executor goes are dropped.
#pragma once

#include <chrono>
#include <map>
#include <utility>

#include "sim/fake_clock.h"
#include "sys/executor.h"
#include "sys/mutex.h"

namespace shoal::sim {

class ManualExecutor final : public Executor {
 public:
  explicit ManualExecutor(FakeClock& clock) : clock_(clock) {}

  void post(Task task) override;
  void post_after(std::chrono::nanoseconds delay, Task task) override;

  // Runs what is due now and what that posts for now, until nothing is due. Returns how many ran.
  size_t run_ready();
  // Runs at most one task that is due now.
  bool run_one();
  // Moves the clock forward by `by`, stopping at every due time on the way to run what is due.
  // Returns how many ran.
  size_t advance(std::chrono::nanoseconds by);
  // Runs until nothing is left, moving the clock from due time to due time. Aborts the test after
  // `tasks_max` tasks, because a Periodic never ends.
  size_t run_all(size_t tasks_max = 1'000'000);
  // Tasks that have not run, delayed ones included.
  size_t waiting() const;

 private:
  using Key = std::pair<std::chrono::nanoseconds, uint64_t>;  // due by the boot clock, number

  bool next_due(std::chrono::nanoseconds* due) const;

  FakeClock& clock_;
  mutable Mutex mutex_;
  std::map<Key, Task> tasks_ GUARDED_BY(mutex_);
  uint64_t posted_ GUARDED_BY(mutex_) = 0;
};

}  // namespace shoal::sim
