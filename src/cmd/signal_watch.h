// SIGTERM, SIGINT and SIGHUP end a serving process in good order: one thread waits for them, all
// others have them blocked.
#pragma once

#include <functional>

#include "sys/thread.h"

namespace shoal::cmd {

class SignalWatch {
 public:
  // `on_signal` runs on the watching thread, at each signal. REQUIRES block().
  explicit SignalWatch(std::function<void()> on_signal);
  ~SignalWatch();

  // Before any thread is made.
  static void block();

 private:
  std::function<void()> on_signal_;
  Thread thread_;  // joined after the destructor's signal
};

}  // namespace shoal::cmd
