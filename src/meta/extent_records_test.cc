#include "meta/extent_records.h"

#include <gtest/gtest.h>

#include "engine/memory/memory_engine.h"
#include "format/keys.h"

namespace shoal::meta {
namespace {

StampedExtent record(uint64_t offset, uint64_t length) {
  StampedExtent made;
  made.extent.offset = offset;
  made.extent.length = length;
  made.extent.target.length = length;
  made.stamp = 7;
  return made;
}

std::vector<uint64_t> offsets(const std::vector<StampedExtent>& records) {
  std::vector<uint64_t> found;
  for (const StampedExtent& one : records) found.push_back(one.extent.offset);
  return found;
}

TEST(ExtentRecords, a_range_finds_what_overlaps_or_touches_it) {
  const std::vector<StampedExtent> list = {record(0, 10), record(10, 10), record(30, 5),
                                           record(50, 5)};
  using Offsets = std::vector<uint64_t>;
  EXPECT_EQ(offsets(load_part(list, 0, 5, 99)), (Offsets{0}));
  EXPECT_EQ(offsets(load_part(list, 12, 15, 99)), (Offsets{10}));
  EXPECT_EQ(offsets(load_part(list, 20, 30, 99)), (Offsets{10, 30}));
  EXPECT_EQ(offsets(load_part(list, 36, 49, 99)), (Offsets{}));
  EXPECT_EQ(offsets(load_part(list, 35, 50, 99)), (Offsets{30, 50}));
  EXPECT_EQ(offsets(load_part(list, 0, 99, 2)), (Offsets{0, 10, 30}));
  EXPECT_EQ(offsets(load_part({}, 0, 99, 2)), (Offsets{}));
}

TEST(ExtentRecords, of_an_inode_with_too_many_stay_in_the_engine) {
  const auto engine = engine::make_memory_engine();
  const ExtentStore store(*engine);
  const std::vector<StampedExtent> most(ExtentStore::kRecordsPerInode, record(0, 1));
  EXPECT_NE(store.keep(most), nullptr);
  const std::vector<StampedExtent> more(ExtentStore::kRecordsPerInode + 1, record(0, 1));
  EXPECT_EQ(store.keep(more), nullptr);
}

TEST(ExtentRecords, in_memory_are_bounded_and_what_goes_makes_room) {
  const auto engine = engine::make_memory_engine();
  const ExtentStore store(*engine);
  const std::vector<StampedExtent> most(ExtentStore::kRecordsPerInode, record(0, 1));
  std::vector<ExtentRecordsRef> kept;
  while (ExtentRecordsRef one = store.keep(most)) kept.push_back(std::move(one));
  EXPECT_EQ(kept.size(), ExtentStore::kRecordsMax / ExtentStore::kRecordsPerInode);
  kept.pop_back();
  EXPECT_NE(store.keep(most), nullptr);
}

}  // namespace
}  // namespace shoal::meta
