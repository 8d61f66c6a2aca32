// The stream itself: what it holds, what refuses to be dumped, what a damaged one does.
#include "meta/dump.h"

#include "meta/dump_test_util.h"

namespace shoal::meta {
namespace {

class DumpTest : public testing::Test {
 protected:
  DumpTest() : v(spec_with_trash()) {
    fill(v);
    fence(v.engine(), v);
  }
  std::string dump_now() { return dumped(v.engine(), v).value(); }
  // The load fails with one of these, and there is no volume afterwards.
  void expect_refused(std::string_view stream, std::vector<int> codes) {
    const auto engine = engine::make_memory_engine();
    const auto report = loaded(*engine, stream, v.random);
    ASSERT_FALSE(report.ok());
    EXPECT_TRUE(std::find(codes.begin(), codes.end(), report.code()) != codes.end())
        << report.error().to_string();
    EXPECT_FALSE(read_volume(*engine).ok());
    EXPECT_EQ(report.error().text().find('\n'), std::string::npos);
  }

  TestVolume v;
};

TEST_F(DumpTest, the_totals_count_what_is_there) {
  DumpReport report;
  const std::string stream = dumped(v.engine(), v, &report).value();
  EXPECT_EQ(report.footer.totals.keys, travelling(v.engine()).size());
  EXPECT_EQ(count_of(report.footer.totals, 'I'), v.all("I").size());
  EXPECT_GT(count_of(report.footer.totals, 'E'), 0u);
  EXPECT_GT(count_of(report.footer.totals, 'G'), 0u);
  EXPECT_GT(count_of(report.footer.totals, 'T'), 0u);
  EXPECT_GT(count_of(report.footer.totals, 'X'), 0u);
  EXPECT_GT(count_of(report.footer.totals, 'R'), 0u);
  EXPECT_GT(report.footer.chunks, 5u);
  EXPECT_EQ(report.header.volume.epoch, read_volume(v.engine()).value().epoch);
  DumpReport again;
  EXPECT_NE(dumped(v.engine(), v, &again).value(), stream) << "each dump has an id of its own";
  EXPECT_EQ(again.footer.totals, report.footer.totals);
}

TEST_F(DumpTest, a_stream_that_ends_early_makes_no_volume) {
  const std::string stream = dump_now();
  for (size_t end = 0; end < stream.size(); end += 1 + end % 97) {
    expect_refused(stream.substr(0, end), {EBADMSG});
  }
  expect_refused(stream.substr(0, stream.size() - 1), {EBADMSG});
}

TEST_F(DumpTest, a_flipped_bit_anywhere_makes_no_volume) {
  const std::string stream = dump_now();
  for (size_t at = 0; at < stream.size(); ++at) {
    std::string bad = stream;
    bad[at] = static_cast<char>(bad[at] ^ (1 << at % 8));
    expect_refused(bad, {EBADMSG, ENOTSUP});
  }
}

TEST_F(DumpTest, parts_of_another_dump_or_in_another_order_make_no_volume) {
  const std::string one = dump_now();
  const std::string two = dump_now();
  const size_t half = one.size() / 2;
  ASSERT_EQ(one.size(), two.size());
  expect_refused(one.substr(0, half) + two.substr(half), {EBADMSG});
  expect_refused(one + one, {EBADMSG});
  expect_refused(one + "x", {EBADMSG});
}

TEST_F(DumpTest, a_newer_version_and_what_is_no_dump_are_told_apart) {
  std::string stream = dump_now();
  expect_refused("hello, this is a text of some length and no dump of anything", {EBADMSG});
  stream[format::kDumpMagic.size() + 4] = 2;
  expect_refused(stream, {ENOTSUP});
}

TEST_F(DumpTest, what_is_staged_or_not_complete_cannot_be_dumped) {
  EXPECT_TRUE(check_nothing_staged(v.engine()).ok());
  v.open();
  const SegmentId id = v.segment(2);
  fence(v.engine(), v);
  const auto staged = dumped(v.engine(), v);
  EXPECT_EQ(staged.code(), EBUSY);
  EXPECT_NE(staged.error().text().find("/state of host host"), std::string::npos)
      << staged.error().text();
  v.open();
  v.m().segment_stored(v.request, id, 100, /*complete=*/false).value();
  fence(v.engine(), v);
  EXPECT_EQ(dumped(v.engine(), v).code(), EBUSY);
  v.open();
  v.m().segment_stored(v.request, id, 100, /*complete=*/true).value();
  fence(v.engine(), v);
  EXPECT_TRUE(dumped(v.engine(), v).ok());
}

TEST_F(DumpTest, an_open_session_or_a_newer_owner_ends_the_dump) {
  v.open();  // and is still there
  const auto mounted = dumped(v.engine(), v);
  ASSERT_EQ(mounted.code(), EBUSY);
  EXPECT_NE(mounted.error().text().find("is mounted on host host (test)"), std::string::npos);
  EXPECT_TRUE(check_no_session(v.engine(), Sessions::kOutliving).ok()) << "it ends with its owner";
  fence(v.engine(), v);
  bool taken = false;
  const auto sink = [&](ByteView) -> Status {
    if (!std::exchange(taken, true)) fence(v.engine(), v);
    return {};
  };
  EXPECT_EQ(dump(v.engine(), v.clock, v.random, sink, {}).code(), ESTALE);
}

TEST_F(DumpTest, a_session_that_outlives_owners_is_not_left_behind) {
  v.open();
  v.owner->sessions()->open_kept_session("far", "mount").value();
  fence(v.engine(), v);
  EXPECT_EQ(check_no_session(v.engine(), Sessions::kOutliving).code(), EBUSY);
  EXPECT_EQ(dumped(v.engine(), v).code(), EBUSY);
}

TEST_F(DumpTest, keys_that_only_a_newer_program_knows_are_not_left_behind) {
  engine::Batch batch(1);
  batch.insert("e?", "x");
  v.engine().commit(batch).value();
  EXPECT_EQ(dumped(v.engine(), v).code(), ENOTSUP);
}

TEST_F(DumpTest, a_volume_that_moved_away_is_not_opened_until_it_is_taken_back) {
  DumpReport report;
  dumped(v.engine(), v, &report).value();
  move_away(v.engine(), report, v.clock).value();
  move_away(v.engine(), report, v.clock).value();  // the reply may have been lost
  EXPECT_TRUE(read_volume(v.engine()).value().moved.has_value());
  const auto refused = open_owner(v.engine(), v.clock, v.random, *v.executor);
  ASSERT_EQ(refused.code(), ESTALE);
  EXPECT_NE(refused.error().text().find("--take-over"), std::string::npos);

  // The dump may be repeated: the file was lost.
  fence(v.engine(), v, {.though_moved = true});
  DumpReport again;
  dumped(v.engine(), v, &again).value();
  EXPECT_FALSE(again.header.volume.moved.has_value());
  EXPECT_EQ(move_away(v.engine(), report, v.clock).code(), ESTALE) << "that dump is an older one";

  fence(v.engine(), v, {.redraw_lineage = true});
  EXPECT_FALSE(read_volume(v.engine()).value().moved.has_value());
  EXPECT_NE(read_volume(v.engine()).value().lineage, report.header.volume.lineage);
  v.open();
}

}  // namespace
}  // namespace shoal::meta
