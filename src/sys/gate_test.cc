#include "sys/gate.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "sys/thread.h"

namespace shoal {
namespace {

TEST(Gate, lets_nobody_in_after_it_was_shut) {
  Gate gate;
  int passed = 0;
  gate.pass([&] { ++passed; });
  gate.shut();
  gate.pass([&] { ++passed; });
  EXPECT_EQ(passed, 1);
}

TEST(Gate, shutting_waits_for_who_is_inside) {
  Gate gate;
  std::atomic<bool> inside = false, leave = false, left = false;
  Thread visitor("visitor", [&] {
    gate.pass([&] {
      inside = true;
      while (!leave) std::this_thread::yield();
      left = true;
    });
  });
  while (!inside) std::this_thread::yield();
  Thread releaser("releaser", [&] { leave = true; });
  gate.shut();
  EXPECT_TRUE(left);
  visitor.join();
  releaser.join();
}

}  // namespace
}  // namespace shoal
