// What every BlockCache promises, over each of them.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <functional>

#include "cache/cache_test_util.h"

namespace shoal::cache {
namespace {

struct Kind {
  const char* name;
  bool keeps;  // what was written is found while there is room
};

class Contract : public testing::TestWithParam<Kind> {
 protected:
  Contract() {
    const std::string kind = GetParam().name;
    if (kind == "null") {
      cache_ = make_null_cache();
    } else if (kind == "simulated") {
      cache_ = world_.open();
    } else {
      std::string pattern = testing::TempDir() + "shoal-cache-XXXXXX";
      CHECK(mkdtemp(pattern.data()) != nullptr);
      folder_ = pattern;
      cache_ = open_disk_cache(real_, world_.clock, folder_, small_cache()).value();
    }
  }
  ~Contract() override {
    cache_.reset();
    if (!folder_.empty()) remove_tree(real_, folder_).value();
  }

  World world_;
  RealFs real_;
  Path folder_;
  std::unique_ptr<BlockCache> cache_;
};

TEST_P(Contract, nothing_is_there_at_first) {
  EXPECT_FALSE(get(*cache_, 1, 0, 4096));
  EXPECT_FALSE(cache_->contains(chunk_key(1), 0, 4096));
  EXPECT_EQ(cache_->stats().misses, 1u);
  EXPECT_EQ(cache_->stats().hits, 0u);
  EXPECT_EQ(cache_->stats().used_bytes, 0u);
}

TEST_P(Contract, a_whole_block_written_is_found_at_any_place) {
  put(*cache_, 1, 0, kBlockBytes);
  EXPECT_EQ(get(*cache_, 1, 0, kBlockBytes), GetParam().keeps);
  EXPECT_EQ(get(*cache_, 1, 4096, 8192), GetParam().keeps);
  EXPECT_EQ(get(*cache_, 1, 4095, 2), GetParam().keeps);
  EXPECT_EQ(get(*cache_, 1, 1'000'001, 1'500'000), GetParam().keeps);
  EXPECT_EQ(get(*cache_, 1, kBlockBytes - 1, 1), GetParam().keeps);
  EXPECT_EQ(cache_->contains(chunk_key(1), 0, kBlockBytes), GetParam().keeps);
  EXPECT_EQ(cache_->stats().hits, GetParam().keeps ? 5u : 0u);
}

TEST_P(Contract, a_piece_written_is_found_and_what_lies_around_it_is_not) {
  put(*cache_, 1, 8192, 4096);
  EXPECT_EQ(get(*cache_, 1, 8192, 4096), GetParam().keeps);
  EXPECT_EQ(get(*cache_, 1, 9000, 10), GetParam().keeps);
  EXPECT_FALSE(get(*cache_, 1, 8191, 2));
  EXPECT_FALSE(get(*cache_, 1, 12287, 2));
  EXPECT_FALSE(get(*cache_, 1, 0, 4096));
  EXPECT_FALSE(cache_->contains(chunk_key(1), 8192, 4097));
  EXPECT_EQ(cache_->contains(chunk_key(1), 8192, 4096), GetParam().keeps);
}

TEST_P(Contract, pieces_join_in_any_order) {
  for (const uint32_t unit : {5u, 3u, 4u, 0u, 2u, 1u}) put(*cache_, 7, unit * 4096, 4096);
  EXPECT_EQ(get(*cache_, 7, 100, 6 * 4096 - 200), GetParam().keeps);
  put(*cache_, 7, 0, kBlockBytes);  // over what is there
  EXPECT_EQ(get(*cache_, 7, 0, kBlockBytes), GetParam().keeps);
}

TEST_P(Contract, a_short_chunk_ends_where_it_ends) {
  put(*cache_, 2, 8192, 1808, 10'000);
  EXPECT_EQ(get(*cache_, 2, 8192, 1808), GetParam().keeps);
  EXPECT_EQ(get(*cache_, 2, 9999, 1), GetParam().keeps);
  EXPECT_FALSE(get(*cache_, 2, 9999, 2));
  EXPECT_FALSE(get(*cache_, 2, 10'000, 1));
  EXPECT_FALSE(cache_->contains(chunk_key(2), 0, kBlockBytes));
  EXPECT_EQ(cache_->whole(chunk_key(2)), 0u);
  put(*cache_, 2, 0, 8192, 10'000);
  EXPECT_EQ(cache_->contains(chunk_key(2), 0, kBlockBytes), GetParam().keeps)
      << "all that the chunk has";
  EXPECT_EQ(cache_->whole(chunk_key(2)), GetParam().keeps ? 10'000u : 0u);
  EXPECT_FALSE(cache_->contains(chunk_key(2), 10'000, 1));
  put(*cache_, 3, 0, 1, 1);
  EXPECT_EQ(get(*cache_, 3, 0, 1), GetParam().keeps);
}

TEST_P(Contract, writes_that_make_no_sense_are_declined) {
  put(*cache_, 1, 1, 4096);                         // not at a unit
  put(*cache_, 1, 0, 100);                          // not a unit and not the end
  put(*cache_, 1, 0, 0);                            // nothing
  put(*cache_, 1, kBlockBytes, 4096, kBlockBytes);  // behind the end
  put(*cache_, 1, 0, 8192, 4096);                   // over the end
  put(*cache_, 1, 0, 4096, kBlockBytes + 4096);
  EXPECT_EQ(cache_->stats().fills, 0u);
  EXPECT_FALSE(get(*cache_, 1, 0, 1));
  EXPECT_FALSE(cache_->read(chunk_key(1), ~0u, {}));
}

TEST_P(Contract, what_was_forgotten_is_gone_and_may_come_again) {
  put(*cache_, 1, 0, 64 * kKiB);
  put(*cache_, 2, 0, 64 * kKiB);
  cache_->forget(chunk_key(1));
  cache_->forget(chunk_key(9));
  EXPECT_FALSE(get(*cache_, 1, 0, 1));
  EXPECT_EQ(get(*cache_, 2, 0, 1), GetParam().keeps);
  put(*cache_, 1, 0, 4096);
  EXPECT_EQ(get(*cache_, 1, 0, 4096), GetParam().keeps);
  EXPECT_FALSE(get(*cache_, 1, 4096, 1));
}

TEST_P(Contract, a_chunk_of_another_length_replaces_the_first) {
  put(*cache_, 1, 0, 8192, 8192);
  put(*cache_, 1, 0, 4096, 4096);
  EXPECT_EQ(get(*cache_, 1, 0, 4096), GetParam().keeps);
  EXPECT_FALSE(get(*cache_, 1, 4096, 1));
}

INSTANTIATE_TEST_SUITE_P(All, Contract,
                         testing::Values(Kind{"null", false}, Kind{"simulated", true},
                                         Kind{"real", true}),
                         [](const auto& kind) { return kind.param.name; });

TEST(BlockKey, keys_never_change) {
  const ChunkKey segment = segment_block_key({0x0123456789abcdef, 42}, 3);
  EXPECT_EQ(segment.high, 14110751196811942938u);
  EXPECT_EQ(segment.low, 4883965618927763030u);
  const ChunkKey object = object_block_key("s3://bucket", "a/b", "\"etag\"", 7);
  EXPECT_EQ(object.high, 10884542508818704006u);
  EXPECT_EQ(object.low, 8660651570524655065u);
}

TEST(BlockKey, every_part_counts) {
  const std::vector<ChunkKey> keys = {
      segment_block_key({1, 1}, 0),       segment_block_key({1, 1}, 1),
      segment_block_key({1, 0}, 1),       segment_block_key({0, 1}, 1),
      object_block_key("a", "b", "c", 0), object_block_key("a", "b", "c", 1),
      object_block_key("ab", "", "c", 0), object_block_key("", "ab", "c", 0),
      object_block_key("a", "bc", "", 0),
  };
  for (size_t i = 0; i < keys.size(); ++i) {
    for (size_t j = 0; j < i; ++j) EXPECT_NE(keys[i], keys[j]) << i << " " << j;
  }
}

}  // namespace
}  // namespace shoal::cache
