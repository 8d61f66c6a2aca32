// The calls of a store that runs them as tasks of an Executor, so that the store's destructor can
// keep its promise: what has not started fails with ECANCELED, what runs is waited for.
// Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <utility>

#include "base/error.h"
#include "object/object_store.h"
#include "sys/executor.h"
#include "sys/mutex.h"

namespace shoal::object {

class CallTracker {
 public:
  explicit CallTracker(Executor& executor)
      : executor_(executor), state_(std::make_shared<State>()) {}
  ~CallTracker() { stop(); }

  // Runs `work` on the executor and hands its result to `done`.
  template <typename T>
  void run(std::function<Result<T>()> work, Done<T> done) {
    auto shared_done =
        std::make_shared<Done<T>>(std::move(done));  // either run or cancelled, decided later
    start(Call{
        [work = std::move(work), shared_done] { (*shared_done)(work()); },
        [shared_done] { (*shared_done)(Error(ECANCELED, "the object store is being closed")); }});
  }

  // Cancels what has not started, waits for what runs; afterwards every run() is cancelled.
  // Idempotent. Not from `done`.
  void stop();

 private:
  struct Call {
    std::function<void()> run;
    std::function<void()> cancel;
  };
  struct State {
    Mutex mutex;
    CondVar idle;
    bool stopped GUARDED_BY(mutex) = false;
    uint64_t next GUARDED_BY(mutex) = 0;
    int running GUARDED_BY(mutex) = 0;
    std::map<uint64_t, Call> waiting GUARDED_BY(mutex);
  };

  void start(Call call);
  static void execute(State& state, uint64_t id);

  Executor& executor_;
  std::shared_ptr<State>
      state_;  // shared with tasks, which a slow executor may still hold when the store is gone
};

}  // namespace shoal::object
