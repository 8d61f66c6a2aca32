// Data operations becoming part of inodes, segments, and freeing.
#include "engine/faulty/faulty_engine.h"
#include "meta/volume_test_util.h"

namespace shoal::meta {
namespace {

constexpr Ino kRoot = kRootIno;
using Kind = DataOutcome::Kind;
using Kinds = std::vector<Kind>;
using format::RecordKind;

TEST(CommitData, applies_in_order_once_and_says_so) {
  TestVolume v;
  const Ino f = v.file(kRoot, "f");
  const SegmentId s = v.segment(1);
  v.clock.advance(std::chrono::seconds(3));
  const std::vector<DataRecord> records = {v.data(f, 0, 100, s, 1000), v.data(f, 50, 100, s, 2000)};
  EXPECT_EQ(v.commit(records), (Kinds{Kind::kApplied, Kind::kApplied}));
  EXPECT_EQ(v.attr(f).size, 150u);
  EXPECT_EQ(v.attr(f).allocated, 150u);
  EXPECT_EQ(v.attr(f).mtime, v.clock.now());
  ASSERT_EQ(v.extents(f).size(), 2u);
  EXPECT_EQ(v.extents(f)[0].length, 50u);
  EXPECT_EQ(v.extents(f)[1].target.offset, 2000u);
  EXPECT_EQ(v.live(s), 150);
  const Stamp version = v.attr(f).data_version;
  EXPECT_EQ(v.commit(records), (Kinds{Kind::kAlready, Kind::kAlready}));
  EXPECT_EQ(v.attr(f).data_version, version);
  v.check();
  v.open();
  EXPECT_EQ(v.commit(records), (Kinds{Kind::kAlready, Kind::kAlready}));
  v.check();
}

// The records of a large writer: pieces of one slice.
TEST(CommitData, pieces_of_one_slice_become_one_extent_however_they_come) {
  TestVolume v;
  const Ino f = v.file(kRoot, "f");
  const SegmentId s = v.segment(1), other = v.segment(2);
  const auto piece = [&](uint64_t offset, uint64_t length, uint64_t first) {
    DataRecord record = v.data(f, offset, length, s, 4096);
    record.target->length = 1 << 20;
    record.first = first;
    return record;
  };
  for (int i = 0; i < 10; ++i) v.commit({v.data(f, 20 * i, 10, other, 1000 * i)});  // E records
  v.commit({piece(4096, 4096, 0), piece(8192, 4096, 4096)});
  v.commit({piece(12288, 4096, 8192)});
  v.open();
  v.commit({piece(16384, 4096, 12288)});
  ASSERT_EQ(v.extents(f).size(), 11u);
  const format::Extent last = v.extents(f).back();
  EXPECT_EQ(last.offset, 4096u);
  EXPECT_EQ(last.length, 16384u);
  EXPECT_EQ(last.first, 0u);
  EXPECT_EQ(last.target.length, 1u << 20);
  EXPECT_EQ(v.live(s), 16384);
  v.check();
  EXPECT_EQ(v.commit({piece(1 << 20, 4096, (1 << 20) - 4095)}), Kinds{Kind::kConflict});
  v.last_sequence.clear();
  v.commit({piece(1 << 20, 1000, 20480)});  // a gap: another extent of the same slice
  EXPECT_EQ(v.extents(f).size(), 12u);
  EXPECT_EQ(v.extents(f).back().first, 20480u);
  v.check();
}

TEST(CommitData, a_record_whose_predecessor_is_missing_is_a_conflict) {
  TestVolume v;
  const Ino f = v.file(kRoot, "f");
  const SegmentId s = v.segment(1);
  const DataRecord first = v.data(f, 0, 10, s), second = v.data(f, 10, 10, s, 100);
  EXPECT_EQ(v.commit({second}), Kinds{Kind::kConflict});
  EXPECT_EQ(v.commit({first}), Kinds{Kind::kApplied});
  EXPECT_EQ(v.commit({second}), Kinds{Kind::kApplied});
  DataRecord stale = v.data(f, 0, 10, s);
  stale.header.previous_sequence = 0;
  stale.header.base_version -= 1;
  EXPECT_EQ(v.commit({stale}), Kinds{Kind::kConflict});
  EXPECT_EQ(v.live(s), 20);
  v.check();
}

TEST(CommitData, another_store_continues_only_from_the_version_it_saw) {
  TestVolume v;
  const Ino f = v.file(kRoot, "f");
  const SegmentId s = v.segment(1);
  v.commit({v.data(f, 0, 10, s)});
  DataRecord theirs = v.data(f, 0, 10, s, 50);
  theirs.header.previous_sequence = 0;
  theirs.header.sequence = 1;
  const DataRecord late = [&] {
    auto r = theirs;
    r.header.sequence = 2;
    return r;
  }();
  EXPECT_EQ(v.m().commit_data(v.request, v.store + 1, {theirs})->outcomes[0].kind, Kind::kApplied);
  EXPECT_EQ(v.m().commit_data(v.request, v.store + 2, {late})->outcomes[0].kind, Kind::kConflict);
}

TEST(CommitData, unknown_inodes_and_generations_are_dropped_and_bad_records_refused) {
  TestVolume v;
  const Ino f = v.file(kRoot, "f"), g = v.file(kRoot, "g");
  const SegmentId s = v.segment(1);
  DataRecord wrong = v.data(f, 0, 10, s);
  wrong.header.generation ^= 1;
  DataRecord gone = v.data(g, 0, 10, s);
  v.m().unlink(v.request, kRoot, "g").value();
  EXPECT_EQ(v.commit({wrong, gone}), (Kinds{Kind::kNoInode, Kind::kNoInode}));
  v.last_sequence.clear();
  DataRecord unknown = v.data(f, 0, 10, SegmentId{1, 999});
  EXPECT_EQ(v.commit({unknown}), Kinds{Kind::kConflict});
  v.last_sequence.clear();
  DataRecord empty = v.data(f, 0, 0, s);
  EXPECT_EQ(v.commit({empty}), Kinds{Kind::kConflict});
  v.last_sequence.clear();
  DataRecord far = v.data(f, kFileBytesMax - 5, 10, s);
  EXPECT_EQ(v.commit({far}), Kinds{Kind::kConflict});
  EXPECT_EQ(v.live(s), 0);
  v.check();
}

TEST(CommitData, truncate_punch_zero_and_times) {
  TestVolume v;
  const Ino f = v.file(kRoot, "f");
  const SegmentId s = v.segment(1);
  v.commit({v.data(f, 0, 1000, s)});
  v.commit({v.operation(RecordKind::kPunch, f, 100, 50)});
  EXPECT_EQ(v.attr(f).size, 1000u);
  EXPECT_EQ(v.attr(f).allocated, 950u);
  v.commit({v.operation(RecordKind::kTruncate, f, 500, 0)});
  EXPECT_EQ(v.attr(f).size, 500u);
  EXPECT_EQ(v.live(s), 450);
  v.commit({v.operation(RecordKind::kTruncate, f, 800, 0)});
  EXPECT_EQ(v.attr(f).size, 800u);
  EXPECT_EQ(v.extents(f).size(), 2u);
  v.commit({v.operation(RecordKind::kZero, f, 700, 300)});
  EXPECT_EQ(v.attr(f).size, 1000u);
  DataRecord keep = v.operation(RecordKind::kZero, f, 400, 1000);
  keep.header.flags = format::kRecordKeepSize;
  v.commit({keep});
  EXPECT_EQ(v.attr(f).size, 1000u);
  EXPECT_EQ(v.attr(f).allocated, 350u);
  const Stamp version = v.attr(f).data_version;
  DataRecord times = v.operation(RecordKind::kTimes, f, 0, 0);
  times.header.flags = format::kRecordAtime;
  times.header.mtime = {-7, 5};
  times.header.atime = {8, 6};
  EXPECT_EQ(v.commit({times}), Kinds{Kind::kApplied});
  EXPECT_EQ(v.attr(f).mtime, (Time{-7, 5}));
  EXPECT_EQ(v.attr(f).atime, (Time{8, 6}));
  EXPECT_EQ(v.attr(f).ctime, v.clock.now());
  EXPECT_EQ(v.attr(f).data_version, version);
  v.check();
}

TEST(CommitData, appends_are_placed_at_the_end_of_file) {
  TestVolume v;
  const Ino f = v.file(kRoot, "f");
  const SegmentId s = v.segment(1);
  v.commit({v.data(f, 0, 100, s)});
  DataRecord append = v.data(f, 0, 20, s, 500);
  append.append = true;
  EXPECT_EQ(v.m().commit_data(v.request, v.store, {append})->outcomes[0].placed_at, 100u);
  EXPECT_EQ(v.attr(f).size, 120u);
}

TEST(CommitData, extents_move_to_records_of_their_own_and_back) {
  TestVolume v;
  const Ino f = v.file(kRoot, "f");
  const SegmentId s = v.segment(1);
  for (uint64_t i = 0; i < 6; ++i) {
    v.commit({v.data(f, i * 20, 10, s, i * 100)});
    EXPECT_EQ(v.all("E").size(), i < kExtentsInline ? 0 : i + 1);
    v.check();
  }
  EXPECT_EQ(v.extents(f).size(), 6u);
  v.open();
  EXPECT_EQ(v.extents(f).size(), 6u);
  v.commit({v.operation(RecordKind::kTruncate, f, 25, 0)});
  EXPECT_EQ(v.all("E").size(), 0u);
  EXPECT_EQ(v.extents(f).size(), 2u);
  EXPECT_EQ(v.live(s), 15);
  v.check();
}

// Fills `f` with `count` extents of 1 byte, each of a slice of its own.
void fill(TestVolume& v, Ino f, const SegmentId& s, uint64_t count) {
  for (uint64_t begin = 0; begin < count; begin += 500) {
    std::vector<DataRecord> records;
    for (uint64_t i = begin; i < std::min(count, begin + 500); ++i) {
      records.push_back(v.data(f, i * 2, 1, s, i * 300));
    }
    v.commit(records);
  }
}

TEST(CommitData, a_truncate_of_thousands_of_extents_is_done_in_pages) {
  TestVolume v;
  const Ino f = v.file(kRoot, "f");
  const SegmentId s = v.segment(1);
  fill(v, f, s, 2600);
  v.check();
  EXPECT_EQ(v.commit({v.operation(RecordKind::kTruncate, f, 101, 0), v.data(f, 200, 7, s, 9)}),
            (Kinds{Kind::kApplied, Kind::kApplied}));
  EXPECT_EQ(v.attr(f).size, 207u);
  EXPECT_EQ(v.live(s), 51 + 7);
  EXPECT_EQ(v.all("G").size(), 0u);
  v.check();
  v.commit({v.operation(RecordKind::kPunch, f, 0, 1000)});
  EXPECT_EQ(v.attr(f).allocated, 0u);
  v.check();
}

TEST(CommitData, a_truncate_cut_by_a_crash_is_finished_by_the_next_owner) {
  auto memory = engine::make_memory_engine();
  int commits_left = INT32_MAX;
  auto faulty = engine::make_faulty_engine(*memory, [&](engine::Call call, uint64_t) {
    const bool fail = call == engine::Call::kCommit && commits_left-- <= 0;
    return fail ? engine::Fault::kError : engine::Fault::kNone;
  });
  TestVolume v({.name = "v", .bucket = "b", .trash_days = 0}, faulty.get());
  const Ino f = v.file(kRoot, "f");
  const SegmentId s = v.segment(1);
  fill(v, f, s, 2600);
  const auto record = v.operation(RecordKind::kTruncate, f, 0, 0);
  commits_left = 2;  // the marker and one page
  EXPECT_EQ(v.m().commit_data(v.request, v.store, {record}).code(), EIO);
  EXPECT_EQ(v.m().getattr(v.request, f).code(), EIO);
  commits_left = INT32_MAX;
  v.open();
  EXPECT_EQ(v.attr(f).size, 0u);
  EXPECT_EQ(v.live(s), 0);
  EXPECT_EQ(v.commit({record}), Kinds{Kind::kAlready});
  v.check();
}

TEST(Reclaim, a_file_of_many_extents_goes_in_the_background) {
  TestVolume v;
  const Ino f = v.file(kRoot, "f");
  const SegmentId s = v.segment(1);
  fill(v, f, s, 2100);
  v.m().unlink(v.request, kRoot, "f").value();
  EXPECT_EQ(v.m().getattr(v.request, f).code(), ENOENT);
  EXPECT_EQ(v.all("G").size(), 1u);
  v.check();
  v.executor->run_ready();
  EXPECT_EQ(v.all("G").size() + v.all("E").size(), 0u);
  EXPECT_EQ(v.live(s), 0);
  EXPECT_EQ(v.m().usage()->inodes, 1u);
  v.check();
}

TEST(Reclaim, a_small_file_is_freed_with_its_name) {
  TestVolume v;
  const Ino f = v.file(kRoot, "f");
  const SegmentId s = v.segment(1);
  v.commit({v.data(f, 0, 100, s)});
  v.m().unlink(v.request, kRoot, "f").value();
  EXPECT_EQ(v.live(s), 0);
  EXPECT_EQ(v.all("I").size(), 1u);
  v.check();
}

TEST(CopyRange, shares_extents_and_names_who_did_not_write_them) {
  TestVolume v;
  const Ino f = v.file(kRoot, "f"), g = v.file(kRoot, "g");
  const SegmentId s = v.segment(1);
  v.commit({v.data(f, 0, 100, s), v.data(f, 200, 100, s, 1000)});
  const Attr attr = v.m().copy_range(v.request, f, 50, g, 10, 1000).value();
  EXPECT_EQ(attr.size, 260u);
  EXPECT_EQ(attr.allocated, 150u);
  const auto extents = v.extents(g);
  ASSERT_EQ(extents.size(), 2u);
  EXPECT_EQ(extents[0].offset, 10u);
  EXPECT_EQ(extents[0].first, 50u);
  EXPECT_EQ(extents[1].offset, 160u);
  EXPECT_EQ(v.live(s), 350);
  EXPECT_EQ(v.all("R").size(), 2u);
  v.check();
  EXPECT_EQ(v.m().copy_range(v.request, f, 0, f, 50, 100).code(), EINVAL);
  v.m().copy_range(v.request, f, 0, f, 300, 100).value();
  EXPECT_EQ(v.all("R").size(), 2u);
  EXPECT_EQ(v.m().copy_range(v.request, f, 5000, g, 0, 10)->size, 260u);
  EXPECT_EQ(v.m().copy_range(v.request, kRoot, 0, g, 0, 10).code(), EISDIR);
  EXPECT_EQ(v.jobs().references(s, {f})->size(), 5u);
  v.check();
}

TEST(CopyRange, of_thousands_of_extents) {
  TestVolume v;
  const Ino f = v.file(kRoot, "f"), g = v.file(kRoot, "g");
  const SegmentId s = v.segment(1);
  fill(v, f, s, 1100);
  v.m().copy_range(v.request, f, 0, g, 0, 2199).value();
  EXPECT_EQ(v.attr(g).allocated, 1100u);
  EXPECT_EQ(v.live(s), 2200);
  v.check();
}

TEST(Segments, live_and_die_by_their_record) {
  TestVolume v;
  const Ino f = v.file(kRoot, "f");
  const SegmentId s = v.segment(1), unused = v.segment(2);
  v.commit({v.data(f, 0, 100, s)});
  EXPECT_EQ(v.m().store_segments(v.store)->size(), 2u);
  EXPECT_EQ(v.m().segment_discard(v.request, s).code(), EBUSY);
  v.m().segment_discard(v.request, unused).value();
  EXPECT_EQ(v.m().segment_stored(v.request, unused, 1, true).code(), ENOENT);
  v.m().segment_stored(v.request, s, 4096, false).value();
  EXPECT_FALSE(v.jobs().segment_dying(s).value());
  v.m().segment_stored(v.request, s, 4096, true).value();
  EXPECT_EQ(v.m().segment_stored(v.request, s, 5000, true).code(), EINVAL);
  EXPECT_FALSE(v.jobs().segment_dying(s).value());  // live
  EXPECT_EQ(v.jobs().segment_forget(s).code(), EBUSY);
  const auto infos = v.jobs().segments({}, 10).value();
  ASSERT_EQ(infos.size(), 1u);
  EXPECT_EQ(infos[0].live_bytes, 100);
  EXPECT_EQ(infos[0].record.length, 4096u);
  v.m().unlink(v.request, kRoot, "f").value();
  EXPECT_TRUE(v.jobs().segment_dying(s).value());
  const Ino g = v.file(kRoot, "g");
  EXPECT_EQ(v.commit({v.data(g, 0, 10, s)}), Kinds{Kind::kConflict});
  v.jobs().segment_forget(s).value();
  EXPECT_EQ(v.all("B").size() + v.all("W").size(), 0u);
  v.check();
}

TEST(Segments, their_place_is_told_also_by_a_new_owner) {
  TestVolume v;
  const SegmentId s = v.segment(1);
  EXPECT_EQ(v.m().segment_place({77, 5}).code(), ENOENT);
  const auto opened = [&](const std::string& address) {
    return v.m().store_open(v.request.session, Uuid{{1}}, "node", "/p", 78, address).value();
  };
  EXPECT_EQ(opened("tcp:10.0.0.1:99"), v.store);
  SegmentPlace place = v.m().segment_place(s).value();
  EXPECT_EQ(place.state, format::Segment::State::kStaging);
  EXPECT_EQ(place.store, v.store);
  EXPECT_EQ(place.host + place.path + place.address, "node/ptcp:10.0.0.1:99");
  opened("tcp:10.0.0.1:98");
  EXPECT_EQ(v.m().segment_place(s)->address, "tcp:10.0.0.1:98");
  const SegmentId other{78, 1};
  v.m().segment_open(v.request, other, 12).value();  // of a store that nobody knows
  EXPECT_EQ(v.m().segment_place(other)->address, "");
  // A new owner knows it from `H` before the store is opened with it.
  v.owner.reset();
  v.owner = open_owner(v.engine(), v.clock, v.random, *v.executor).value();
  EXPECT_EQ(v.m().segment_place(s)->address, "tcp:10.0.0.1:98");
  v.m().segment_stored({}, s, 4096, true).value();
  EXPECT_EQ(v.m().segment_place(s)->state, format::Segment::State::kStored);
}

TEST(Segments, given_up_ones_stay_while_files_need_them_and_are_stored_when_they_come_back) {
  TestVolume v;
  const Ino f = v.file(kRoot, "f");
  const SegmentId s = v.segment(1), t = v.segment(2);
  v.commit({v.data(f, 0, 100, s), v.data(f, 100, 100, t)});
  v.jobs().segment_lost(s).value();
  v.jobs().segment_lost(s).value();
  v.jobs().segment_lost(t).value();
  EXPECT_EQ(v.m().store_segments(v.store)->size(), 2u);
  EXPECT_EQ(v.m().segment_discard(v.request, s).code(), EBUSY);
  EXPECT_FALSE(v.jobs().segment_dying(s).value());
  v.open();
  EXPECT_EQ(v.jobs().segments({}, 1)->front().record.state, format::Segment::State::kLost);
  v.m().segment_stored(v.request, t, 4096, true).value();
  EXPECT_EQ(v.jobs().segment_lost(t).code(), EBUSY);
  v.m().unlink(v.request, kRoot, "f").value();
  v.m().segment_discard(v.request, s).value();
  EXPECT_EQ(v.m().store_segments(v.store)->size(), 0u);
  v.check();
}

TEST(Segments, repack_moves_an_extent_only_if_it_is_still_the_same) {
  TestVolume v;
  const Ino f = v.file(kRoot, "f");
  const SegmentId s = v.segment(1), t = v.segment(2);
  v.commit({v.data(f, 0, 100, s)});
  const Stamp version = v.attr(f).data_version;
  const format::Extent from = v.extents(f)[0];
  Maintenance::Move move{f, from, format::Target{.segment = t, .offset = 7, .length = 100}, 0};
  EXPECT_EQ(v.jobs().move_extents(v.request, {move}).value(), 1u);
  EXPECT_EQ(v.jobs().move_extents(v.request, {move}).value(), 0u);
  EXPECT_EQ(v.live(s), 0);
  EXPECT_EQ(v.live(t), 100);
  EXPECT_EQ(v.attr(f).data_version, version);
  v.check();
}

TEST(Space, grants_are_exact_and_used_up_by_commits) {
  TestVolume v({.name = "v", .bucket = "b", .trash_days = 0, .capacity_bytes = 1000});
  const Ino f = v.file(kRoot, "f");
  const SegmentId s = v.segment(1);
  EXPECT_EQ(v.m().space_grant(v.request, 600).value(), 600u);
  EXPECT_EQ(v.m().space_grant(v.request, 600).value(), 400u);
  EXPECT_EQ(v.m().space_grant(v.request, 1).code(), ENOSPC);
  v.m().space_return(v.request, 100);
  EXPECT_EQ(v.m().space_grant(v.request, 600).value(), 100u);
  v.commit({v.data(f, 0, 300, s)});
  EXPECT_EQ(v.m().usage()->used_bytes, 300u);
  EXPECT_EQ(v.m().space_grant(v.request, 1).code(), ENOSPC);
  v.m().space_return(v.request, 700);
  EXPECT_EQ(v.m().space_grant(v.request, 1000).value(), 700u);
}

TEST(Commits, an_unknown_outcome_is_resolved_by_reading) {
  auto memory = engine::make_memory_engine();
  engine::Fault next = engine::Fault::kNone;
  auto faulty = engine::make_faulty_engine(*memory, [&](engine::Call call, uint64_t) {
    return call == engine::Call::kCommit ? std::exchange(next, engine::Fault::kNone)
                                         : engine::Fault::kNone;
  });
  TestVolume v({.name = "v", .bucket = "b", .trash_days = 0}, faulty.get());
  next = engine::Fault::kUnknownApplied;
  EXPECT_TRUE(v.m().mkdir(v.request, kRoot, "a", 0755).ok());
  next = engine::Fault::kUnknownDropped;
  EXPECT_EQ(v.m().mkdir(v.request, kRoot, "b", 0755).code(), EIO);
  EXPECT_EQ(v.lookup_code(kRoot, "b"), ENOENT);
  next = engine::Fault::kError;
  EXPECT_EQ(v.m().mkdir(v.request, kRoot, "b", 0755).code(), EIO);
  EXPECT_TRUE(v.m().mkdir(v.request, kRoot, "b", 0755).ok());
  v.check();
  next = engine::Fault::kConflict;  // cannot be: a second owner, or a fault of ours
  EXPECT_EQ(v.m().mkdir(v.request, kRoot, "c", 0755).code(), EIO);
  EXPECT_EQ(v.m().getattr(v.request, kRoot).code(), EIO);
  v.open();
  EXPECT_EQ(v.names(kRoot), "a b");
  v.check();
}

}  // namespace
}  // namespace shoal::meta
