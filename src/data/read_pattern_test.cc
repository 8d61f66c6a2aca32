#include "data/read_pattern.h"

#include <gtest/gtest.h>

namespace shoal::data {
namespace {

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kPiece = ReadPattern::kStreamAfter;
constexpr uint64_t kMax = 32 * kMiB;

TEST(ReadPattern, one_read_is_no_stream_and_the_next_one_behind_it_makes_one) {
  ReadPattern pattern;
  EXPECT_EQ(pattern.note(0, kPiece, kMax).window, 0u);
  const ReadPattern::Look look = pattern.note(kPiece, kPiece, kMax);
  EXPECT_EQ(look.window, ReadPattern::kWindowFirst);
  EXPECT_EQ(look.from, kPiece);
}

TEST(ReadPattern, a_stream_may_begin_anywhere) {
  ReadPattern pattern;
  EXPECT_EQ(pattern.note(1 << 30, kPiece, kMax).window, 0u);
  EXPECT_GT(pattern.note((1 << 30) + kPiece, kPiece, kMax).window, 0u);
}

TEST(ReadPattern, small_reads_are_a_stream_after_some_bytes_in_any_order) {
  ReadPattern pattern;
  uint64_t offset = 0;
  for (; offset + 4096 <= kPiece; offset += 4096)
    EXPECT_EQ(pattern.note(offset ^ 4096, 4096, kMax).window, 0u) << offset;
  EXPECT_GT(pattern.note(offset, 4096, kMax).window, 0u);
}

TEST(ReadPattern, random_reads_that_fall_beside_each_other_are_none) {
  ReadPattern pattern;
  for (uint64_t i = 0; i < 1000; ++i) {
    const uint64_t offset = i * 7919 % 256 * kMiB;
    EXPECT_EQ(pattern.note(offset, 4096, kMax).window, 0u);
    EXPECT_EQ(pattern.note(offset + 4096, 3 * 4096, kMax).window, 0u);
  }
}

TEST(ReadPattern, the_window_doubles_once_half_of_it_was_read_and_ends_at_its_limit) {
  ReadPattern pattern;
  uint64_t offset = 0, before = 0;
  std::vector<uint64_t> windows;
  for (int i = 0; i < 400; ++i) {
    const uint64_t window = pattern.note(offset, kMiB / 4, kMax).window;
    offset += kMiB / 4;
    if (window != before) windows.push_back(window);
    before = window;
  }
  EXPECT_EQ(windows,
            (std::vector<uint64_t>{kMiB, 2 * kMiB, 4 * kMiB, 8 * kMiB, 16 * kMiB, 32 * kMiB}));
}

TEST(ReadPattern, a_limit_of_nothing_means_no_read_ahead) {
  ReadPattern pattern;
  for (uint64_t i = 0; i < 8; ++i) EXPECT_EQ(pattern.note(i * kPiece, kPiece, 0).window, 0u);
}

TEST(ReadPattern, requests_a_little_out_of_order_are_one_stream) {
  ReadPattern pattern;
  pattern.note(0, kPiece, kMax);
  EXPECT_GT(pattern.note(kPiece, kPiece, kMax).window, 0u);
  EXPECT_GT(pattern.note(ReadPattern::kSlack, kPiece, kMax).window, 0u);
  EXPECT_GT(pattern.note(2 * kPiece, kPiece, kMax).window, 0u) << "behind the furthest one";
  EXPECT_GT(pattern.note(ReadPattern::kSlack + kPiece, kPiece, kMax).window, 0u);
}

TEST(ReadPattern, a_jump_ends_the_stream_and_the_read_after_it_may_begin_another) {
  ReadPattern pattern;
  pattern.note(0, kPiece, kMax);
  pattern.looked_to(pattern.note(kPiece, kPiece, kMax), 9 * kMiB);
  EXPECT_EQ(pattern.note(100 * kMiB, kPiece, kMax).window, 0u);
  const ReadPattern::Look look = pattern.note(100 * kMiB + kPiece, kPiece, kMax);
  EXPECT_EQ(look.window, ReadPattern::kWindowFirst) << "it starts small again";
  EXPECT_EQ(look.from, 100 * kMiB + kPiece);
}

TEST(ReadPattern, what_was_looked_at_is_not_looked_at_again) {
  ReadPattern pattern;
  pattern.note(0, kPiece, kMax);
  const ReadPattern::Look look = pattern.note(kPiece, kPiece, kMax);
  pattern.looked_to(look, kMiB);
  EXPECT_EQ(pattern.note(2 * kPiece, kPiece, kMax).from, kMiB);
  pattern.looked_to(look, kPiece);  // a slower thread of the same stream
  EXPECT_EQ(pattern.note(3 * kPiece, kPiece, kMax).from, kMiB);
}

// A slow thread of the old stream ends its look when the program already reads from the beginning
// again: nothing would be read ahead up to there.
TEST(ReadPattern, a_look_of_an_ended_stream_does_not_count_for_the_next_one) {
  ReadPattern pattern;
  pattern.note(500 * kMiB, kPiece, kMax);
  const ReadPattern::Look old = pattern.note(500 * kMiB + kPiece, kPiece, kMax);
  pattern.note(0, kPiece, kMax);
  pattern.looked_to(old, 501 * kMiB);
  EXPECT_EQ(pattern.note(kPiece, kPiece, kMax).from, kPiece);
}

}  // namespace
}  // namespace shoal::data
