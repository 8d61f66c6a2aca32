// Power test of staging: random work, cut at a random change of the disk (also inside replay), then
// the next life must find every inode at a prefix of its operations, at least up to what a sync
// acknowledged, each byte where its record says. The owner's unsynced tail is cut at the same time.
// SIGKILLs are mixed in: they lose nothing that was appended.
//
// Which test fails when a sync call is taken away (tried by hand; P: this test, others in
// staging_test.cc):
//   prepare: fdatasync of the new header ................ P
//   prepare: sync_dir after the journal got its name .... P,
//   synced_records_survive_a_power_cut_and_are_offered sync: fdatasync
//   ..................................... P, synced_records_survive_a_power_cut_and_are_offered
//   replay: fdatasync before offering ................... P,
//   replay_makes_records_durable_before_it_offers_them recycle: waiting for the sync of `B`
//   ................ P, a_journal_serves_reads_until_the_engine_is_synced_past_b poison: sync_dir
//   after marking the file ............. a_lost_record_does_not_come_back_after_a_power_cut
//   sync, replay: fdatasync of a large writer's segment . P, and others in staging_large_test.cc
// Not noticed, since something else guards the same: the sync of the commit's stamp (that of `B`
// comes later), one of the two syncs before a PUT alone, sync_dir after freeing and at the end of
// recovery (a file that comes back under its old name has a new header or a torn one and held
// nothing that was still needed), engine sync at the end of replay (recycling waits for it anyway).
#include <gtest/gtest.h>

#include <iostream>

#include "base/limits.h"
#include "data/staging_test_util.h"

namespace shoal::data {
namespace {

using namespace std::chrono_literals;

constexpr Ino kFirstIno = 2;
constexpr Ino kInodes = 6;

struct Operation {
  Journaled journaled;
  std::string bytes;
  bool in_flight = false;  // the power went during its append: it may be there or not
};

struct ModelInode {
  std::vector<Operation> list;
  size_t committed = 0;
  size_t sure = 0;      // a sync covered so many
  size_t expected = 0;  // so many must be found by the next life
  bool fresh = true;    // no operation of this life yet
  uint64_t end = 0;     // where a large writer goes on
  Stamp base = 0;
};

class PowerRun {
 public:
  explicit PowerRun(uint64_t seed) : machine_(seed), random_(seed * 7919 + 1), seed_(seed) {
    FakeState state;
    for (Ino ino = kFirstIno; ino < kFirstIno + kInodes; ++ino) state.inodes[ino];
    machine_.engine.commit(state);
    machine_.engine.sync();
    machine_.boot();
  }

  void run(int lives) {
    for (int life = 0; life < lives && !::testing::Test::HasFailure(); ++life) {
      const bool cut_in_replay = random_.chance(30);
      if (cut_in_replay) machine_.disk.cut_after(1 + random_.below(25));
      if (!start()) {
        end_by_power();
        continue;
      }
      verify();
      if (!machine_.disk.power_is_cut())
        machine_.disk.cut_after(random_.chance(80) ? 1 + random_.below(150) : 0);
      const int steps = static_cast<int>(20 + random_.below(150));
      for (int i = 0; i < steps && !machine_.disk.power_is_cut(); ++i) step();
      if (machine_.disk.power_is_cut() || random_.chance(60)) {
        end_by_power();
      } else {
        end_by_kill();
      }
    }
    machine_.disk.cut_after(0);
    if (machine_.disk.power_is_cut()) machine_.disk.restore_power(seed_);
    ASSERT_TRUE(start()) << "the last start";
    verify();
    EXPECT_EQ(machine_.bucket.rewritten(), 0);
    for (const auto& owner : machine_.owners) {
      for (const std::string& violation : owner->violations()) ADD_FAILURE() << violation;
    }
  }

  int cuts() const { return cuts_; }
  int kills() const { return kills_; }
  uint64_t verified() const { return verified_; }
  uint64_t recycled_reads() const { return recycled_reads_; }
  uint64_t large_verified() const { return large_verified_; }

 private:
  bool start() {
    auto opened = machine_.open(large() ? large_writers() : small_segments());
    if (!opened.ok()) {
      EXPECT_TRUE(machine_.disk.power_is_cut()) << opened.error().to_string();
      return false;
    }
    staging_ = std::move(*opened);
    auto report = staging_->replay(*machine_.owner, 1);
    if (!report.ok()) {
      EXPECT_TRUE(machine_.disk.power_is_cut()) << report.error().to_string();
      return false;
    }
    // Conflicts are legal: of two unsynced records of an inode in two journals the second alone may
    // survive.
    EXPECT_EQ(report->no_inode, 0u);
    EXPECT_EQ(report->quarantined_files, 0u);
    EXPECT_TRUE(report->lost_segments.empty());
    return true;
  }

  // After replay the owner knows everything that survived.
  void verify() {
    if (machine_.disk.power_is_cut()) return;
    const FakeState state = machine_.engine.current();
    for (auto& [ino, model] : model_) {
      const auto& records = state.inodes.at(ino).records;
      EXPECT_GE(records.size(), model.expected) << "inode " << ino << " lost synced operations";
      EXPECT_LE(records.size(), model.list.size()) << "inode " << ino;
      const size_t n = std::min(records.size(), model.list.size());
      for (size_t i = 0; i < n; ++i) {
        if (model.list[i].in_flight) {
          model.list[i].journaled.record = records[i];
          model.list[i].in_flight = false;
        }
        ASSERT_EQ(records[i].header.sequence, model.list[i].journaled.record.header.sequence)
            << "inode " << ino << " is no prefix of its operations";
        if (!staging_->holds(records[i].target->segment)) ++recycled_reads_;
        EXPECT_EQ(bytes_of(*staging_, machine_.bucket, machine_.volume, records[i]),
                  model.list[i].bytes)
            << "inode " << ino << " operation " << i;
        ++verified_;
        if (records[i].target->length != records[i].header.length) ++large_verified_;
      }
      model.list.resize(n);
      model.committed = model.sure = n;
      model.fresh = true;
      model.base = state.inodes.at(ino).version;
    }
  }

