// On whose behalf a thread works: what may wait for long asks now and then whether anybody still
// wants the answer, and gives up with EINTR when not.
//
//   const OnBehalf request([pid] { return is_being_killed(pid); });   // the adapter's
//   …
//   if (given_up()) return Error(EINTR);                              // deep below, in a wait
//
// A scope of this thread; the inner one counts. Work that is nobody's alone (a timer's, a pool's)
// has none and is never given up.
#pragma once

#include <chrono>
#include <functional>

#include "sys/mutex.h"

namespace shoal {

class OnBehalf {
 public:
  // `asked` runs on this thread, and may cost a system call: waits ask at most every kAskEvery.
  explicit OnBehalf(std::function<bool()> asked);
  ~OnBehalf();
  OnBehalf(const OnBehalf&) = delete;
  OnBehalf& operator=(const OnBehalf&) = delete;

 private:
  friend bool given_up();
  const std::function<bool()> given_up_;
  const OnBehalf* const outer_;
};

inline constexpr std::chrono::milliseconds kAskEvery{50};

bool given_up();

// Waits for a wake-up. False: given up.
bool wait_unless_given_up(CondVar& changed, Mutex& mutex) REQUIRES(mutex);

}  // namespace shoal
