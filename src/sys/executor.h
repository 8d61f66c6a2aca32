// Runs tasks now or later on threads that somebody else owns. Libraries below client/ have no
// threads of their own: they are given an Executor. sim/manual_executor.h is the twin that runs
// tasks when a test says so.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

namespace shoal {

class Executor {
 public:
  using Task = std::function<void()>;
  virtual ~Executor() = default;
  // Thread-safe. Tasks may block; the pool grows no further than its bound, so a task must not wait
  // for a task that was posted after it.
  virtual void post(Task task) = 0;
  // Runs `task` not before `delay` has passed.
  virtual void post_after(std::chrono::nanoseconds delay, Task task) = 0;
};

// Up to `threads` named threads, started on demand. The destructor drops what is delayed, runs what
// is queued, joins.
class ThreadPool final : public Executor {
 public:
  ThreadPool(std::string name, int threads);
  ~ThreadPool() override;
  void post(Task task) override;
  void post_after(std::chrono::nanoseconds delay, Task task) override;
  // Stops accepting (later posts are dropped), drops what is delayed, runs what is queued, joins.
  // Idempotent.
  void stop();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Calls `body` every `period` on `executor` until destroyed; the destructor waits for a call under
// way.
class Periodic {
 public:
  Periodic(Executor& executor, std::chrono::nanoseconds period, std::function<void()> body);
  ~Periodic();
  Periodic(const Periodic&) = delete;
  Periodic& operator=(const Periodic&) = delete;

 private:
  struct State;
  std::shared_ptr<State>
      state_;  // shared with the task in flight, which may outlive this object by one wake-up
};

}  // namespace shoal
