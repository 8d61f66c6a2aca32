#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "sim/fake_clock.h"
#include "sim/manual_executor.h"
#include "sim/seeded_random.h"

namespace shoal::sim {
namespace {

using namespace std::chrono_literals;

TEST(FakeClock, advancing_moves_both_clocks_and_carries_into_seconds) {
  FakeClock clock(Time{100, 999'999'999});
  const auto boot = clock.since_boot();
  clock.advance(2s + 1ns);
  EXPECT_EQ(clock.now(), (Time{103, 0}));
  EXPECT_EQ(clock.since_boot() - boot, 2s + 1ns);
}

TEST(FakeClock, setting_the_wall_clock_back_leaves_the_boot_clock_alone) {
  FakeClock clock;
  const auto boot = clock.since_boot();
  clock.set(Time{-5, 7});
  EXPECT_EQ(clock.now(), (Time{-5, 7}));
  EXPECT_EQ(clock.since_boot(), boot);
}

TEST(SeededRandom, a_seed_gives_the_same_numbers_for_ever) {
  SeededRandom random(42);
  // Recorded once: a change of the generator would make every recorded seed worthless.
  EXPECT_EQ(random.u64(), 0x15780b2e0c2ec716u);
  EXPECT_EQ(random.u64(), 0x6104d9866d113a7eu);
  SeededRandom a(7);
  SeededRandom b(7);
  SeededRandom other(8);
  std::string x(1001, '\0');
  std::string y(1001, '\0');
  a.fill(as_mutable_bytes(x));
  b.fill(as_mutable_bytes(y));
  EXPECT_EQ(x, y);
  other.fill(as_mutable_bytes(y));
  EXPECT_NE(x, y);
}

TEST(SeededRandom, below_reaches_every_value_and_none_beyond) {
  SeededRandom random(1);
  std::set<uint64_t> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(random.below(10));
  EXPECT_EQ(seen.size(), 10u);
  EXPECT_EQ(*seen.rbegin(), 9u);
}

TEST(ManualExecutor, nothing_runs_until_told) {
  FakeClock clock;
  ManualExecutor executor(clock);
  int ran = 0;
  executor.post([&] { ++ran; });
  executor.post_after(1s, [&] { ++ran; });
  EXPECT_EQ(ran, 0);
  EXPECT_EQ(executor.waiting(), 2u);
  EXPECT_EQ(executor.run_ready(), 1u);
  EXPECT_EQ(ran, 1);
}

TEST(ManualExecutor, advance_runs_by_due_time_then_by_order_and_shows_each_its_time) {
  FakeClock clock;
  ManualExecutor executor(clock);
  const auto start = clock.since_boot();
  std::vector<std::pair<char, std::chrono::nanoseconds>> log;
  const auto note = [&](char name) { log.emplace_back(name, clock.since_boot() - start); };
  executor.post_after(3s, [&] { note('c'); });
  executor.post_after(1s, [&] {
    note('a');
    executor.post_after(1s, [&] { note('b'); });
  });
  executor.post_after(3s, [&] { note('d'); });
  executor.post_after(9s, [&] { note('x'); });
  EXPECT_EQ(executor.advance(5s), 4u);
  const std::vector<std::pair<char, std::chrono::nanoseconds>> expected = {
      {'a', 1s}, {'b', 2s}, {'c', 3s}, {'d', 3s}};
  EXPECT_EQ(log, expected);
  EXPECT_EQ(clock.since_boot() - start, 5s);
}

TEST(ManualExecutor, run_all_goes_on_until_nothing_is_left) {
  FakeClock clock;
  ManualExecutor executor(clock);
  int left = 10;
  std::function<void()> again = [&] {
    if (--left > 0) executor.post_after(1h, again);
  };
  executor.post(again);
  EXPECT_EQ(executor.run_all(), 10u);
  EXPECT_EQ(executor.waiting(), 0u);
}

TEST(ManualExecutor, a_periodic_is_called_once_a_period_until_it_goes) {
  FakeClock clock;
  ManualExecutor executor(clock);
  int calls = 0;
  {
    const Periodic periodic(executor, 1s, [&] { ++calls; });
    executor.advance(10s);
    EXPECT_EQ(calls, 10);
  }
  executor.advance(10s);
  EXPECT_EQ(calls, 10);
  EXPECT_EQ(executor.waiting(), 0u);
}

}  // namespace
}  // namespace shoal::sim
