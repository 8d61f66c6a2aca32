#include "sys/process.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <thread>

namespace shoal {
namespace {

TEST(Process, only_one_with_a_fatal_signal_is_being_killed) {
  EXPECT_FALSE(is_being_killed(static_cast<uint32_t>(::getpid())));
  EXPECT_FALSE(is_being_killed(0));
  const pid_t child = ::fork();
  if (child == 0) {
    // Blocked signals stay pending: as near to a wait that cannot be interrupted as a test comes.
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, nullptr);
    ::raise(SIGTERM);
    for (;;) ::pause();
  }
  const auto thread = static_cast<uint32_t>(child);
  EXPECT_FALSE(is_being_killed(thread));
  ::kill(child, SIGSTOP);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, WUNTRACED), child);
  EXPECT_FALSE(is_being_killed(thread));
  ::kill(child, SIGKILL);
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_FALSE(is_being_killed(thread));  // it is gone
}

}  // namespace
}  // namespace shoal
