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
  siginfo_t info{};
  ASSERT_EQ(::waitid(P_PID, thread, &info, WEXITED | WNOWAIT), 0);
  EXPECT_TRUE(is_being_killed(thread));  // it has closed its files, and nobody has asked for it yet
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_FALSE(is_being_killed(thread));  // it is gone
}

TEST(Process, one_that_ends_by_itself_is_not_being_killed) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(9);
  siginfo_t info{};
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT), 0);
  EXPECT_FALSE(is_being_killed(static_cast<uint32_t>(child)));
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
}

}  // namespace
}  // namespace shoal
