// ThreadPool and Periodic.
//
// Idle threads sleep on `work_`; one of them, the timekeeper, sleeps on `timer_` until the first
// delayed task is due. Whoever changes the queues calls provide(), which wakes or starts a thread
// whenever more is waiting than idle threads are there to take it, so that a blocked task never
// holds up another one while the pool may still grow.
#include "sys/executor.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <map>
#include <system_error>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/log.h"
#include "sys/mutex.h"
#include "sys/thread.h"

namespace shoal {

struct ThreadPool::State {
  using Instant = std::chrono::steady_clock::time_point;

  State(std::string thread_name, int bound)
      : name(std::move(thread_name)), threads_max(static_cast<size_t>(bound)) {}

  void post(Executor::Task task);
  void post_after(std::chrono::nanoseconds delay, Executor::Task task);
  void stop();

  void work();
  void sleep() REQUIRES(mutex);
  void queue_what_is_due(Instant now) REQUIRES(mutex);
  void provide() REQUIRES(mutex);
  void start_thread() REQUIRES(mutex);

  const std::string name;
  const size_t threads_max;

  Mutex joining;  // taken before `mutex`; makes a second stop() wait for the first

  Mutex mutex;
  CondVar work_;
  CondVar timer_;
  std::deque<Executor::Task> queue GUARDED_BY(mutex);
  std::multimap<Instant, Executor::Task> delayed
      GUARDED_BY(mutex);  // equal instants: in the order posted
  std::vector<Thread> threads GUARDED_BY(mutex);
  size_t sleeping GUARDED_BY(mutex) = 0;  // on work_
  bool timekeeper GUARDED_BY(mutex) = false;
  bool stopping GUARDED_BY(mutex) = false;
};

void ThreadPool::State::post(Executor::Task task) {
  MutexLock lock(mutex);
  if (stopping) return;  // `task` is destroyed by our caller's frame, after the lock
  queue.push_back(std::move(task));
  provide();
}

void ThreadPool::State::post_after(std::chrono::nanoseconds delay, Executor::Task task) {
  if (delay <= std::chrono::nanoseconds::zero()) {
    post(std::move(task));
    return;
  }
  // A delay beyond what the clock can count would wrap into the past.
  constexpr std::chrono::nanoseconds kDelayMax = std::chrono::hours(24 * 365 * 100);
  const Instant due = std::chrono::steady_clock::now() + std::min(delay, kDelayMax);
  MutexLock lock(mutex);
  if (stopping) return;
  const auto added = delayed.emplace(due, std::move(task));
  if (timekeeper && added == delayed.begin()) timer_.notify_one();
  provide();
}

void ThreadPool::State::stop() {
  MutexLock only_one(joining);
  std::multimap<Instant, Executor::Task>
      dropped;  // destroyed outside the lock: captures may run anything
  std::vector<Thread> leaving;
  {
    MutexLock lock(mutex);
    stopping = true;
    dropped.swap(delayed);
    leaving.swap(threads);
    work_.notify_all();
    timer_.notify_all();
  }
  for (Thread& thread : leaving) thread.join();
}

void ThreadPool::State::work() {
  MutexLock lock(mutex);
  for (;;) {
    queue_what_is_due(std::chrono::steady_clock::now());
    if (!queue.empty()) {
      Executor::Task task = std::move(queue.front());
      queue.pop_front();
      provide();
      lock.unlock();
      task();
      task = nullptr;
      lock.lock();
    } else if (stopping) {
      return;
    } else {
      sleep();
    }
  }
}

void ThreadPool::State::sleep() {
  if (timekeeper || delayed.empty()) {
    ++sleeping;
    work_.wait(mutex);
    --sleeping;
    return;
  }
  timekeeper = true;
  timer_.wait_for(mutex, delayed.begin()->first - std::chrono::steady_clock::now());
  timekeeper = false;
}

void ThreadPool::State::queue_what_is_due(Instant now) {
  while (!delayed.empty() && delayed.begin()->first <= now) {
    queue.push_back(std::move(delayed.begin()->second));
    delayed.erase(delayed.begin());
  }
}

void ThreadPool::State::provide() {
  const size_t idle = sleeping + (timekeeper ? 1 : 0);
  const size_t wanted = queue.size() + (!delayed.empty() && !timekeeper ? 1 : 0);
  if (wanted == 0) return;
  if (wanted > idle && threads.size() < threads_max && !stopping) start_thread();
  if (sleeping > 0) {
    work_.notify_one();
  } else if (timekeeper) {
    timer_.notify_one();
  }
}

void ThreadPool::State::start_thread() {
  try {
    threads.emplace_back(name, [this] { work(); });
  } catch (const std::system_error& e) {
    // With one thread the pool still keeps its promise, only slower; without any it could never run
    // the task.
    CHECK(!threads.empty());
    log(LogLevel::kWarn,
        "thread pool {}: no thread number {} ({}); raise the limit of processes (ulimit -u)", name,
        threads.size() + 1, e.what());
  }
}

ThreadPool::ThreadPool(std::string name, int threads) {
  CHECK(threads > 0);
  state_ = std::make_unique<State>(std::move(name), threads);
}

ThreadPool::~ThreadPool() { stop(); }

void ThreadPool::post(Task task) { state_->post(std::move(task)); }

void ThreadPool::post_after(std::chrono::nanoseconds delay, Task task) {
  state_->post_after(delay, std::move(task));
}

void ThreadPool::stop() { state_->stop(); }

// Periodic: the next call is posted after the body returned, so calls never overlap and a slow body
// makes the period longer instead of piling up.
struct Periodic::State {
  State(Executor& on, std::chrono::nanoseconds every, std::function<void()> call)
      : executor(on), period(every), body(std::move(call)) {}

  static void schedule(const std::shared_ptr<State>& state) {
    state->executor.post_after(state->period, [state] { tick(state); });
  }

  static void tick(const std::shared_ptr<State>& state) {
    {
      MutexLock lock(state->mutex);
      if (state->stopped) return;
      state->running = true;
    }
    state->body();
    bool go_on = false;
    {
      MutexLock lock(state->mutex);
      go_on = !state->stopped;
    }
    // Still `running`: the destructor waits, so the executor is alive.
    if (go_on) schedule(state);
    MutexLock lock(state->mutex);
    state->running = false;
    state->idle.notify_all();
  }

  Executor& executor;
  const std::chrono::nanoseconds period;
  const std::function<void()> body;
  Mutex mutex;
  CondVar idle;
  bool running GUARDED_BY(mutex) = false;
  bool stopped GUARDED_BY(mutex) = false;
};

Periodic::Periodic(Executor& executor, std::chrono::nanoseconds period, std::function<void()> body)
    : state_(std::make_shared<State>(executor, period, std::move(body))) {
  CHECK(period > std::chrono::nanoseconds::zero());
  State::schedule(state_);
}

Periodic::~Periodic() {
  MutexLock lock(state_->mutex);
  state_->stopped = true;
  while (state_->running) state_->idle.wait(state_->mutex);
}

}  // namespace shoal
