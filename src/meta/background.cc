// Work behind the operations: on the executor that the owner was given, never after the owner is
// gone.
#include "meta/owner_impl.h"

namespace shoal::meta {

struct Owner::Background {
  Mutex mutex;
  CondVar idle;
  bool stopped GUARDED_BY(mutex) = false;
  int running GUARDED_BY(mutex) = 0;
};

void Owner::start_background() {
  background_ = std::make_shared<Background>();
  schedule_ageing();
}

void Owner::schedule_ageing() {
  run_later(std::chrono::hours(1), [this] {
    age_trash();
    schedule_ageing();
  });
}

void Owner::stop_background() {
  MutexLock lock(background_->mutex);
  background_->stopped = true;
  while (background_->running > 0) background_->idle.wait(background_->mutex);
}

void Owner::run_later(std::chrono::nanoseconds delay, std::function<void()> task) {
  auto guarded = [state = background_, task = std::move(task)] {
    {
      MutexLock lock(state->mutex);
      if (state->stopped) return;
      ++state->running;
    }
    task();
    MutexLock lock(state->mutex);
    if (--state->running == 0) state->idle.notify_all();
  };
  if (delay.count() == 0) {
    executor_.post(std::move(guarded));
  } else {
    executor_.post_after(delay, std::move(guarded));
  }
}

}  // namespace shoal::meta
