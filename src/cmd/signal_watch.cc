#include "cmd/signal_watch.h"

#include <signal.h>
#include <unistd.h>

#include "base/log.h"

namespace shoal::cmd {
namespace {

sigset_t signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR2}) sigaddset(&set, signal);
  return set;
}

}  // namespace

SignalWatch::SignalWatch(std::function<void()> on_signal) : on_signal_(std::move(on_signal)) {
  thread_ = Thread("signals", [this] {
    sigset_t set = signals();
    for (;;) {
      int signal = 0;
      if (sigwait(&set, &signal) != 0) continue;
      if (signal == SIGUSR2) return;  // the destructor
      log(LogLevel::kInfo, "signal {}: ending", signal);
      on_signal_();
    }
  });
}

SignalWatch::~SignalWatch() { ::kill(::getpid(), SIGUSR2); }

void SignalWatch::block() {
  sigset_t set = signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
}

}  // namespace shoal::cmd
