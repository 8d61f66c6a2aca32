#include "object/call_tracker.h"

namespace shoal::object {

void CallTracker::start(Call call) {
  uint64_t id = 0;
  {
    MutexLock lock(state_->mutex);
    id = state_->next++;
    state_->waiting.emplace(id, std::move(call));
  }
  executor_.post([state = state_, id] { execute(*state, id); });
}

void CallTracker::execute(State& state, uint64_t id) {
  MutexLock lock(state.mutex);
  const auto found = state.waiting.find(id);
  if (found == state.waiting.end()) return;  // cancelled
  const std::function<void()> body =
      std::move(state.stopped ? found->second.cancel : found->second.run);
  state.waiting.erase(found);
  ++state.running;
  lock.unlock();
  body();
  lock.lock();
  if (--state.running == 0) state.idle.notify_all();
}

void CallTracker::stop() {
  MutexLock lock(state_->mutex);
  state_->stopped = true;
  // A cancelled callback may make new calls; they are taken in the next round.
  while (!state_->waiting.empty() || state_->running > 0) {
    if (state_->waiting.empty()) {
      state_->idle.wait(state_->mutex);
      continue;
    }
    const uint64_t id = state_->waiting.begin()->first;
    lock.unlock();
    execute(*state_, id);
    lock.lock();
  }
}

}  // namespace shoal::object
