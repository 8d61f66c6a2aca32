// Large writers' segments, by promise. Power cuts at random: staging_power_test.cc.
#include <gtest/gtest.h>

#include "base/crc32c.h"
#include "base/limits.h"
#include "data/sequential_streams.h"
#include "data/staging_test_util.h"

namespace shoal::data {
namespace {

using namespace std::chrono_literals;
using Outcome = meta::DataOutcome::Kind;

constexpr uint64_t kPiece = 68 << 10;  // whole frames, more than a journal's frame

class StagingLarge : public ::testing::Test {
 protected:
  struct File {  // a writer that goes on where it was
    Ino ino = 0;
    uint64_t end = 0;
    uint64_t previous = 0;
    Stamp base = 0;
    std::vector<Journaled> records;
    std::vector<std::string> bytes;
  };

  void SetUp() override {
    machine.boot();
    FakeState state;
    for (Ino ino = 2; ino < 1000; ++ino) state.inodes[ino];
    machine.engine.commit(state);
    machine.engine.sync();
  }
  void TearDown() override {
    for (const auto& owner : machine.owners) {
      for (const std::string& violation : owner->violations()) ADD_FAILURE() << violation;
    }
    EXPECT_EQ(machine.bucket.rewritten(), 0);
  }
  ReplayReport start(const StagingOptions& options = large_writers()) {
    auto opened = machine.open(options);
    EXPECT_TRUE(opened.ok()) << opened.error().to_string();
    staging = std::move(*opened);
    auto report = staging->replay(*machine.owner, 1);
    EXPECT_TRUE(report.ok()) << report.error().to_string();
    machine.executor->run_ready();
    return std::move(*report);
  }
  void kill() {
    machine.kill(staging);
    machine.boot();
  }
  void cut_power(uint64_t seed) {
    machine.cut_power(staging, seed);
    machine.boot();
  }
  Journaled write(File& file, uint64_t length, Ino parent = 1) {
    const std::string bytes = pattern(file.ino * 1000 + file.records.size(), length);
    DataOperation operation = data_operation(file.ino, file.end, length, parent);
    operation.previous_sequence = file.previous;
    operation.base_version = file.base;
    auto journaled = append_bytes(*staging, operation, bytes);
    EXPECT_TRUE(journaled.ok()) << journaled.error().to_string();
    file.end += length;
    file.previous = journaled->record.header.sequence;
    file.records.push_back(*journaled);
    file.bytes.push_back(bytes);
    return *journaled;
  }
  // One piece to become a large writer, and `pieces` in a segment of its own.
  File large_file(Ino ino, size_t pieces) {
    File file{.ino = ino};
    for (size_t i = 0; i < pieces + 1; ++i) write(file, kPiece);
    return file;
  }
  void commit(const std::vector<Journaled>& records) {
    std::vector<meta::DataRecord> offered;
    for (const Journaled& record : records) offered.push_back(record.record);
    const auto reply = machine.owner->commit_data({}, 1, offered);
    ASSERT_TRUE(reply.ok());
    for (const auto& outcome : reply->outcomes) EXPECT_EQ(outcome.kind, Outcome::kApplied);
    const Stamp stamp = machine.owner->committed_stamp();
    for (const Journaled& record : records) staging->committed(record, stamp);
  }
  void sync_engine() {
    const Stamp stamp = machine.owner->committed_stamp();
    machine.owner->sync().value();
    staging->engine_synced(stamp);
    machine.executor->run_ready();
  }
  void expect_bytes(const File& file, size_t records) {
    const std::vector<meta::DataRecord> applied =
        machine.engine.current().inodes.at(file.ino).records;
    ASSERT_EQ(applied.size(), records);
    for (size_t i = 0; i < records; ++i) {
      EXPECT_EQ(bytes_of(*staging, machine.bucket, machine.volume, applied[i]), file.bytes[i]) << i;
    }
  }
  static bool is_large(const Journaled& record) { return record.bytes_in != 0; }
  static SegmentId segment_of(const Journaled& record) { return record.record.target->segment; }
  Path file_of(const Journaled& record) {
    return join(staging->folder(), fmt::format("journals/{:08}", record.bytes_in));
  }

