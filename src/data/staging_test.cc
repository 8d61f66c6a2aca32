#include "data/staging.h"

#include <gtest/gtest.h>

#include "base/crc32c.h"
#include "base/limits.h"
#include "data/staging_test_util.h"
#include "sys/executor.h"
#include "sys/thread.h"

namespace shoal::data {
namespace {

using namespace std::chrono_literals;
using format::RecordKind;

class StagingTest : public ::testing::Test {
 protected:
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

  // Opens and replays.
  ReplayReport start(const StagingOptions& options = small_segments()) {
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
  Journaled append(Ino ino, std::string_view bytes, Ino parent = 1, uint64_t previous = 0,
                   Stamp base = 0) {
    DataOperation operation = data_operation(ino, 0, bytes.size(), parent);
    operation.previous_sequence = previous;
    operation.base_version = base;
    auto journaled = append_bytes(*staging, operation, bytes);
    EXPECT_TRUE(journaled.ok()) << journaled.error().to_string();
    return std::move(*journaled);
  }
  Stamp commit(const std::vector<Journaled>& records) {
    std::vector<meta::DataRecord> offered;
    for (const Journaled& record : records) offered.push_back(record.record);
    auto reply = machine.owner->commit_data({}, 1, offered);
    EXPECT_TRUE(reply.ok());
    for (const auto& outcome : reply->outcomes)
      EXPECT_EQ(outcome.kind, meta::DataOutcome::Kind::kApplied);
    const Stamp stamp = machine.owner->committed_stamp();
    for (const Journaled& record : records) staging->committed(record, stamp);
    return stamp;
  }
  void sync_engine() {
    const Stamp stamp = machine.owner->committed_stamp();
    machine.owner->sync().value();
    staging->engine_synced(stamp);
    machine.executor->run_ready();
  }
  std::string bytes_of(const Journaled& record) {
    return data::bytes_of(*staging, machine.bucket, machine.volume, *record.record.target);
  }
  std::vector<std::string> journal_files() {
    return machine.disk.list(join(staging->folder(), "journals")).value();
  }

  Machine machine{sim::seed_or(1)};
  std::unique_ptr<Staging> staging;
};

TEST_F(StagingTest, what_was_appended_is_read_back_with_its_crc) {
  start();
  const std::string small = pattern(1, 4096);
  const std::string large = pattern(2, 100'000);
  const Journaled a = append(2, small);
  const Journaled b = append(3, large, 7);
  EXPECT_EQ(bytes_of(a), small);
  EXPECT_EQ(a.record.target->crc, crc32c(as_bytes(small)));
  EXPECT_EQ(bytes_of(b), large);
  EXPECT_FALSE(b.record.target->crc.has_value());
  EXPECT_EQ(staging->frame_crcs(b.record.target->segment, b.record.target->offset).value(),
            format::frame_crcs(as_bytes(large)));
  EXPECT_EQ(staging->frame_crcs(a.record.target->segment, a.record.target->offset).value(),
            format::frame_crcs(as_bytes(small)));
  EXPECT_EQ(staging->frame_crcs(SegmentId{1, 1}, 256).code(), ENOENT);
  EXPECT_EQ(staging->frame_crcs(a.record.target->segment, 300).code(), EIO);
  std::string byte(1, 0);
  EXPECT_EQ(staging->read(SegmentId{1, 1}, 0, as_mutable_bytes(byte)).code(), ENOENT);
  EXPECT_EQ(staging->read(a.record.target->segment, 1 << 30, as_mutable_bytes(byte)).code(), EIO);
  EXPECT_TRUE(staging->holds(a.record.target->segment));
}

TEST_F(StagingTest, operations_that_make_no_record_are_refused) {
  start();
  DataOperation operation = data_operation(2, 0, 3);
  EXPECT_EQ(staging->append(operation, {}).code(), EINVAL);
  EXPECT_EQ(append_bytes(*staging, operation, std::string(kRecordBytesMax + 1, 'x')).code(),
            EINVAL);
  operation.ino = 0;
  EXPECT_EQ(append_bytes(*staging, operation, "abc").code(), EINVAL);
  operation = data_operation(2, 0, 0);
  operation.kind = RecordKind::kTruncate;
  EXPECT_EQ(append_bytes(*staging, operation, "abc").code(), EINVAL);
  EXPECT_TRUE(staging->append(operation, {}).ok());
  operation.kind = RecordKind::kEnd;
  EXPECT_EQ(staging->append(operation, {}).code(), EINVAL);
}

TEST_F(StagingTest, a_directory_always_goes_to_the_same_of_two_journals) {
  start();
  std::set<SegmentId> seen;
  for (Ino parent = 1; parent < 40; ++parent) {
    const SegmentId first = append(2, "x", parent).record.target->segment;
    EXPECT_EQ(append(3, "y", parent).record.target->segment, first);
    seen.insert(first);
  }
  EXPECT_EQ(seen.size(), 2u);
}

TEST_F(StagingTest, positions_are_synced_only_when_all_lower_ones_are) {
  start();
  const Journaled a = append(2, "a", 1);
  EXPECT_EQ(staging->synced_position(), 0u);
  ASSERT_TRUE(staging->sync().ok());
  EXPECT_EQ(staging->synced_position(), a.position);
  const Journaled b = append(3, "b", 2);
  const Journaled c = append(3, "c", 3);
  EXPECT_LT(a.position, b.position);
  EXPECT_LT(b.position, c.position);
  EXPECT_EQ(staging->synced_position(), a.position);
  ASSERT_TRUE(staging->sync().ok());
  EXPECT_EQ(staging->synced_position(), c.position);
}

TEST_F(StagingTest, synced_records_survive_a_power_cut_and_are_offered) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    start();
    const Stamp base = machine.engine.current().inodes[2].version;
    const Stamp base3 = machine.engine.current().inodes[3].version;
    const std::string bytes = pattern(seed, 3000);
    const Journaled one = append(2, bytes, 1, 0, base);
    const Journaled two = append(3, bytes, 2, 0, base3);
    ASSERT_TRUE(staging->sync().ok());
    cut_power(seed);
    const ReplayReport report = start();
    EXPECT_EQ(report.applied, 2u);
    EXPECT_EQ(report.conflicts, 0u);
    EXPECT_EQ(report.quarantined_files, 0u);
    EXPECT_TRUE(report.lost_segments.empty());
    EXPECT_EQ(bytes_of(one), bytes);
    EXPECT_EQ(bytes_of(two), bytes);
    kill();
  }
}

TEST_F(StagingTest, appended_records_survive_sigkill_without_a_sync) {
  start();
  const Journaled one = append(2, "kept", 1);
  kill();
  EXPECT_EQ(start().applied, 1u);
  EXPECT_EQ(bytes_of(one), "kept");
}

TEST_F(StagingTest, replay_makes_records_durable_before_it_offers_them) {
  StagingOptions quiet = small_segments();
  quiet.uploads_enabled = false;  // an upload would sync
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE(seed);
    start(quiet);
    const Stamp base = machine.engine.current().inodes[2].version;
    const std::string bytes = pattern(seed, 6000);
    const Journaled one = append(2, bytes, 1, 0, base);  // in the page cache only
    kill();
    EXPECT_EQ(start(quiet).applied, 1u);
    machine.owner->sync().value();
    cut_power(seed);
    EXPECT_EQ(start(quiet).already, seed);  // nothing was uploaded, so all of them are still here
    EXPECT_EQ(bytes_of(one), bytes);
    kill();
  }
}

TEST_F(StagingTest, sequences_never_fall) {
  uint64_t last = 0;
  for (int life = 0; life < 4; ++life) {
    start();
    const Journaled one = append(2, "x", 1, last, 0);
    EXPECT_GT(one.record.header.sequence, last);
    last = one.record.header.sequence;
    EXPECT_GE(last >> 40, static_cast<uint64_t>(life + 1));
    kill();
  }
}

TEST_F(StagingTest, segments_are_sealed_at_their_size_and_stored) {
  start();
  std::vector<Journaled> records;
  for (Ino ino = 2; ino < 30; ++ino) records.push_back(append(ino, pattern(ino, 1000)));
  ASSERT_TRUE(staging->sync().ok());
  commit(records);
  machine.executor->run_ready();
  EXPECT_GE(staging->status().stored_segments, 1u);
  for (const auto& [key, object] : machine.bucket.objects()) {
    const SegmentId id = format::parse_segment_object_key(key).value();
    const auto header = format::decode_segment_header(as_bytes(object));
    ASSERT_TRUE(header.ok());
    EXPECT_EQ(header->segment, id);
    EXPECT_EQ(header->store, staging->uuid());
    const ByteView all = as_bytes(object);
    const auto place = format::find_footer(all.last(format::kFooterTailBytes), object.size());
    ASSERT_TRUE(place.ok());
    const auto footer = format::decode_footer(all.subspan(place->offset), id);
    ASSERT_TRUE(footer.ok());
    EXPECT_GT(footer->records.size(), 10u);
    for (const auto& record : footer->records) {
      const auto slice =
          all.subspan(record.position + format::kRecordHeaderBytes, record.header.length);
      EXPECT_EQ(crc32c(slice), footer->frame_crcs[record.first_frame]);
      EXPECT_EQ(as_text(slice), pattern(record.header.ino, 1000));
    }
    EXPECT_EQ(machine.engine.current().segments[id].length, object.size());
    EXPECT_LE(object.size(), small_segments().segment_bytes + 4096);
  }
}

TEST_F(StagingTest, age_seals_small_segments_after_a_minute_and_large_ones_after_seconds) {
  start();
  append(2, "small", 1);
  machine.executor->advance(50s);
  EXPECT_EQ(machine.bucket.objects().size(), 0u);
  machine.executor->advance(11s);
  EXPECT_EQ(machine.bucket.objects().size(), 1u);
  append(2, pattern(1, 5000), 1);
  machine.executor->advance(4s);
  EXPECT_EQ(machine.bucket.objects().size(), 1u);
  machine.executor->advance(2s);
  EXPECT_EQ(machine.bucket.objects().size(), 2u);
}

TEST_F(StagingTest, a_journal_is_recycled_only_when_commit_and_b_are_synced) {
  start();
  const Journaled one = append(2, pattern(1, 5000));
  ASSERT_TRUE(staging->sync().ok());
  const SegmentId id = one.record.target->segment;
  machine.executor->advance(10s);
  EXPECT_EQ(machine.engine.current().segments[id].state, format::Segment::State::kStored);
  EXPECT_FALSE(machine.engine.current().segments[id].complete);  // not committed yet
  staging->engine_synced(machine.owner->committed_stamp() + 100);
  machine.executor->advance(1s);
  EXPECT_TRUE(staging->holds(id));
  commit({one});
  machine.executor->advance(1s);
  EXPECT_TRUE(machine.engine.current().segments[id].complete);
  EXPECT_FALSE(staging->holds(id));  // everything is below the stamp said to be synced
}

TEST_F(StagingTest, a_journal_serves_reads_until_the_engine_is_synced_past_b) {
  start();
  const Journaled one = append(2, pattern(1, 5000));
  ASSERT_TRUE(staging->sync().ok());
  const SegmentId id = one.record.target->segment;
  const Stamp stamp = commit({one});
  machine.executor->advance(10s);
  EXPECT_TRUE(machine.engine.current().segments[id].complete);
  EXPECT_TRUE(staging->holds(id));
  staging->engine_synced(stamp);  // the commit is synced, what B says is not
  machine.executor->advance(1s);
  EXPECT_TRUE(staging->holds(id));
  sync_engine();
  EXPECT_FALSE(staging->holds(id));
  EXPECT_EQ(staging->status().bytes, 0u);
  EXPECT_EQ(bytes_of(one), pattern(1, 5000));  // from the bucket
}

TEST_F(StagingTest, recycled_files_are_used_again_and_few_are_kept) {
  start();
  for (int round = 0; round < 30; ++round) {
    std::vector<Journaled> records;
    const Stamp base = machine.engine.current().inodes[2].version;
    records.push_back(append(2, pattern(round, 10'000), 1, 0, base));
    ASSERT_TRUE(staging->sync().ok());
    commit(records);
    machine.executor->advance(6s);
    sync_engine();
  }
  EXPECT_LE(journal_files().size(), 4u + 3u);
  kill();
  const ReplayReport report = start();
  EXPECT_EQ(report.applied, 0u);
  EXPECT_EQ(report.records, 0u);
  EXPECT_EQ(report.quarantined_files, 0u);
}

TEST_F(StagingTest, uploads_are_tried_for_ever_and_status_says_why_not) {
  start();
  const Journaled one = append(2, pattern(1, 5000));
  ASSERT_TRUE(staging->sync().ok());
  commit({one});
  machine.bucket.fail(20);
  machine.executor->advance(60s);
  EXPECT_NE(staging->status().upload_error.find("the bucket is away"), std::string::npos);
  EXPECT_GT(staging->status().upload_error_age, 30s);
  EXPECT_EQ(staging->status().segments_waiting, 1u);
  machine.executor->advance(20min);
  EXPECT_EQ(machine.bucket.objects().size(), 1u);
  EXPECT_EQ(staging->status().upload_error, "");
  EXPECT_EQ(staging->status().segments_waiting, 0u);
}

TEST_F(StagingTest, an_owner_that_does_not_hear_of_a_stored_segment_is_told_again) {
  start();
  const Journaled one = append(2, pattern(1, 5000));
  ASSERT_TRUE(staging->sync().ok());
  commit({one});
  machine.owner->fail(2);
  machine.executor->advance(5min);
  EXPECT_TRUE(machine.engine.current().segments[one.record.target->segment].complete);
}

TEST_F(StagingTest, a_failed_sync_poisons_the_journal_and_names_what_is_lost) {
  start();
  const Journaled before = append(2, pattern(1, 2000), 1);
  ASSERT_TRUE(staging->sync().ok());
  const Journaled lost = append(2, pattern(2, 2000), 1, before.record.header.sequence);
  const Stamp stamp = commit({before});
  EXPECT_GT(stamp, 0u);
  machine.faulty.fail_nth(sim::FsCall::kSyncData, 1, {EIO}, sim::FaultyFs::Times::kOnce);
  EXPECT_EQ(staging->sync().code(), EIO);
  EXPECT_EQ(staging->lost_positions(), std::vector<uint64_t>{lost.position});
  EXPECT_EQ(staging->sync().code(), EIO);  // until the client took care
  EXPECT_EQ(staging->synced_position(), before.position);
  const Journaled again = append(2, pattern(2, 2000), 1, before.record.header.sequence);
  EXPECT_NE(again.record.target->segment, lost.record.target->segment);
  staging->forget_lost(lost.position);
  ASSERT_TRUE(staging->sync().ok());
  EXPECT_EQ(staging->synced_position(), again.position);
  EXPECT_EQ(bytes_of(before), pattern(1, 2000));

  kill();  // the lost record must not come back before the one journaled anew
  const ReplayReport report = start();
  EXPECT_EQ(report.already, 1u);
  EXPECT_EQ(report.applied, 1u);
  EXPECT_EQ(report.conflicts, 0u);
  EXPECT_EQ(machine.engine.current().inodes[2].applied, again.record.header.sequence);
  machine.executor->advance(2min);
  EXPECT_EQ(machine.bucket.objects().size(),
            2u);  // what was synced before is stored from the poisoned file
  EXPECT_EQ(bytes_of(before), pattern(1, 2000));
}

TEST_F(StagingTest, a_lost_record_does_not_come_back_after_a_power_cut) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(seed);
    start();
    const Stamp base = machine.engine.current().inodes[2].version;
    const uint64_t before = append(2, "before", 1, 0, base).record.header.sequence;
    ASSERT_TRUE(staging->sync().ok());
    machine.executor->run_ready();  // so that no journal is made, and no folder synced, in between
    const Journaled lost = append(2, "lost", 1, before);
    machine.faulty.fail_nth(sim::FsCall::kSyncData, 1, {EIO}, sim::FaultyFs::Times::kOnce);
    EXPECT_EQ(staging->sync().code(), EIO);
    const Journaled again = append(2, "again", 1, before);
    staging->forget_lost(lost.position);
    ASSERT_TRUE(staging->sync().ok());
    cut_power(seed);
    EXPECT_EQ(start().conflicts, 0u);
    EXPECT_EQ(machine.engine.current().inodes[2].applied, again.record.header.sequence);
    kill();
  }
}

TEST_F(StagingTest, a_journal_that_cannot_be_written_takes_no_more) {
  start();
  const Journaled before = append(2, "before", 1);
  machine.faulty.fail_nth(sim::FsCall::kWrite, 1, {EIO, sim::FaultyFs::Fault::Effect::kFull},
                          sim::FaultyFs::Times::kOnce);
  EXPECT_EQ(append_bytes(*staging, data_operation(3, 0, 6), "failed").code(), EIO);
  const Journaled after = append(4, "after", 1);
  EXPECT_NE(after.record.target->segment, before.record.target->segment);
  kill();
  const ReplayReport report = start();
  EXPECT_EQ(report.applied, 2u);  // not the one whose append failed
  EXPECT_EQ(machine.engine.current().inodes[3].applied, 0u);
}

TEST_F(StagingTest, a_full_disk_is_enospc_before_a_byte_is_taken) {
  start();
  machine.disk.set_capacity(machine.disk.used_bytes() + 4096);
  int appended = 0;
  Status failed;
  while (failed.ok() && appended < 1000) {
    auto record = append_bytes(*staging, data_operation(2, 0, 0), pattern(1, 4000));
    if (record.ok()) {
      ++appended;
    } else {
      failed = record.error();
    }
  }
  EXPECT_EQ(failed.code(), ENOSPC);
  EXPECT_GT(appended, 0);
  machine.disk.set_capacity(uint64_t{1} << 40);
  append(3, "goes on");
  ASSERT_TRUE(staging->sync().ok());
}

TEST_F(StagingTest, what_does_not_belong_here_goes_to_quarantine) {
  start();
  append(2, "mine", 1);
  const Path journals = join(staging->folder(), "journals");
  const Path folder = staging->folder();
  kill();
  auto put = [&](const std::string& name, const std::string& bytes) {
    auto file = machine.disk.open(join(journals, name), OpenMode::kTruncate).value();
    file->write_at(0, as_bytes(bytes)).value();
    file->sync().value();
    machine.disk.sync_dir(journals).value();
  };
  format::SegmentHeader other;
  other.volume = machine.random.uuid();
  other.segment = {5, 5};
  put("00000901", format::encode_segment_header(other));
  put("00000902", "no journal at all");
  put("notes.txt", "hello");
  const ReplayReport report = start();
  EXPECT_EQ(report.applied, 1u);
  EXPECT_EQ(report.quarantined_files, 3u);
  const auto moved = machine.disk.list(join(folder, "quarantine")).value();
  EXPECT_EQ(moved, (std::vector<std::string>{"00000901", "00000902", "notes.txt"}));
  const std::string text = read_file(machine.disk, join(folder, "report-2.txt"), 1 << 20).value();
  EXPECT_NE(text.find("notes.txt"), std::string::npos);
}

TEST_F(StagingTest, a_second_mount_takes_another_store) {
  start();
  auto second = machine.open(small_segments());
  ASSERT_TRUE(second.ok());
  EXPECT_NE((*second)->uuid(), staging->uuid());
  EXPECT_NE((*second)->nonce(), staging->nonce());
  const Uuid first = staging->uuid();
  second->reset();
  kill();
  start();
  auto other = machine.open(small_segments());
  EXPECT_NE(staging->uuid(), (*other)->uuid());
  EXPECT_TRUE(staging->uuid() == first || (*other)->uuid() == first);  // no third one was made
  EXPECT_EQ(machine.disk.list("/state/stores").value().size(), 2u);
}

TEST_F(StagingTest, records_of_unknown_inodes_are_counted_and_their_journal_discarded) {
  start();
  const Journaled gone = append(5000, "gone", 1);
  ASSERT_TRUE(staging->sync().ok());
  kill();
  const ReplayReport report = start();
  EXPECT_EQ(report.no_inode, 1u);
  EXPECT_FALSE(machine.engine.current().segments.contains(gone.record.target->segment));
  EXPECT_FALSE(machine.bucket.objects().contains(
      format::segment_object_key(machine.volume, gone.record.target->segment)));
  sync_engine();
  EXPECT_FALSE(staging->holds(gone.record.target->segment));
}

TEST_F(StagingTest, replay_stops_an_inode_at_a_missing_predecessor) {
  start();
  const Journaled a = append(2, "a", 1);
  append(2, "c", 1, a.record.header.sequence + 777);  // its predecessor is nowhere
  append(3, "other", 1);
  ASSERT_TRUE(staging->sync().ok());
  kill();
  const ReplayReport report = start();
  EXPECT_EQ(report.applied, 2u);
  EXPECT_EQ(report.conflicts, 1u);
  EXPECT_EQ(machine.engine.current().inodes[2].records.size(), 1u);
  EXPECT_FALSE(report.lines.empty());
}

TEST_F(StagingTest, staging_that_is_gone_is_reported) {
  start();
  const Journaled one = append(2, "x", 1);
  ASSERT_TRUE(staging->sync().ok());
  commit({one});
  const Path stores = "/state/stores";
  kill();
  remove_tree(machine.disk, stores).value();
  const ReplayReport report = start();
  ASSERT_FALSE(report.lost_segments.empty());
  bool named = false;
  for (const auto& segment : report.lost_segments)
    named |= segment.id == one.record.target->segment;
  EXPECT_TRUE(named);
}

TEST_F(StagingTest, only_what_is_still_wanted_is_uploaded_when_a_store_comes_back) {
  StagingOptions quiet = small_segments();
  quiet.uploads_enabled = false;
  start(quiet);
  const Journaled freed = append(2, pattern(1, 5000), 1);
  Journaled wanted = append(3, pattern(2, 5000), 2);
  for (Ino ino = 4; wanted.record.target->segment == freed.record.target->segment; ++ino)
    wanted = append(ino, pattern(ino, 5000), ino);
  ASSERT_TRUE(staging->sync().ok());
  commit({freed, wanted});
  kill();
  // While it is away the bytes of inode 2 are overwritten, and others give their segment up.
  FakeState state = machine.engine.current();
  const SegmentId gone = freed.record.target->segment;
  state.inodes[2].records.clear();
  ASSERT_EQ(state.segments.erase(gone), 1u);
  machine.engine.commit(state);
  machine.engine.sync();
  EXPECT_EQ(start().already, 2u);
  machine.executor->advance(2min);
  EXPECT_EQ(machine.bucket.object(machine.volume, gone), "");
  EXPECT_NE(machine.bucket.object(machine.volume, wanted.record.target->segment), "");
}

TEST_F(StagingTest, a_clean_end_leaves_nothing_that_replay_would_miss) {
  start();
  append(2, "x", 1);
  kill();
  for (int life = 0; life < 3; ++life) {
    EXPECT_TRUE(start().lost_segments.empty());
    kill();
  }
}

TEST_F(StagingTest, another_lineage_is_not_replayed_but_its_bytes_are_kept) {
  start();
  const Journaled one = append(2, "x", 1);
  const Journaled two = append(3, "y", 1);
  ASSERT_TRUE(staging->sync().ok());
  commit({one});
  kill();
  machine.lineage = 78;
  const ReplayReport report = start();
  EXPECT_EQ(report.conflicts, 2u);
  EXPECT_EQ(machine.engine.current().inodes[3].applied, 0u);
  machine.executor->advance(1s);
  EXPECT_EQ(bytes_of(one), "x");
  EXPECT_EQ(bytes_of(two), "y");
}

TEST_F(StagingTest, nothing_is_uploaded_when_uploads_are_off) {
  StagingOptions options = small_segments();
  options.uploads_enabled = false;
  start(options);
  append(2, pattern(1, 5000));
  machine.executor->advance(10min);
  EXPECT_TRUE(machine.bucket.objects().empty());
  EXPECT_EQ(staging->store_inode(2).code(), EIO);
  EXPECT_EQ(staging->store_all(nullptr).code(), EIO);
}

}  // namespace
}  // namespace shoal::data
