#include "meta/extent_map.h"

#include <gtest/gtest.h>

#include "sim/seeded_random.h"

namespace shoal::meta {
namespace {

constexpr uint64_t kFileBytes = 400;

// Each byte of the file: which slice it comes from and which byte of it; 0 is a hole.
using Bytes = std::vector<std::pair<uint64_t, uint64_t>>;

Bytes bytes_of(const ExtentMap& map) {
  Bytes bytes(kFileBytes);
  uint64_t end = 0;
  for (const auto& [offset, extent] : map.extents()) {
    EXPECT_EQ(offset, extent.offset);
    EXPECT_GE(offset, end);
    EXPECT_GT(extent.length, 0u);
    EXPECT_LE(extent.first + extent.length, extent.target.length);
    end = extent.end();
    for (uint64_t i = 0; i < extent.length; ++i) {
      bytes[offset + i] = {extent.target.segment.sequence, extent.first + i};
    }
  }
  return bytes;
}

format::Extent slice(uint64_t id, uint64_t offset, uint64_t length) {
  format::Extent extent;
  extent.offset = offset;
  extent.length = length;
  extent.target.segment = {1, id};
  extent.target.length = length;
  return extent;
}

TEST(ExtentMap, any_sequence_of_edits_equals_a_byte_array) {
  for (uint64_t round = 0; round < 200; ++round) {
    const uint64_t seed = sim::seed_or(1000) + round;
    SCOPED_TRACE(seed);
    sim::SeededRandom random(seed);
    ExtentMap map;
    Bytes model(kFileBytes);
    for (uint64_t step = 1; step <= 60; ++step) {
      const uint64_t from = random.below(kFileBytes);
      const uint64_t length = 1 + random.below(std::min<uint64_t>(kFileBytes - from, 60));
      const bool hole = random.chance(25);
      if (hole) {
        map.punch(from, from + length);
      } else {
        map.replace(slice(step, from, length));
      }
      for (uint64_t i = 0; i < length; ++i) {
        model[from + i] = hole ? std::pair<uint64_t, uint64_t>() : std::pair(step, i);
      }
      ASSERT_EQ(bytes_of(map), model) << "step " << step;
    }
  }
}

TEST(ExtentMap, neighbours_of_one_slice_are_merged) {
  const format::Extent whole = slice(1, 100, 60);
  ExtentMap map;
  map.replace(part_of(whole, 100, 120));
  map.replace(part_of(whole, 140, 160));
  EXPECT_EQ(map.size(), 2u);
  map.replace(part_of(whole, 120, 140));
  EXPECT_EQ(map.list(), std::vector{whole});
  map.replace(slice(2, 160, 5));
  EXPECT_EQ(map.size(), 2u);
}

TEST(ExtentMap, a_punch_inside_leaves_both_ends) {
  ExtentMap map({slice(1, 0, 100)});
  map.punch(40, 60);
  ASSERT_EQ(map.size(), 2u);
  EXPECT_EQ(map.list()[1].first, 60u);
  EXPECT_EQ(map.bytes(), 80u);
  map.punch(0, 100);
  EXPECT_EQ(map.size(), 0u);
}

}  // namespace
}  // namespace shoal::meta
