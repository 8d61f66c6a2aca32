// Which bytes of which files nobody can read, found from the metadata.
#include "data/lost.h"

#include <gtest/gtest.h>

#include <set>

#include "meta/volume_test_util.h"

namespace shoal::data {
namespace {

using Ranges = std::vector<std::pair<uint64_t, uint64_t>>;

TEST(Lost, names_files_and_ranges_of_segments_that_no_store_has) {
  meta::TestVolume v;
  const Ino whole = v.file(kRootIno, "whole"), half = v.file(kRootIno, "half"),
            safe = v.file(kRootIno, "safe"), given_up = v.file(kRootIno, "given up");
  const SegmentId staged = v.segment(1), stored = v.segment(2), lost = v.segment(3);
  v.segment(4);  // holds nothing
  v.commit({v.data(whole, 0, 100, staged), v.data(half, 0, 1000, stored)});
  v.commit({v.data(whole, 100, 50, staged, 100)});
  v.commit({v.data(half, 200, 300, staged, 150), v.data(safe, 0, 10, stored, 1000),
            v.data(given_up, 0, 7, lost)});
  v.m().segment_stored(v.request, stored, 4096, true).value();
  v.jobs().segment_lost(lost).value();

  LostCheck check;
  check.has = [](const format::StoreRecord&, const SegmentId&) -> Result<bool> { return true; };
  LostReport report = find_lost(v.engine(), check).value();
  ASSERT_EQ(report.files.size(), 1u);
  EXPECT_EQ(report.files[0].ino, given_up);
  EXPECT_EQ(report.bytes, 7u);

  int asked = 0;
  check.has = [&](const format::StoreRecord& store, const SegmentId&) -> Result<bool> {
    ++asked;
    EXPECT_EQ(store.host, "host");
    EXPECT_EQ(store.number, v.store);
    return error(ENOTCONN, "it sleeps");
  };
  report = find_lost(v.engine(), check).value();
  EXPECT_EQ(asked, 1) << "who does not answer is asked once";
  ASSERT_EQ(report.files.size(), 3u);
  EXPECT_EQ(report.files[0].ino, whole);
  EXPECT_EQ(report.files[0].ranges, (Ranges{{0, 150}}));
  EXPECT_EQ(report.files[1].ino, half);
  EXPECT_EQ(report.files[1].ranges, (Ranges{{200, 300}}));
  EXPECT_EQ(report.files[2].bytes, 7u);
  EXPECT_EQ(report.bytes, 457u);
  ASSERT_EQ(report.stores.size(), 1u);
  EXPECT_EQ(report.stores[0].bytes, 457u);
  EXPECT_EQ(report.stores[0].why, "it sleeps");
  EXPECT_FALSE(report.more);
}

TEST(Lost, a_store_that_answers_may_miss_one_segment_and_what_was_stored_meanwhile_is_none) {
  meta::TestVolume v;
  const Ino f = v.file(kRootIno, "f");
  const SegmentId a = v.segment(1), b = v.segment(2), c = v.segment(3);
  v.commit({v.data(f, 0, 100, a), v.data(f, 100, 100, b), v.data(f, 200, 100, c)});
  LostCheck check;
  check.has = [&](const format::StoreRecord&, const SegmentId& id) -> Result<bool> {
    if (id == c) v.m().segment_stored(v.request, c, 4096, true).value();  // and is recycled
    return id == a;
  };
  const LostReport report = find_lost(v.engine(), check).value();
  ASSERT_EQ(report.files.size(), 1u);
  EXPECT_EQ(report.files[0].ranges, (Ranges{{100, 100}}));
  ASSERT_EQ(report.stores.size(), 1u);
  EXPECT_EQ(report.stores[0].segments, 1u);
}

}  // namespace
}  // namespace shoal::data
