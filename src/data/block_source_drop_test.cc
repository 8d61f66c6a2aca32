// drop(): after a mismatch no bad copy may survive or come back, wherever it was on its way.
#include <gtest/gtest.h>

#include "data/block_source_test_util.h"
#include "sys/thread.h"

namespace shoal::data {
namespace {

class DropTest : public BlockSourceTest {
 protected:
  DropTest() { make(1, 8 * kMiB); }

  void drop() { source->drop(segment_id(1), 0, 1); }
  // Runs `what` in the middle of the next call of that kind on the cache's slab.
  void during(sim::FsCall call, std::function<void()> what) {
    auto done = std::make_shared<bool>(false);  // shared with the copies of the closure
    world->fs.decide([=](sim::FsCall made, const Path& path, uint64_t) {
      if (made == call && path == "c/slab" && !std::exchange(*done, true)) what();
      return sim::FaultyFs::Fault{};
    });
  }
  // What a read says now is what the bucket has, and only the bucket knew it.
  void expect_from_bucket(size_t requests = 1) {
    gets();
    expect_right(1, 0, 100, Want::kWholeBlock);
    EXPECT_EQ(gets(), requests);
  }
  void other_bytes_in_the_bucket() {
    std::string& object = objects[segment_id(1)];
    object = pattern(77, object.size());
    world->put(segment_id(1), object);
  }
};

TEST_F(DropTest, every_copy_goes) {
  fill_cache(1, 0);
  fill_cache(1, 1);
  other_bytes_in_the_bucket();
  drop();
  expect_from_bucket();
  EXPECT_NE(read(1, 4 * kMiB, 100, Want::kWholeBlock), bytes_of(1, 4 * kMiB, 100))
      << "other blocks stay";
  source->drop(segment_id(1), kMiB, 4 * kMiB);
  expect_right(1, 0, 8 * kMiB, Want::kWholeBlock);
}

TEST_F(DropTest, a_bad_block_does_not_reach_the_disk_cache_later) {
  world->executor.hold();
  world->store.on_get = first_gets(1, Fault::kCorrupt);
  read(1, 0, 100, Want::kWholeBlock);
  drop();
  world->executor.release();
  EXPECT_FALSE(world->cached(segment_id(1), 0));
  expect_from_bucket();
}

TEST_F(DropTest, a_bad_piece_does_not_reach_the_disk_cache_later) {
  world->executor.hold();
  world->store.on_get = first_gets(1, Fault::kCorrupt);
  read(1, 0, 100, Want::kExact);
  drop();
  world->executor.release();
  EXPECT_FALSE(world->cached(segment_id(1), 0));
  expect_from_bucket();
}

TEST_F(DropTest, a_bad_block_that_is_being_written_to_the_disk_cache_is_forgotten) {
  for (const Want want : {Want::kExact, Want::kWholeBlock}) {
    world->executor.hold();
    world->store.on_get = first_gets(1, Fault::kCorrupt);
    read(1, 0, 100, want);
    during(sim::FsCall::kWrite, [&] { drop(); });
    world->executor.release();
    EXPECT_FALSE(world->cached(segment_id(1), 0));
    expect_from_bucket();
    drop();
  }
}

TEST_F(DropTest, a_bad_copy_that_is_being_read_from_the_disk_cache_is_not_believed) {
  fill_cache(1);
  other_bytes_in_the_bucket();
  forget_memory();
  during(sim::FsCall::kRead, [&] { drop(); });
  expect_from_bucket();  // a reader who has to wait loads it himself
  source->drop(segment_id(1), 0, 1);

  objects[segment_id(1)] = pattern(1, 8 * kMiB);
  world->put(segment_id(1), objects[segment_id(1)]);
  fill_cache(1);
  other_bytes_in_the_bucket();
  forget_memory();
  during(sim::FsCall::kRead, [&] { drop(); });
  prefetch(1, 0);
  EXPECT_EQ(gets(), 1u);
  expect_right(1, 0, 100, Want::kWholeBlock);
}

TEST_F(DropTest, what_the_bucket_is_sending_stays_and_nobody_asks_twice) {
  world->store_executor.hold();
  prefetch(1, 0);
  drop();
  Thread reader("reader", [this] { expect_right(1, 0, 100, Want::kWholeBlock); });
  drop();
  world->store_executor.release();
  reader.join();
  EXPECT_EQ(gets(), 1u);
  EXPECT_TRUE(world->cached(segment_id(1), 0)) << "it is fresh";
}

// The block that failed is not the one that is here now.
TEST_F(DropTest, a_late_failure_takes_no_other_block_with_it) {
  fill_cache(1);
  forget_memory();
  world->store.on_get = [](const Get&) { return Fault::kErrorBefore; };
  during(sim::FsCall::kRead, [&] { drop(); });
  EXPECT_EQ(read(1, 0, 100, Want::kWholeBlock), failure(EIO));
  world->store.on_get = nullptr;
  expect_from_bucket();
  expect_from_bucket(0);
}

TEST_F(DropTest, a_whole_segment_with_what_is_on_its_way) {
  world->executor.hold();
  expect_right(1, 0, 8 * kMiB, Want::kWholeBlock);
  EXPECT_EQ(world->executor.waiting(), 2u);
  source->drop(segment_id(1), 0, kSegmentBytesMax + kBlockBytes);
  world->executor.release();
  EXPECT_FALSE(world->cached(segment_id(1), 0));
  EXPECT_FALSE(world->cached(segment_id(1), 1));
  world->remove(segment_id(1));
  EXPECT_EQ(read(1, 0, 100, Want::kWholeBlock), failure(ENOENT));
}

}  // namespace
}  // namespace shoal::data
