// Lets tasks that an executor may run at any later time touch an object only while it lives: the
// object closes the gate in its destructor, which waits for tasks inside and keeps all others out.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "sys/mutex.h"

namespace shoal::data {

class TaskGate {
 public:
  // Runs `body` unless the gate was closed; close() waits for it.
  void run(const std::function<void()>& body) {
    {
      MutexLock lock(mutex_);
      if (closed_) return;
      ++inside_;
    }
    body();
    MutexLock lock(mutex_);
    --inside_;
    left_.notify_all();
  }
  // Not from inside.
  void close() {
    MutexLock lock(mutex_);
    closed_ = true;
    while (inside_ > 0) left_.wait(mutex_);
  }

 private:
  Mutex mutex_;
  CondVar left_;
  bool closed_ GUARDED_BY(mutex_) = false;
  int inside_ GUARDED_BY(mutex_) = 0;
};

}  // namespace shoal::data
