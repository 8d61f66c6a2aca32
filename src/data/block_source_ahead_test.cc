// Read-ahead: what is started, what is not, and that its account always comes out even.
#include <gtest/gtest.h>

#include "data/block_source_test_util.h"
#include "sys/thread.h"

namespace shoal::data {
namespace {

using namespace std::chrono_literals;

class ReadAheadTest : public BlockSourceTest {
 protected:
  ReadAheadTest() {
    limits.ahead_bytes_max = 2 * kBlockBytes;
    open_with(limits);
    make(1, 20 * kMiB);
  }
  uint64_t ahead_blocks() const { return source->ahead_bytes() / kBlockBytes; }
};

TEST_F(ReadAheadTest, a_block_is_fetched_once_and_served_from_memory) {
  EXPECT_TRUE(prefetch(1, 0));
  EXPECT_TRUE(prefetch(1, 0));
  expect_right(1, 0, 4 * kMiB, Want::kWholeBlock);
  EXPECT_EQ(gets(), 1u);
  EXPECT_EQ(source->counters().memory_bytes, 4 * kMiB);
}

TEST_F(ReadAheadTest, no_more_than_the_limit_is_ahead_and_reading_makes_room) {
  EXPECT_TRUE(prefetch(1, 0));
  EXPECT_TRUE(prefetch(1, 1));
  EXPECT_FALSE(prefetch(1, 2));
  EXPECT_TRUE(prefetch(1, 1)) << "it is here already";
  EXPECT_EQ(ahead_blocks(), 2u);
  expect_right(1, 100, 10, Want::kExact);
  EXPECT_EQ(ahead_blocks(), 1u);
  EXPECT_TRUE(prefetch(1, 2));
  EXPECT_FALSE(prefetch(1, 3));
}

TEST_F(ReadAheadTest, what_is_still_on_its_way_counts_too) {
  world->store_executor.hold();
  EXPECT_TRUE(prefetch(1, 0));
  EXPECT_TRUE(prefetch(1, 1));
  EXPECT_FALSE(prefetch(1, 2));
  EXPECT_EQ(ahead_blocks(), 2u);
}

TEST_F(ReadAheadTest, demand_is_never_refused) {
  world->store_executor.hold();
  prefetch(1, 0);
  prefetch(1, 1);
  Thread reader("reader", [this] { expect_right(1, 9 * kMiB, 10, Want::kWholeBlock); });
  world->store_executor.wait_for_tasks(3);
  world->store_executor.release();
  reader.join();
}

TEST_F(ReadAheadTest, threads_at_once_do_not_go_over_the_limit) {
  world->store_executor.hold();
  std::vector<Thread> threads;
  for (uint64_t t = 0; t < 8; ++t) {
    threads.emplace_back("ahead", [this, t] {
      for (uint64_t i = 0; i < 5; ++i) prefetch(1, (t + i) % 5);
    });
  }
  for (Thread& thread : threads) thread.join();
  EXPECT_EQ(ahead_blocks(), 2u);
  EXPECT_EQ(gets(), 2u);
}

TEST_F(ReadAheadTest, the_account_comes_out_even_whatever_becomes_of_a_block) {
  limits.memory_bytes = 2 * kBlockBytes;
  open_with(limits);
  const auto fetch = [&] {
    prefetch(1, 0);
    prefetch(1, 1);
  };
  fetch();
  expect_right(1, 0, 8 * kMiB, Want::kWholeBlock);
  EXPECT_EQ(ahead_blocks(), 0u) << "read";
  source->drop(segment_id(1), 0, 20 * kMiB);
  fetch();
  EXPECT_EQ(ahead_blocks(), 2u);
  source->drop(segment_id(1), 0, 20 * kMiB);
  EXPECT_EQ(ahead_blocks(), 0u) << "dropped";
  fetch();
  expect_right(1, 8 * kMiB, 8 * kMiB, Want::kWholeBlock);
  EXPECT_EQ(ahead_blocks(), 0u) << "pushed out";
  source->drop(segment_id(1), 0, 20 * kMiB);
  for (const Fault fault : {Fault::kErrorBefore, Fault::kNotFound, Fault::kShort}) {
    world->store.on_get = first_gets(2, fault);
    fetch();
    EXPECT_EQ(ahead_blocks(), 0u) << "failed: " << static_cast<int>(fault);
  }
  source->drop(segment_id(1), 0, 20 * kMiB);
  fetch();
  expect_right(1, 7 * kMiB, kMiB, Want::kWholeBlock);
  EXPECT_EQ(ahead_blocks(), 1u) << "one of two read";
}

TEST_F(ReadAheadTest, a_read_behind_the_end_of_a_block_counts_as_reading_it) {
  make(2, kMiB);
  prefetch(2, 0);
  EXPECT_EQ(read(2, kMiB, 10, Want::kWholeBlock), failure(ENODATA));
  EXPECT_EQ(ahead_blocks(), 0u);
}

TEST_F(ReadAheadTest, streams_that_nobody_goes_on_with_do_not_keep_others_from_reading_ahead) {
  make(2, 8 * kMiB);
  EXPECT_TRUE(prefetch(1, 0));
  world->clock.advance(2s);
  EXPECT_TRUE(prefetch(1, 1));
  EXPECT_FALSE(prefetch(2, 0));
  world->clock.advance(limits.ahead_age_max - 2s);
  EXPECT_TRUE(prefetch(2, 0)) << "the first one lay there for long enough";
  EXPECT_FALSE(prefetch(2, 1)) << "the second did not";
  EXPECT_EQ(ahead_blocks(), 2u);
  world->clock.advance(2s);
  EXPECT_TRUE(prefetch(2, 1));
  gets();
  expect_right(1, 0, 8 * kMiB, Want::kWholeBlock);
  EXPECT_EQ(gets(), 0u) << "what was given up is still in memory";
  EXPECT_EQ(ahead_blocks(), 2u) << "and is not counted down twice";
}

TEST_F(ReadAheadTest, a_reader_asks_for_itself_when_the_read_ahead_failed) {
  world->store_executor.hold();
  world->store.on_get = first_gets(1, Fault::kTimeout);
  prefetch(1, 0);
  Thread reader("reader", [this] { expect_right(1, 0, 10, Want::kWholeBlock); });
  world->store_executor.release();
  reader.join();
  EXPECT_EQ(gets(), 2u);
  world->store.on_get = [](const Get&) { return Fault::kTimeout; };
  prefetch(1, 1);
  EXPECT_EQ(read(1, 4 * kMiB, 10, Want::kWholeBlock), failure(ETIMEDOUT));
}

TEST_F(ReadAheadTest, what_is_needed_soon_stands_with_the_readers_at_the_store) {
  prefetch(1, 0, true);
  prefetch(1, 1, false);
  const std::vector<Get> gets = world->store.take_gets();
  ASSERT_EQ(gets.size(), 2u);
  EXPECT_EQ(gets[0].priority, object::Priority::kForeground);
  EXPECT_EQ(gets[1].priority, object::Priority::kPrefetch);
}

TEST_F(ReadAheadTest, the_disk_cache_is_read_into_memory_shortly_before) {
  for (uint64_t block = 0; block < 3; ++block) fill_cache(1, block);
  forget_memory();
  EXPECT_FALSE(prefetch(1, 0, false));
  EXPECT_EQ(source->counters().disk_bytes, 0u);
  EXPECT_TRUE(prefetch(1, 0, true));
  EXPECT_EQ(source->counters().disk_bytes, 4 * kMiB);
  EXPECT_EQ(ahead_blocks(), 1u);
  expect_right(1, 0, 4 * kMiB, Want::kWholeBlock);
  EXPECT_EQ(source->counters().disk_bytes, 4 * kMiB) << "from memory";
  EXPECT_TRUE(prefetch(1, 1, true));
  EXPECT_TRUE(prefetch(1, 2, true));
  EXPECT_FALSE(prefetch(1, 3, true)) << "counted like everything else";
  EXPECT_EQ(gets(), 0u);
}

TEST_F(ReadAheadTest, a_piece_of_a_block_in_the_disk_cache_does_not_count_as_the_block) {
  expect_right(1, 0, 4096, Want::kExact);
  gets();
  EXPECT_TRUE(prefetch(1, 0));
  const std::vector<Get> gets = world->store.take_gets();
  ASSERT_EQ(gets.size(), 1u);
  EXPECT_TRUE(gets[0].whole_block());
}

TEST_F(ReadAheadTest, a_disk_cache_that_fails_is_replaced_by_the_bucket) {
  fill_cache(1);
  forget_memory();
  world->fs.fail_nth(sim::FsCall::kRead, 2, {EIO}, sim::FaultyFs::Times::kOnce);
  EXPECT_TRUE(prefetch(1, 0));
  const std::vector<Get> gets = world->store.take_gets();
  ASSERT_EQ(gets.size(), 1u);
  EXPECT_EQ(gets[0].priority, object::Priority::kForeground);
  expect_right(1, 0, 4 * kMiB, Want::kWholeBlock);
  EXPECT_EQ(this->gets(), 0u);
  EXPECT_EQ(ahead_blocks(), 0u);
}

}  // namespace
}  // namespace shoal::data
