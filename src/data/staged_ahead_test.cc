#include "data/staged_ahead.h"

#include <gtest/gtest.h>

namespace shoal::data {
namespace {

TEST(StagedAhead, puts_neighbours_and_what_is_near_together) {
  const SegmentId one{1, 1}, two{1, 2};
  StagedAhead ahead;
  ahead.add(two, 0, 10);
  ahead.add(one, 500'000, 500'100);
  ahead.add(one, 4096, 8192);
  ahead.add(one, 0, 4096);
  ahead.add(one, 8192 + StagedAhead::kGapMax, 100'000);
  const auto merged = ahead.merged();
  ASSERT_EQ(merged.size(), 3u);
  EXPECT_EQ(merged[0].begin, 0u);
  EXPECT_EQ(merged[0].end, 100'000u);
  EXPECT_EQ(merged[1].begin, 500'000u);
  EXPECT_EQ(merged[2].segment, two);
}

}  // namespace
}  // namespace shoal::data
