// Power cuts under RocksDB (design §10.5): commits, syncs, ingests and compactions run on a SimFs
// whose power goes at a random change; after each cut the folder opens without help and holds a
// prefix of the commits, at least up to the last sync.
#include <gtest/gtest.h>

#include <iostream>

#include "base/log.h"
#include "engine/contract/history.h"
#include "engine/rocksdb/hasty_env.h"
#include "engine/rocksdb/rocksdb_engine.h"
#include "sim/seeded_random.h"
#include "sim/sim_fs.h"

namespace shoal::engine {
namespace {

// Small enough that memtables switch, tables are written and compacted and logs removed within one
// life.
constexpr RocksdbOptions kSmall{
    .create_if_missing = true, .block_cache_bytes = 1 << 20, .write_buffer_bytes = 0};

struct Outcome {
  uint64_t cuts = 0;
  uint64_t cuts_with_a_lost_tail = 0;
  uint64_t cuts_after_a_sync = 0;
};

// One life: open, verify, work until the power goes (or until `steps` are done).
void live(sim::SimFs& fs, sim::SeededRandom& random, History& history, Outcome& outcome) {
  const uint64_t attempted_before = history.attempted();
  Result<std::unique_ptr<KvEngine>> engine = open_hastily(fs, kSmall);
  if (!engine.ok()) {
    ASSERT_TRUE(fs.power_is_cut()) << engine.error().to_string();
    return;
  }
  if (fs.power_is_cut()) return;
  bool synced = false;
  for (int step = 0; step < 400 && !fs.power_is_cut(); ++step) {
    if (!history.advance(**engine)) break;
    if (random.chance(4)) {
      if (!history.sync(**engine)) break;
      synced = true;
    }
  }
  if (synced && history.attempted() > attempted_before) ++outcome.cuts_after_a_sync;
}

void verify_after_cut(sim::SimFs& fs, History& history, Outcome& outcome) {
  const uint64_t attempted = history.attempted();
  Result<std::unique_ptr<KvEngine>> engine = open_hastily(fs, kSmall);
  ASSERT_TRUE(engine.ok()) << engine.error().to_string();
  history.verify(**engine);
  ++outcome.cuts;
  if (history.attempted() + 1 < attempted) ++outcome.cuts_with_a_lost_tail;
}

void run(uint64_t seed, int volumes, int cuts_each, Outcome& outcome) {
  sim::SeededRandom random(seed);
  for (int volume = 0; volume < volumes; ++volume) {
    sim::SimFs fs;
    History history;
    for (int cut = 0; cut < cuts_each; ++cut) {
      SCOPED_TRACE(fmt::format("seed {} volume {} cut {}", seed, volume, cut));
      // Early cuts hit creation and recovery, late ones logs and compactions.
      fs.cut_after(1 + random.below(random.chance(30) ? 40 : 600));
      live(fs, random, history, outcome);
      fs.restore_power(random.u64());
      fs.cut_after(0);
      verify_after_cut(fs, history, outcome);
      if (testing::Test::HasFailure()) return;
    }
  }
}

class RocksdbPowerTest : public testing::Test {
 protected:
  // RocksDB complains of every cut, rightly.
  RocksdbPowerTest() {
    set_log_sink([](LogLevel, std::string_view) {});
  }
  ~RocksdbPowerTest() override { set_log_sink(nullptr); }
};

TEST_F(RocksdbPowerTest, what_was_synced_survives_and_the_rest_is_a_prefix) {
  const uint64_t seed = sim::seed_or(20'261);
  std::cout << "seed " << seed << " (repeat with SHOAL_SEED=" << seed << ")" << std::endl;
  Outcome outcome;
  run(seed, 30, 5, outcome);
  std::cout << outcome.cuts << " cuts, " << outcome.cuts_with_a_lost_tail
            << " lost unsynced commits, " << outcome.cuts_after_a_sync << " lives synced something"
            << std::endl;
  EXPECT_GE(outcome.cuts, 100u);
  // A run in which nothing could be lost proves nothing.
  EXPECT_GT(outcome.cuts_with_a_lost_tail, 20u);
  EXPECT_GT(outcome.cuts_after_a_sync, 20u);
}

// A process that is only killed loses nothing that it acknowledged: the kernel has it.
TEST_F(RocksdbPowerTest, without_a_power_cut_every_commit_survives) {
  sim::SimFs fs;
  History history;
  for (int life = 0; life < 5; ++life) {
    const auto engine = open_hastily(fs, kSmall).value();
    history.verify(*engine, true);
    for (int i = 0; i < 150; ++i) ASSERT_TRUE(history.advance(*engine));
  }
}

}  // namespace
}  // namespace shoal::engine
