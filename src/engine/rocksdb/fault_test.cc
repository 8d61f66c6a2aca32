// A disk that fails or fills up under RocksDB: errors are told, nothing acknowledged as durable is
// lost, and nobody goes on after a failed sync.
#include <gtest/gtest.h>

#include "base/log.h"
#include "engine/contract/history.h"
#include "engine/rocksdb/hasty_env.h"
#include "engine/rocksdb/rocksdb_engine.h"
#include "sim/faulty_fs.h"
#include "sim/seeded_random.h"
#include "sim/sim_fs.h"

namespace shoal::engine {
namespace {

using sim::FaultyFs;
using sim::FsCall;
using Kind = CommitResult::Kind;

class RocksdbFaultTest : public testing::Test {
 protected:
  RocksdbFaultTest() {
    set_log_sink([](LogLevel, std::string_view) {});
  }
  ~RocksdbFaultTest() override { set_log_sink(nullptr); }

  static Batch put(Stamp stamp, std::string key) {
    Batch batch(stamp);
    batch.put(std::move(key), "x");
    return batch;
  }
  // Nothing that compression could make small.
  Batch put_much(Stamp stamp, std::string key) {
    Batch batch(stamp);
    std::string value(5'000, 0);
    random_.fill(as_mutable_bytes(value));
    batch.put(std::move(key), std::move(value));
    return batch;
  }

  static void fail(FaultyFs& fs, FsCall wanted, std::string_view name_end, FaultyFs::Fault fault) {
    fs.decide([=](FsCall call, const Path& path, uint64_t) {
      return call == wanted && path.ends_with(name_end) ? fault : FaultyFs::Fault{};
    });
  }

  sim::SimFs disk_;
  sim::SeededRandom random_{4};
};

TEST_F(RocksdbFaultTest, after_a_failed_sync_every_call_answers_EIO_for_ever) {
  FaultyFs fs(disk_);
  auto engine = open_hastily(fs, {.create_if_missing = true}).value();
  ASSERT_EQ(engine->commit(put(1, "a"))->kind, Kind::kCommitted);
  ASSERT_TRUE(engine->sync().ok());
  ASSERT_EQ(engine->commit(put(2, "b"))->kind, Kind::kCommitted);
  fail(fs, FsCall::kSyncData, ".log", {.code = EIO});
  EXPECT_EQ(engine->sync().code(), EIO);
  fs.decide(nullptr);
  EXPECT_EQ(engine->sync().code(), EIO)
      << "the kernel has forgotten the pages; a second fsync would lie";
  EXPECT_EQ(engine->commit(put(3, "c")).code(), EIO);
  EXPECT_EQ(engine->get(nullptr, "a").code(), EIO);
  EXPECT_EQ(engine->get_many(nullptr, {"a"}).code(), EIO);
  EXPECT_EQ(engine->scan(nullptr, "", "", 1).code(), EIO);
  EXPECT_EQ(engine->last(nullptr, "", "").code(), EIO);
  EXPECT_EQ(engine->ingest({{"d", 4, ""}}).code(), EIO);
  engine.reset();
  engine = open_hastily(fs, {}).value();
  EXPECT_TRUE(engine->get(nullptr, "a")->has_value());
  EXPECT_EQ(engine->commit(put(5, "e"))->kind, Kind::kCommitted);
  EXPECT_TRUE(engine->sync().ok());
}

TEST_F(RocksdbFaultTest, a_write_that_failed_is_unknown_and_the_last) {
  for (const auto effect : {FaultyFs::Fault::Effect::kNone, FaultyFs::Fault::Effect::kFull}) {
    sim::SimFs disk;
    FaultyFs fs(disk);
    auto engine = open_hastily(fs, {.create_if_missing = true}).value();
    ASSERT_EQ(engine->commit(put(1, "a"))->kind, Kind::kCommitted);
    fail(fs, FsCall::kWrite, ".log", {.code = EIO, .effect = effect});
    EXPECT_EQ(engine->commit(put(2, "b"))->kind, Kind::kUnknown);
    fs.decide(nullptr);
    EXPECT_EQ(engine->commit(put(3, "c")).code(), EIO);
    EXPECT_EQ(engine->sync().code(), EIO);
    engine.reset();
    engine = open_hastily(fs, {}).value();
    EXPECT_TRUE(engine->get(nullptr, "a")->has_value());
    EXPECT_EQ(engine->get(nullptr, "b")->has_value(), effect == FaultyFs::Fault::Effect::kFull);
    EXPECT_FALSE(engine->get(nullptr, "c")->has_value());
  }
}

TEST_F(RocksdbFaultTest,
       a_full_disk_refuses_commits_without_a_trace_and_goes_on_when_there_is_room) {
  auto engine = open_hastily(disk_, {.create_if_missing = true, .write_buffer_bytes = 0}).value();
  const uint64_t room = disk_.used_bytes() + (1 << 20);
  disk_.set_capacity(room);
  std::vector<std::string> kept;
  std::string refused;
  for (Stamp stamp = 1; refused.empty() && stamp < 2'000; ++stamp) {
    const std::string key = fmt::format("k{:05}", stamp);
    const Result<CommitResult> result = engine->commit(put_much(stamp, key));
    if (result.ok()) {
      ASSERT_EQ(result->kind, Kind::kCommitted);
      kept.push_back(key);
    } else {
      EXPECT_EQ(result.code(), ENOSPC) << result.error().to_string();
      refused = key;
    }
  }
  ASSERT_FALSE(refused.empty());
  EXPECT_EQ(engine->commit(put_much(5'000, "again")).code(), ENOSPC);
  EXPECT_TRUE(engine->get(nullptr, kept.front())->has_value()) << "reads go on";
  EXPECT_FALSE(engine->get(nullptr, refused)->has_value());

  disk_.set_capacity(room + (64 << 20));
  EXPECT_EQ(engine->commit(put(6'000, "room"))->kind, Kind::kCommitted);
  EXPECT_TRUE(engine->sync().ok());
  engine.reset();
  disk_.cut_power(7);
  engine = open_hastily(disk_, {}).value();
  for (const std::string& key : kept) EXPECT_TRUE(engine->get(nullptr, key)->has_value()) << key;
  EXPECT_TRUE(engine->get(nullptr, "room")->has_value());
  EXPECT_FALSE(engine->get(nullptr, refused)->has_value());
  EXPECT_FALSE(engine->get(nullptr, "again")->has_value());
}

TEST_F(RocksdbFaultTest, while_the_disk_is_full_what_was_committed_can_still_be_synced) {
  sim::SimFs disk;
  FaultyFs fs(disk);
  auto engine = open_hastily(fs, {.create_if_missing = true}).value();
  ASSERT_EQ(engine->commit(put(1, "a"))->kind, Kind::kCommitted);
  disk.set_capacity(disk.used_bytes());
  fail(fs, FsCall::kWrite, ".log",
       {.code = ENOSPC, .effect = FaultyFs::Fault::Effect::kPartial, .bytes = 5});
  EXPECT_EQ(engine->commit(put(2, "b")).code(), ENOSPC);
  EXPECT_TRUE(engine->sync().ok());
  engine.reset();
  disk.cut_power(3);
  disk.set_capacity(1 << 30);
  engine = open_hastily(disk, {}).value();
  EXPECT_TRUE(engine->get(nullptr, "a")->has_value());
  EXPECT_FALSE(engine->get(nullptr, "b")->has_value());
}

// Everything from the n-th call on fails, or only that one: the engine says so or copes, and what
// it holds when the disk is well again is a prefix.
void sweep(FaultyFs::Times times, uint64_t step) {
  uint64_t calls = 0;
  for (uint64_t n = 0; n == 0 || n <= calls; n += n == 0 ? 1 : step) {
    SCOPED_TRACE(fmt::format("call {}", n));
    sim::SimFs disk;
    History history;
    {
      FaultyFs fs(disk);
      if (n > 0) fs.fail_nth(n, {.code = EIO}, times);
      const auto engine = open_hastily(fs, {.create_if_missing = true, .write_buffer_bytes = 0});
      for (int i = 1; engine.ok() && i <= 150; ++i) {
        if (!history.advance(**engine)) break;
        if (i % 20 == 0 && !history.sync(**engine)) break;
      }
      if (n == 0) calls = fs.calls();
    }
    const auto engine = open_hastily(disk, {.create_if_missing = true});
    ASSERT_TRUE(engine.ok()) << engine.error().to_string();
    history.verify(**engine);
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_GT(calls, 200u);
}

TEST_F(RocksdbFaultTest, one_failed_call_anywhere_loses_nothing_durable) {
  sweep(FaultyFs::Times::kOnce, 7);
}

TEST_F(RocksdbFaultTest, a_disk_that_dies_anywhere_loses_nothing_durable) {
  sweep(FaultyFs::Times::kFromThenOn, 17);
}

}  // namespace
}  // namespace shoal::engine
