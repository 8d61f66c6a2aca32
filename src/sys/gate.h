// Lets callbacks through until it is shut; shutting waits for those that are running. So that
// whoever owns what callbacks use may destroy it, while an executor may still run them at any later
// time: those share the gate, and no longer get in.
#pragma once

#include <cstddef>
#include <utility>

#include "sys/mutex.h"

namespace shoal {

class Gate {
 public:
  // Runs `body`, under no lock, unless the gate is shut.
  template <typename Body>
  void pass(Body&& body) {
    {
      MutexLock lock(mutex_);
      if (shut_) return;
      ++inside_;
    }
    std::forward<Body>(body)();
    MutexLock lock(mutex_);
    if (--inside_ == 0) empty_.notify_all();
  }
  // Not from within a body.
  void shut() {
    MutexLock lock(mutex_);
    shut_ = true;
    while (inside_ > 0) empty_.wait(mutex_);
  }

 private:
  Mutex mutex_;
  CondVar empty_;
  size_t inside_ GUARDED_BY(mutex_) = 0;
  bool shut_ GUARDED_BY(mutex_) = false;
};

}  // namespace shoal