  Machine machine{sim::seed_or(1)};
  std::unique_ptr<Staging> staging;
};

TEST_F(StagingLarge, neighbours_in_a_segment_name_one_slice_and_continue_each_other) {
  start();
  const File file = large_file(2, 3);
  EXPECT_FALSE(is_large(file.records[0]));
  uint64_t first = 0;
  for (size_t i = 1; i < file.records.size(); ++i) {
    const meta::DataRecord& record = file.records[i].record;
    EXPECT_TRUE(is_large(file.records[i]));
    EXPECT_EQ(record.target, file.records[1].record.target);
    EXPECT_EQ(record.target->offset % 4096, 0u);
    EXPECT_GT(record.target->length, kFrameBytesMax);
    EXPECT_FALSE(record.target->crc.has_value());
    EXPECT_EQ(record.first, first);
    first += kPiece;
    EXPECT_EQ(bytes_of(*staging, machine.bucket, machine.volume, record), file.bytes[i]);
  }
  EXPECT_EQ(staging->status().large_segments, 1u);
}

TEST_F(StagingLarge, who_jumps_or_writes_little_stays_in_the_journals) {
  start();
  File small{.ino = 2};
  for (int i = 0; i < 20; ++i) EXPECT_FALSE(is_large(write(small, 60 << 10)));
  File jumping{.ino = 3};
  for (int i = 0; i < 6; ++i) {
    EXPECT_FALSE(is_large(write(jumping, kPiece)));
    jumping.end += 4096;
  }
  File large = large_file(4, 1);
  EXPECT_TRUE(is_large(large.records.back()));
  EXPECT_FALSE(
      is_large(write(large, 1000)));  // a small one goes to the journal, the stream goes on
  EXPECT_TRUE(is_large(write(large, kPiece)));
}

TEST_F(StagingLarge, a_piece_is_padded_to_whole_frames_that_never_change) {
  start();
  File file = large_file(2, 0);
  const Journaled odd = write(file, 70'001);
  const auto crcs = staging->frame_crcs(segment_of(odd), odd.record.target->offset).value();
  EXPECT_EQ(crcs.size(), 18u);
  const Journaled next = write(file, kPiece);
  EXPECT_EQ(segment_of(next), segment_of(odd));
  EXPECT_EQ(next.record.first, uint64_t{18} * 4096);
  const auto more = staging->frame_crcs(segment_of(odd), odd.record.target->offset).value();
  EXPECT_TRUE(std::equal(crcs.begin(), crcs.end(), more.begin()));
  for (size_t i = 0; i < file.records.size(); ++i)
    EXPECT_EQ(bytes_of(*staging, machine.bucket, machine.volume, file.records[i].record),
              file.bytes[i]);
}

TEST_F(StagingLarge, the_stored_object_is_a_segment_that_can_be_read_by_itself) {
  start();
  File file = large_file(2, 1);
  write(file, 70'001);
  ASSERT_TRUE(staging->sync().ok());
  commit(file.records);
  machine.executor->advance(10s);
  const SegmentId id = segment_of(file.records.back());
  const std::string object = machine.bucket.object(machine.volume, id);
  ASSERT_FALSE(object.empty());
  const ByteView all = as_bytes(object);
  const auto header = format::decode_segment_header(all);
  ASSERT_TRUE(header.ok());
  EXPECT_TRUE(header->external);
  EXPECT_EQ(header->segment, id);
  const auto slice = format::decode_slice_header(all.subspan(format::kExternalRecordAt), id);
  ASSERT_TRUE(slice.ok()) << slice.error().to_string();
  EXPECT_EQ(slice->ino, 2u);
  EXPECT_EQ(slice->payload_length, kPiece + 18 * 4096);
  EXPECT_EQ(slice->payload_crc,
            crc32c(all.subspan(format::kExternalSliceAt, slice->payload_length)));
  for (size_t i = format::kSegmentHeaderBytes; i < format::kExternalRecordAt; ++i)
    ASSERT_EQ(object[i], 0) << i;
  EXPECT_EQ(object.substr(format::kExternalSliceAt, kPiece), file.bytes[1]);
  const auto end = format::decode_record_header(
      all.subspan(format::kExternalSliceAt + slice->payload_length), id);
  ASSERT_TRUE(end.ok());
  EXPECT_EQ(end->kind, format::RecordKind::kEnd);
  EXPECT_TRUE(machine.engine.current().segments[id].complete);
  sync_engine();
  EXPECT_FALSE(staging->holds(id));
  expect_bytes(file, 3);  // from the bucket, by its footer
}

TEST_F(StagingLarge, full_segments_follow_each_other) {
  start();
  const File file = large_file(2, 8);
  std::set<SegmentId> segments;
  for (size_t i = 1; i < file.records.size(); ++i) segments.insert(segment_of(file.records[i]));
  EXPECT_EQ(segments.size(), 3u);  // three pieces fit
  ASSERT_TRUE(staging->sync().ok());
  commit(file.records);
  machine.executor->run_ready();
  EXPECT_GE(staging->status().stored_segments, 2u);
  expect_bytes(file, 9);
}

TEST_F(StagingLarge, pieces_survive_sigkill_without_a_sync) {
  start();
  const File file = large_file(2, 4);
  kill();
  EXPECT_EQ(start().applied, 5u);
  expect_bytes(file, 5);
}

TEST_F(StagingLarge, synced_pieces_survive_a_power_cut) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    start();
    const Ino ino = 100 + seed;
    File file = large_file(ino, 3);
    ASSERT_TRUE(staging->sync().ok());
    write(file, kPiece);
    cut_power(seed);
    const ReplayReport report = start();
    EXPECT_GE(report.applied, 4u);
    EXPECT_EQ(report.conflicts, 0u);
    EXPECT_EQ(report.quarantined_files, 0u);
    expect_bytes(file, machine.engine.current().inodes.at(ino).records.size());
    kill();
  }
}

TEST_F(StagingLarge, a_record_whose_bytes_are_torn_ends_what_is_known_of_its_inode) {
  start();
  File file = large_file(2, 3);
  write(file, 100);
  const Path torn = file_of(file.records[2]);
  kill();
  {
    auto disk = machine.disk.open(torn, OpenMode::kReadWrite).value();
    disk->write_at(format::kExternalSliceAt + file.records[2].record.first + 5000,
                   as_bytes(std::string("torn")))
        .value();
  }
  const ReplayReport report = start();
  EXPECT_EQ(report.applied, 2u);
  EXPECT_EQ(report.conflicts, 2u);
  EXPECT_EQ(report.torn_tails, 1u);
  EXPECT_FALSE(report.lines.empty());
  expect_bytes(file, 2);
  machine.executor->advance(2min);
  expect_bytes(file, 2);
  kill();
  EXPECT_EQ(start().applied, 0u);  // nor later
}

TEST_F(StagingLarge, damaged_bytes_are_never_said_to_be_right) {
  start();
  const File file = large_file(2, 2);
  ASSERT_TRUE(staging->sync().ok());
  commit(file.records);
  machine.owner->sync().value();
  const SegmentId id = segment_of(file.records[1]);
  const Path damaged = file_of(file.records[1]);
  kill();
  {
    auto disk = machine.disk.open(damaged, OpenMode::kReadWrite).value();
    disk->write_at(format::kExternalSliceAt + 4096, as_bytes(std::string("rotten"))).value();
  }
  start();
  machine.executor->advance(2min);
  sync_engine();
  EXPECT_FALSE(staging->holds(id));  // stored as it is
  const std::string object = machine.bucket.object(machine.volume, id);
  const ByteView all = as_bytes(object);
  const auto place = format::find_footer(all.last(format::kFooterTailBytes), object.size());
  const auto footer = format::decode_footer(all.subspan(place->offset), id);
  for (size_t i = 0; i < footer->frame_crcs.size(); ++i) {
    const uint32_t crc = crc32c(all.subspan(format::kExternalSliceAt + i * 4096, 4096));
    EXPECT_EQ(crc == footer->frame_crcs[i], i != 1) << i;
  }
}

TEST_F(StagingLarge, replay_makes_bytes_durable_before_it_offers_their_records) {
  StagingOptions quiet = large_writers();
  quiet.uploads_enabled = false;  // an upload would sync
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE(seed);
    start(quiet);
    const Ino ino = 100 + seed;
    const File file = large_file(ino, 2);  // in the page cache only
    kill();
    EXPECT_EQ(start(quiet).applied, 3u);
    machine.owner->sync().value();
    cut_power(seed);
    start(quiet);
    expect_bytes(file, 3);
    kill();
  }
}

TEST_F(StagingLarge, a_failed_sync_of_the_bytes_loses_their_records) {
  for (const bool cut : {false, true}) {
    SCOPED_TRACE(cut);
    const Ino ino = cut ? 3 : 2;
    start();
    File file = large_file(ino, 1);
    ASSERT_TRUE(staging->sync().ok());
    machine.executor->run_ready();
    const Journaled lost = write(file, kPiece);
    machine.faulty.fail_nth(sim::FsCall::kSyncData, 1, {EIO}, sim::FaultyFs::Times::kOnce);
    EXPECT_EQ(staging->sync().code(), EIO);
    EXPECT_EQ(staging->lost_positions(), std::vector<uint64_t>{lost.position});
    EXPECT_EQ(staging->synced_position(), file.records[1].position);
    staging->committed(lost, 0);  // as a client does, or does not
    file.end -= kPiece;
    file.previous = file.records[1].record.header.sequence;
    file.records.pop_back();
    file.bytes.pop_back();
    const Journaled again = write(file, kPiece);
    EXPECT_NE(segment_of(again), segment_of(lost));
    staging->forget_lost(lost.position);
    ASSERT_TRUE(staging->sync().ok());
    EXPECT_EQ(staging->synced_position(), again.position);
    cut ? cut_power(7) : kill();
    const ReplayReport report = start();  // the lost record is whole, but must not come back
    EXPECT_EQ(report.conflicts, 0u);
    EXPECT_EQ(machine.engine.current().inodes[ino].applied, again.record.header.sequence);
    expect_bytes(file, 3);
    machine.executor->advance(2min);
    sync_engine();
    machine.executor->advance(1min);
    EXPECT_EQ(staging->status().bytes, 0u);  // nothing waits for what was lost
    expect_bytes(file, 3);
    kill();
  }
}

TEST_F(StagingLarge, a_failed_sync_of_the_record_loses_its_bytes) {
  start();
  File file = large_file(2, 1);
  ASSERT_TRUE(staging->sync().ok());
  commit(file.records);
  machine.executor->run_ready();
  const Journaled lost = write(file, kPiece);
  machine.faulty.fail_nth(sim::FsCall::kSyncData, 2, {EIO}, sim::FaultyFs::Times::kOnce);
  EXPECT_EQ(staging->sync().code(), EIO);
  EXPECT_EQ(staging->lost_positions(), std::vector<uint64_t>{lost.position});
  staging->forget_lost(lost.position);
  ASSERT_TRUE(staging->sync().ok());
  machine.executor->advance(2min);
  sync_engine();
  machine.executor->advance(1min);
  EXPECT_EQ(staging->status().bytes, 0u);
  expect_bytes(file, 2);
  for (const auto& [id, segment] : machine.engine.current().segments) {
    EXPECT_TRUE(segment.complete || segment.state == format::Segment::State::kStaging);
  }
}

TEST_F(StagingLarge, a_journal_outlives_the_large_segments_that_its_records_name) {
  start();
  File file = large_file(2, 1);
  const Journaled large = file.records.back();
  std::vector<Journaled> all = file.records;
  for (Ino ino = 10; ino < 20; ++ino) {  // until the journal is full and stored
    File small{.ino = ino};
    for (int i = 0; i < 2; ++i) all.push_back(write(small, 30'000));
  }
  ASSERT_TRUE(staging->sync().ok());
  commit(all);
  machine.executor->run_ready();
  sync_engine();
  const SegmentId journal = segment_of(file.records.front());
  ASSERT_TRUE(machine.engine.current().segments[journal].complete);
  ASSERT_FALSE(machine.engine.current().segments[segment_of(large)].complete);
  EXPECT_TRUE(staging->holds(journal));
  machine.bucket.refuse(format::segment_object_key(machine.volume, segment_of(large)));
  for (int life = 0; life < 2; ++life) {
    kill();
    start();
    expect_bytes(file, 2);  // its frames are known
    machine.executor->advance(10s);
    sync_engine();
    machine.executor->advance(1s);
    EXPECT_TRUE(staging->holds(journal));
  }
  machine.bucket.refuse("");
  machine.executor->advance(1min);
  machine.executor->advance(10s);
  sync_engine();
  machine.executor->advance(1s);
  EXPECT_FALSE(staging->holds(segment_of(large)));
  EXPECT_FALSE(staging->holds(journal));
  EXPECT_EQ(staging->status().bytes, 0u);
  expect_bytes(file, 2);
}

TEST_F(StagingLarge, complete_waits_for_every_record_that_names_the_segment) {
  start();
  const File file = large_file(2, 2);
  ASSERT_TRUE(staging->sync().ok());
  commit({file.records[0], file.records[1]});
  machine.executor->advance(10s);
  const SegmentId id = segment_of(file.records[1]);
  EXPECT_EQ(machine.engine.current().segments[id].state, format::Segment::State::kStored);
  EXPECT_FALSE(machine.engine.current().segments[id].complete);
  commit({file.records[2]});
  machine.executor->run_ready();
  EXPECT_TRUE(machine.engine.current().segments[id].complete);
}

TEST_F(StagingLarge, a_stored_segment_that_the_owner_did_not_hear_of_is_stored_again_as_it_was) {
  start();
  const File file = large_file(2, 2);
  ASSERT_TRUE(staging->sync().ok());
  machine.owner->fail(1000);
  machine.executor->advance(10s);
  const SegmentId id = segment_of(file.records[1]);
  ASSERT_FALSE(machine.bucket.object(machine.volume, id).empty());
  kill();
  EXPECT_EQ(start().applied, 3u);
  machine.executor->advance(10s);
  EXPECT_TRUE(machine.engine.current().segments[id].complete);
  expect_bytes(file, 3);  // and TearDown: nothing was rewritten
}

TEST_F(StagingLarge, a_recycled_segment_needs_no_replay_and_leaves_nothing) {
  start();
  const File file = large_file(2, 2);
  ASSERT_TRUE(staging->sync().ok());
  commit(file.records);
  machine.executor->advance(10s);
  sync_engine();
  machine.executor->advance(1s);
  EXPECT_EQ(staging->status().bytes, 0u);
  kill();
  const ReplayReport report = start();
  EXPECT_EQ(report.records, 0u);
  EXPECT_TRUE(report.lost_segments.empty());
  expect_bytes(file, 2 + 1);
}

// A power cut may bring back the file of a poisoned segment, but not the journal that told its
// frames.
TEST_F(StagingLarge, what_is_stored_is_not_stored_again_without_its_frames) {
  start();
  const File file = large_file(2, 2);
  ASSERT_TRUE(staging->sync().ok());
  commit(file.records);
  const Path path = file_of(file.records[1]);
  const std::string bytes = read_file(machine.disk, path, 1 << 20).value();
  machine.executor->advance(10s);
  sync_engine();
  machine.executor->advance(1s);
  ASSERT_FALSE(staging->holds(segment_of(file.records[1])));
  const Path folder = join(staging->folder(), "journals");
  kill();
  const Path back = fmt::format("{}.end-{}", path, format::kExternalSliceAt + 2 * kPiece);
  auto again = machine.disk.open(back, OpenMode::kTruncate).value();
  again->write_at(0, as_bytes(bytes)).value();
  again->sync().value();
  machine.disk.sync_dir(folder).value();
  start();
  machine.executor->advance(2min);
  sync_engine();
  machine.executor->advance(1s);
  EXPECT_EQ(staging->status().bytes, 0u);
  EXPECT_FALSE(exists(machine.disk, back).value());
  expect_bytes(file, 3);  // and TearDown: nothing was rewritten
}

TEST_F(StagingLarge, without_the_records_that_tell_its_frames_a_segment_is_kept_as_it_is) {
  start();
  const File file = large_file(2, 2);
  ASSERT_TRUE(staging->sync().ok());
  commit(file.records);
  machine.owner->sync().value();
  const SegmentId id = segment_of(file.records[1]);
  const Path large = file_of(file.records[1]);
  const Path journal =
      join(staging->folder(), fmt::format("journals/{:08}", file.records[1].journal));
  kill();
  machine.disk.remove(journal).value();
  start();
  machine.executor->advance(2min);
  EXPECT_TRUE(machine.bucket.object(machine.volume, id).empty());
  EXPECT_TRUE(exists(machine.disk, large).value());
  EXPECT_NE(staging->status().upload_error.find("records"), std::string::npos);
}

TEST_F(StagingLarge, an_unlinked_file_leaves_no_segment_behind) {
  start();
  const File file = large_file(5000, 2);  // of no inode
  ASSERT_TRUE(staging->sync().ok());
  const SegmentId id = segment_of(file.records[1]);
  kill();
  EXPECT_EQ(start().no_inode, 3u);
  machine.executor->run_ready();
  EXPECT_FALSE(machine.engine.current().segments.contains(id));
  EXPECT_TRUE(machine.bucket.object(machine.volume, id).empty());
}

TEST_F(StagingLarge, the_number_of_open_segments_is_bounded_and_silent_writers_give_way) {
  start();
  std::vector<File> files;
  for (Ino ino = 10; ino < 22; ++ino) files.push_back(large_file(ino, 1));
  EXPECT_EQ(staging->status().large_segments, 8u);
  EXPECT_FALSE(is_large(files.back().records.back()));
  machine.executor->advance(2s);
  EXPECT_TRUE(is_large(write(files.back(), kPiece)));
  EXPECT_TRUE(is_large(write(files[4], kPiece)));
  ASSERT_TRUE(staging->sync().ok());
  for (const File& file : files) commit(file.records);
  for (const File& file : files) expect_bytes(file, file.records.size());
}

TEST_F(StagingLarge, without_a_segment_of_its_own_a_writer_uses_the_journals) {
  start();
  File file = large_file(2, 0);
  machine.faulty.fail_nth(sim::FsCall::kAllocate, 1, {ENOSPC}, sim::FaultyFs::Times::kOnce);
  EXPECT_FALSE(is_large(write(file, kPiece)));
  EXPECT_TRUE(is_large(write(file, kPiece)));
  machine.faulty.fail_nth(sim::FsCall::kWrite, 1, {EIO}, sim::FaultyFs::Times::kOnce);
  EXPECT_FALSE(is_large(write(file, kPiece)));
  ASSERT_TRUE(staging->sync().ok());
  commit(file.records);
  expect_bytes(file, 4);
}

TEST_F(StagingLarge, a_failed_record_leaves_its_bytes_to_nobody) {
  start();
  File file = large_file(2, 1);
  machine.faulty.fail_nth(sim::FsCall::kWrite, 2, {EIO}, sim::FaultyFs::Times::kOnce);
  DataOperation operation = data_operation(2, file.end, kPiece);
  operation.previous_sequence = file.previous;
  EXPECT_EQ(append_bytes(*staging, operation, std::string(kPiece, 'x')).code(), EIO);
  write(file, kPiece);
  kill();
  EXPECT_EQ(start().applied, 3u);
  expect_bytes(file, 3);
}

TEST(SequentialStreams, a_run_is_what_was_written_one_byte_behind_the_other) {
  SequentialStreams streams;
  EXPECT_EQ(streams.note(2, 1, 0, 100'000), 0u);
  EXPECT_EQ(streams.note(2, 1, 100'000, 100'000), 100'000u);
  EXPECT_EQ(streams.note(2, 1, 200'000, 1'000), 200'000u);
  EXPECT_EQ(streams.note(2, 1, 201'000, 100'000), 201'000u);
  EXPECT_EQ(streams.note(2, 1, 300'000, 100'000), 0u);  // not where it was
  EXPECT_EQ(streams.note(2, 1, 400'000, 100'000), 100'000u);
  EXPECT_EQ(streams.note(2, 2, 500'000, 100'000), 0u);  // another file of that number
  EXPECT_EQ(streams.note(3, 1, 0, 1'000), 0u);
  EXPECT_EQ(streams.note(3, 1, 1'000, 100'000), 0u);  // small ones begin nothing
}

TEST(SequentialStreams, the_one_used_last_longest_ago_is_forgotten) {
  SequentialStreams streams;
  for (Ino ino = 1; ino <= SequentialStreams::kStreamsMax; ++ino) streams.note(ino, 1, 0, 100'000);
  streams.note(1, 1, 100'000, 100'000);
  streams.note(1000, 1, 0, 100'000);
  EXPECT_EQ(streams.note(1, 1, 200'000, 100'000), 200'000u);
  EXPECT_EQ(streams.note(2, 1, 100'000, 100'000), 0u);
}

}  // namespace
}  // namespace shoal::data
