// What is fetched, how often, and from where.
#include "data/block_source.h"

#include <gtest/gtest.h>

#include <atomic>

#include "data/block_source_test_util.h"
#include "sys/thread.h"

namespace shoal::data {
namespace {

constexpr size_t kBig = 256 << 10;  // from this size on the cache's disk is read directly

TEST_F(BlockSourceTest, a_lone_small_read_fetches_its_range_only_and_the_disk_cache_keeps_it) {
  make(1, 5 * kMiB);
  expect_right(1, 10'000, 100, Want::kExact);
  const std::vector<Get> gets = world->store.take_gets();
  ASSERT_EQ(gets.size(), 1u);
  EXPECT_EQ(gets[0].offset, 8192u);
  EXPECT_EQ(gets[0].bytes, 4096u);
  expect_right(1, 8192, 4096, Want::kExact);
  EXPECT_EQ(this->gets(), 0u);
  EXPECT_EQ(source->counters().disk_bytes, 4096u);
}

TEST_F(BlockSourceTest, a_second_exact_read_in_a_block_fetches_all_of_it) {
  make(1, 5 * kMiB);
  expect_right(1, 0, 100, Want::kExact);
  expect_right(1, kMiB, 100, Want::kExact);
  expect_right(1, 2 * kMiB, 100, Want::kExact);
  const std::vector<Get> gets = world->store.take_gets();
  ASSERT_EQ(gets.size(), 2u);
  EXPECT_TRUE(gets[1].whole_block());
}

TEST_F(BlockSourceTest, a_range_over_several_blocks_and_the_short_last_one) {
  make(1, 9 * kMiB + 777);
  expect_right(1, 3 * kMiB, 6 * kMiB + 777, Want::kWholeBlock);
  EXPECT_EQ(gets(), 3u);
  EXPECT_EQ(source->counters().store_bytes, 9 * kMiB + 777);
  expect_right(1, 9 * kMiB, 777, Want::kWholeBlock);
  forget_memory();
  expect_right(1, 8 * kMiB, kMiB + 777, Want::kWholeBlock);
  expect_right(1, 9 * kMiB + 770, 7, Want::kWholeBlock);
  expect_right(1, 9 * kMiB + 700, 77, Want::kExact);
  EXPECT_EQ(gets(), 0u) << "the disk cache has it, the short block too";
}

TEST_F(BlockSourceTest, what_the_object_does_not_have_is_an_error_and_never_zeros) {
  make(1, kMiB + 5);
  for (const Want want : {Want::kExact, Want::kWholeBlock}) {
    EXPECT_EQ(read(1, kMiB, 6, want), failure(ENODATA));
    EXPECT_EQ(read(1, kMiB + 5, 1, want), failure(ENODATA));
    EXPECT_EQ(read(1, 8 * kMiB, 1, want), failure(ENODATA));
    EXPECT_EQ(read(2, 0, 1, want), failure(ENOENT));
  }
  expect_right(1, kMiB, 5, Want::kExact);
}

TEST_F(BlockSourceTest, many_readers_of_a_block_make_one_request) {
  make(1, 4 * kMiB);
  world->store_executor.hold();
  std::vector<Thread> readers;
  for (uint64_t i = 0; i < 8; ++i) {
    readers.emplace_back("reader",
                         [this, i] { expect_right(1, i * 1000, 500, Want::kWholeBlock); });
  }
  world->store_executor.wait_for_tasks(1);
  world->store_executor.release();
  for (Thread& reader : readers) reader.join();
  EXPECT_EQ(gets(), 1u);
}

TEST_F(BlockSourceTest, many_readers_of_a_cached_block_make_one_read_of_the_disk) {
  make(1, 4 * kMiB);
  fill_cache(1);
  forget_memory();
  std::vector<Thread> readers;
  for (uint64_t i = 0; i < 8; ++i) {
    readers.emplace_back("reader",
                         [this, i] { expect_right(1, i * 1000, 500, Want::kWholeBlock); });
  }
  for (Thread& reader : readers) reader.join();
  EXPECT_EQ(gets(), 0u);
  EXPECT_EQ(source->counters().disk_bytes, 4 * kMiB);
}

TEST_F(BlockSourceTest, a_failing_fetch_wakes_all_who_wait_and_the_next_one_tries_again) {
  make(1, 4 * kMiB);
  world->store.on_get = [](const Get&) { return Fault::kErrorBefore; };
  world->store_executor.hold();
  std::atomic<int> failed{0};
  std::vector<Thread> readers;
  for (int i = 0; i < 8; ++i) {
    readers.emplace_back("reader", [this, &failed] {
      if (read(1, 0, 10, Want::kWholeBlock) == failure(EIO)) ++failed;
    });
  }
  world->store_executor.wait_for_tasks(1);
  world->store_executor.release();
  for (Thread& reader : readers) reader.join();
  EXPECT_EQ(failed, 8);
  world->store.on_get = nullptr;
  expect_right(1, 0, 10, Want::kWholeBlock);
}

TEST_F(BlockSourceTest, a_block_that_is_pushed_out_while_somebody_waits_for_it_still_serves_him) {
  limits.memory_bytes = kBlockBytes;  // one
  open_with(limits);
  make(1, 4 * kMiB);
  make(2, 4 * kMiB);
  // Block 1 is written to the cache's disk before its reader goes on; another block comes then.
  bool pushed = false;
  world->fs.decide([&](sim::FsCall call, const Path& path, uint64_t) {
    if (call == sim::FsCall::kWrite && path == "c/slab" && !pushed) {
      pushed = true;
      expect_right(2, 0, 10, Want::kWholeBlock);
    }
    return sim::FaultyFs::Fault{};
  });
  expect_right(1, 0, 10, Want::kWholeBlock);
  EXPECT_TRUE(pushed);
}

TEST_F(BlockSourceTest, memory_keeps_so_many_blocks_and_lets_the_oldest_go) {
  open_without_disk_cache();
  limits.memory_bytes = 2 * kBlockBytes;
  open_with(limits);
  for (uint64_t n = 1; n <= 3; ++n) make(n, 4 * kMiB);
  for (uint64_t n = 1; n <= 3; ++n) expect_right(n, 0, 10, Want::kWholeBlock);
  gets();
  expect_right(2, 0, 10, Want::kExact);
  expect_right(3, 0, 10, Want::kExact);
  EXPECT_EQ(gets(), 0u);
  expect_right(1, 0, 10, Want::kExact);
  EXPECT_EQ(gets(), 1u);
}

// Else a block that was dropped and fetched anew would go when its former self had its turn.
TEST_F(BlockSourceTest, a_dropped_block_leaves_nothing_behind_in_the_order_of_memory) {
  open_without_disk_cache();
  limits.memory_bytes = 2 * kBlockBytes;
  open_with(limits);
  for (uint64_t n = 1; n <= 3; ++n) make(n, 4 * kMiB);
  expect_right(1, 0, 10, Want::kWholeBlock);
  source->drop(segment_id(1), 0, 1);
  expect_right(2, 0, 10, Want::kWholeBlock);
  expect_right(1, 0, 10, Want::kWholeBlock);
  expect_right(3, 0, 10, Want::kWholeBlock);  // 2 goes, not 1
  EXPECT_EQ(gets(), 4u);
  expect_right(1, 0, 10, Want::kWholeBlock);
  expect_right(3, 0, 10, Want::kWholeBlock);
  EXPECT_EQ(gets(), 0u);
}

TEST_F(BlockSourceTest, a_piece_that_the_store_sends_for_a_block_is_kept_nowhere) {
  make(1, 4 * kMiB);
  world->store.on_get = first_gets(1, Fault::kShort);
  EXPECT_EQ(read(1, 0, 10, Want::kWholeBlock), failure(ENODATA));
  EXPECT_FALSE(world->cached(segment_id(1), 0));
  expect_right(1, 3 * kMiB, 10, Want::kWholeBlock);
  EXPECT_EQ(world->cache->whole(cache::segment_block_key(segment_id(1), 0)), 4 * kMiB);
}

TEST_F(BlockSourceTest, a_disk_cache_that_fails_in_the_middle_is_a_miss) {
  make(1, 4 * kMiB);
  for (const size_t length : {size_t{100}, 2 * kBig}) {  // the whole block is loaded; read directly
    SCOPED_TRACE(length);
    fill_cache(1);
    forget_memory();
    world->fs.fail_nth(sim::FsCall::kRead, length == 100 ? 1 : 2, {EIO},
                       sim::FaultyFs::Times::kOnce);
    expect_right(1, 0, length, Want::kWholeBlock);
    if (length == 100) {
      EXPECT_EQ(gets(), 1u);
    }
    world->fs.decide(nullptr);
    source->drop(segment_id(1), 0, 1);
  }
}

TEST_F(BlockSourceTest, without_a_disk_cache_everything_comes_from_memory_and_the_bucket) {
  open_without_disk_cache();
  make(1, 5 * kMiB);
  expect_right(1, 0, 5 * kMiB, Want::kWholeBlock);
  expect_right(1, 100, 4 * kMiB, Want::kExact);
  EXPECT_EQ(gets(), 2u);
}

TEST_F(BlockSourceTest, what_waits_for_the_cache_disk_is_bounded) {
  limits.fill_bytes_max = 2 * kBlockBytes;
  open_with(limits);
  for (uint64_t n = 1; n <= 4; ++n) make(n, 4 * kMiB);
  world->executor.hold();  // the disk is slow
  for (uint64_t n = 1; n <= 3; ++n) expect_right(n, 0, 10, Want::kWholeBlock);
  expect_right(4, 0, 10, Want::kExact);
  EXPECT_EQ(world->executor.waiting(), 2u);
  EXPECT_EQ(source->counters().fills_declined, 2u);
  world->executor.release();
  EXPECT_TRUE(world->cached(segment_id(1), 0));
  EXPECT_TRUE(world->cached(segment_id(2), 0));
  EXPECT_FALSE(world->cached(segment_id(3), 0));
  expect_right(4, kMiB, 10, Want::kWholeBlock);
  EXPECT_TRUE(world->cached(segment_id(4), 0)) << "there is room again";
}

TEST_F(BlockSourceTest, read_ahead_keeps_the_pace_of_the_cache_disk) {
  limits.fill_bytes_max = 2 * kBlockBytes;
  limits.fill_patience = std::chrono::minutes(1);
  open_with(limits);
  make(1, 40 * kMiB);
  world->executor.hold();
  ASSERT_TRUE(prefetch(1, 0));
  ASSERT_TRUE(prefetch(1, 1));
  world->executor.wait_for_tasks(2);
  // Each block waits until one before it is written.
  std::atomic<bool> ahead{false};
  Thread stream("stream", [&] {
    for (uint64_t n = 2; n < 8; ++n) ASSERT_TRUE(prefetch(1, n));
    ahead = true;
  });
  while (!ahead) world->executor.run_one();
  stream.join();
  world->executor.release();
  EXPECT_EQ(source->counters().fills_declined, 0u);
  for (uint64_t n = 0; n < 8; ++n) EXPECT_TRUE(world->cached(segment_id(1), n)) << n;
}

TEST_F(BlockSourceTest, read_ahead_does_not_wait_for_a_cache_disk_that_stands_still) {
  limits.fill_bytes_max = 2 * kBlockBytes;
  open_with(limits);
  make(1, 40 * kMiB);
  world->executor.hold();
  for (uint64_t n = 0; n < 6; ++n) EXPECT_TRUE(prefetch(1, n));
  EXPECT_EQ(source->counters().fills_declined, 4u);
  world->executor.release();
}

TEST_F(BlockSourceTest, only_so_many_blocks_are_fetched_at_once_and_others_read_exactly) {
  limits.ahead_bytes_max = 200 * kMiB;
  open_with(limits);
  make(1, 4 * kMiB);
  make(2, 4 * kMiB);
  world->store_executor.hold();
  uint64_t started = 0;
  while (prefetch(1, started)) ++started;
  EXPECT_EQ(started, 24u);
  Thread reader("reader", [this] { expect_right(2, 0, 10, Want::kWholeBlock); });
  world->store_executor.wait_for_tasks(started + 1);
  EXPECT_FALSE(world->store.gets().back().whole_block());
  world->store_executor.release();
  reader.join();
}

TEST_F(BlockSourceTest, it_goes_only_when_nothing_is_under_way) {
  make(1, 8 * kMiB);
  world->store_executor.hold();
  world->executor.hold();
  ASSERT_TRUE(prefetch(1, 0));
  ASSERT_TRUE(prefetch(1, 1));
  std::atomic<bool> gone{false};
  Thread destroyer("destroyer", [&] {
    source.reset();
    gone = true;
  });
  EXPECT_EQ(world->store_executor.release(), 2u);
  EXPECT_EQ(world->executor.waiting(), 2u);
  EXPECT_FALSE(gone);
  world->executor.release();
  destroyer.join();
}

}  // namespace
}  // namespace shoal::data