  void step() {
    const uint64_t dice = random_.below(100);
    if (dice < 55) {
      append();
    } else if (dice < 67) {
      sync();
    } else if (dice < 79) {
      commit();
    } else if (dice < 87) {
      sync_engine();
    } else if (dice < 90) {
      machine_.bucket.fail(1);
    } else if (dice < 95) {
      machine_.executor->run_ready();
    } else {
      machine_.executor->advance(std::chrono::milliseconds(500 + random_.below(15'000)));
    }
  }

  // Every other seed has large writers among the others.
  bool large() const { return seed_ % 2 == 1; }

  void append() {
    const Ino ino = kFirstIno + random_.below(kInodes);
    ModelInode& model = model_[ino];
    const bool goes_on = large() && ino % 3 == 0;
    DataOperation operation = data_operation(ino, goes_on ? model.end : model.list.size() * 1000, 0,
                                             1 + random_.below(3));
    if (model.fresh) {
      operation.base_version = model.base;
    } else {
      operation.previous_sequence = model.list.back().journaled.record.header.sequence;
    }
    const size_t length = goes_on ? kFrameBytesMax + 1 + random_.below(9000)
                                  : 1 + random_.below(random_.chance(10) ? 9000 : 1500);
    const std::string bytes = pattern(random_.u64(), length);
    model.end += length;
    auto journaled = append_bytes(*staging_, operation, bytes);
    if (!journaled.ok()) {
      EXPECT_TRUE(machine_.disk.power_is_cut()) << journaled.error().to_string();
      model.list.push_back({{}, bytes, true});
      return;
    }
    model.list.push_back({std::move(*journaled), bytes});
    model.fresh = false;
  }

  void sync() {
    std::map<Ino, size_t> covered;
    for (const auto& [ino, model] : model_) covered[ino] = model.list.size();
    const Status synced = staging_->sync();
    if (!synced.ok()) {
      EXPECT_TRUE(machine_.disk.power_is_cut()) << synced.error().to_string();
      return;
    }
    for (const auto& [ino, n] : covered) model_[ino].sure = std::max(model_[ino].sure, n);
  }

  // The longest durable prefix of each list.
  void commit() {
    const uint64_t durable = staging_->synced_position();
    std::vector<meta::DataRecord> offered;
    std::vector<Journaled> journaled;
    for (auto& [ino, model] : model_) {
      while (model.committed < model.list.size() &&
             model.list[model.committed].journaled.position <= durable) {
        journaled.push_back(model.list[model.committed++].journaled);
        offered.push_back(journaled.back().record);
      }
    }
    if (offered.empty()) return;
    const auto reply = machine_.owner->commit_data({}, 1, offered);
    ASSERT_TRUE(reply.ok());
    for (const auto& outcome : reply->outcomes)
      EXPECT_EQ(outcome.kind, meta::DataOutcome::Kind::kApplied);
    const Stamp stamp = machine_.owner->committed_stamp();
    for (const Journaled& record : journaled) staging_->committed(record, stamp);
  }

  void sync_engine() {
    const Stamp stamp = machine_.owner->committed_stamp();
    machine_.owner->sync().value();
    staging_->engine_synced(stamp);
  }

  void end_by_power() {
    machine_.cut_power(staging_, seed_ * 1000 + static_cast<uint64_t>(++cuts_));
    machine_.disk.cut_after(0);
    machine_.boot();
    for (auto& [ino, model] : model_) model.expected = model.sure;
  }

  void end_by_kill() {
    machine_.disk.cut_after(0);
    machine_.kill(staging_);
    machine_.boot();
    ++kills_;
    for (auto& [ino, model] : model_)
      model.expected = model.list.size();  // the page cache survives
  }

  Machine machine_;
  sim::SeededRandom random_;
  const uint64_t seed_;
  std::unique_ptr<Staging> staging_;
  std::map<Ino, ModelInode> model_;
  int cuts_ = 0;
  int kills_ = 0;
  uint64_t verified_ = 0;
  uint64_t recycled_reads_ = 0;
  uint64_t large_verified_ = 0;
};

TEST(StagingPower, everything_synced_is_offered_again_and_nothing_is_recycled_too_early) {
  int cuts = 0;
  int kills = 0;
  uint64_t verified = 0;
  uint64_t from_bucket = 0;
  uint64_t large = 0;
  const uint64_t first = sim::seed_or(1);
  for (uint64_t seed = first; seed < first + 150 && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("SHOAL_SEED=" + std::to_string(seed));
    PowerRun run(seed);
    run.run(10);
    cuts += run.cuts();
    kills += run.kills();
    verified += run.verified();
    from_bucket += run.recycled_reads();
    large += run.large_verified();
  }
  RecordProperty("cuts", cuts);
  std::cout << cuts << " cuts, " << kills << " kills, " << verified << " records verified, "
            << from_bucket << " of them from the bucket, " << large << " of large writers\n";
  if (::testing::Test::HasFailure()) return;
  EXPECT_GE(cuts, 1000);  // else the run did not test what it says
  EXPECT_GE(kills, 50);
  EXPECT_GE(from_bucket, 1000u);
  EXPECT_GE(large, 1000u);
}

}  // namespace
}  // namespace shoal::data
