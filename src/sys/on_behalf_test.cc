#include "sys/on_behalf.h"

#include <gtest/gtest.h>

#include <thread>

namespace shoal {
namespace {

TEST(OnBehalf, the_inner_scope_counts_and_other_threads_have_none) {
  EXPECT_FALSE(given_up());
  bool outer = false, inner = false;
  const OnBehalf first([&] { return outer; });
  EXPECT_FALSE(given_up());
  outer = true;
  EXPECT_TRUE(given_up());
  {
    const OnBehalf second([&] { return inner; });
    EXPECT_FALSE(given_up());
    inner = true;
    EXPECT_TRUE(given_up());
  }
  EXPECT_TRUE(given_up());
  std::thread([] { EXPECT_FALSE(given_up()); }).join();
}

TEST(OnBehalf, a_wait_ends_when_it_is_given_up) {
  Mutex mutex;
  CondVar changed;
  int asked = 0;
  const OnBehalf request([&] { return ++asked == 3; });
  MutexLock lock(mutex);
  while (wait_unless_given_up(changed, mutex)) {
  }
  EXPECT_EQ(asked, 3);
}

}  // namespace
}  // namespace shoal
