#include "engine/engine.h"

#include <gtest/gtest.h>

#include <limits>

#include "engine/rules.h"

namespace shoal::engine {
namespace {

TEST(EngineTest, prefix_end_is_the_smallest_key_behind_the_prefix) {
  EXPECT_EQ(prefix_end("a"), "b");
  EXPECT_EQ(prefix_end(std::string("a\0", 2)), "a\x01");
  EXPECT_EQ(prefix_end("a\x7f"), "a\x80");
  EXPECT_EQ(prefix_end("a\xff"), "b");
  EXPECT_EQ(prefix_end("a\xff\xff"), "b");
  EXPECT_EQ(prefix_end("\xff\xff"), "") << "nothing can be behind it";
  EXPECT_EQ(prefix_end(""), "");
}

TEST(EngineTest, counters_are_eight_bytes_little_endian) {
  EXPECT_EQ(encode_counter(1), std::string("\x01\0\0\0\0\0\0\0", 8));
  EXPECT_EQ(encode_counter(-1), std::string(8, '\xff'));
  for (const int64_t value : {int64_t{0}, int64_t{-5}, std::numeric_limits<int64_t>::min(),
                              std::numeric_limits<int64_t>::max()}) {
    EXPECT_EQ(decode_counter(encode_counter(value)).value(), value);
  }
  EXPECT_EQ(decode_counter("short").code(), EBADMSG);
  EXPECT_EQ(decode_counter("nine byte").code(), EBADMSG);
}

TEST(EngineTest, addition_of_counters_wraps) {
  EXPECT_EQ(merge_counters(Write::Kind::kMergeAdd, std::numeric_limits<int64_t>::max(), 1),
            std::numeric_limits<int64_t>::min());
}

TEST(EngineTest, a_merge_onto_what_is_no_counter_keeps_it) {
  EXPECT_EQ(merged_value(Write::Kind::kMergeAdd, "text", 1), "text");
}

TEST(EngineTest, a_batch_knows_its_size) {
  Batch batch(1);
  EXPECT_EQ(batch.bytes(), 0u);
  batch.put("key", "value");
  EXPECT_EQ(batch.bytes(), 3u + 5u + 16u);
  batch.merge_add("n", 1);
  EXPECT_EQ(batch.bytes(), 24u + 1u + 8u + 16u);
  EXPECT_EQ(batch.writes().back().value, encode_counter(1));
}

}  // namespace
}  // namespace shoal::engine
