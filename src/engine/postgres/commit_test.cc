// Commits that meet each other, or a limit. What is lost on the way is unknown_test.cc's.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/coding.h"
#include "engine/memory/memory_engine.h"
#include "engine/postgres/testing/cutting_proxy.h"
#include "engine/postgres/testing/helpers.h"
#include "engine/postgres/testing/volume.h"
#include "sys/thread.h"

namespace shoal::engine::postgres {
namespace {

constexpr const char* kSerializable = "&options=-c%20default_transaction_isolation%3Dserializable";

std::string table_of_keys(const Volume& volume) {
  return fmt::format("\"{}\".kv", volume.prefix());
}

// Who waits for a lock of somebody else in this volume.
std::string count_of_waiting(const Volume& volume) {
  return fmt::format(
      "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND "
      "application_name LIKE 'shoal/{}/%'",
      volume.prefix());
}

TEST(PostgresCommit, of_two_racing_inserts_of_one_absent_key_exactly_one_wins) {
  for (const char* mode : {"", kSerializable}) {
    Volume volume(TestServer::shared(), mode);
    const auto one = volume.open();
    const auto two = volume.open();
    for (int round = 0; round < 50; ++round) {
      const std::string key = fmt::format("D{}", round);
      std::atomic<int> ready = 0;
      std::string outcomes[2];
      Stamp stamps[2];
      const auto race = [&](int i, PostgresEngine& engine) {
        Batch batch = fresh_batch();
        batch.insert(key, "same");
        stamps[i] = batch.stamp();
        ++ready;
        while (ready < 2) std::this_thread::yield();
        outcomes[i] = outcome(engine.commit(batch));
      };
      Thread other("race", [&] { race(1, *two); });
      race(0, *one);
      other.join();
      const int winner = outcomes[0] == "committed" ? 0 : 1;
      EXPECT_EQ(outcomes[winner], "committed");
      EXPECT_EQ(outcomes[1 - winner], "conflict " + key);
      EXPECT_EQ(shown(*one, key), fmt::format("same@{}", stamps[winner]));
    }
  }
}

// The loser has looked before the winner committed: nothing that it saw told it.
TEST(PostgresCommit, an_insert_that_waited_for_another_one_conflicts) {
  Volume volume;
  const auto engine = volume.open();
  SideSession other(TestServer::shared());
  other.sql("BEGIN");
  other.sql(fmt::format("INSERT INTO {} (key, stamp, value) VALUES ('a', 77, 'theirs')",
                        table_of_keys(volume)));
  std::string result;
  Batch batch = fresh_batch();
  batch.insert("a", "ours");
  batch.insert("b", "ours");
  Thread committing("commit", [&] { result = outcome(engine->commit(batch)); });
  wait_for_answer(TestServer::shared(), count_of_waiting(volume), "1");
  other.sql("COMMIT");
  committing.join();
  EXPECT_EQ(result, "conflict a");
  EXPECT_EQ(shown(*engine, "a"), "theirs@77");
  EXPECT_EQ(shown(*engine, "b"), "absent");
}

TEST(PostgresCommit, a_stale_check_meets_a_key_deleted_and_made_again) {
  Volume volume;
  const auto engine = volume.open();
  Batch first = fresh_batch();
  first.insert("a", "same");
  ASSERT_EQ(outcome(engine->commit(first)), "committed");
  // The key changes while the check waits for it.
  SideSession other(TestServer::shared());
  other.sql("BEGIN");
  other.sql(fmt::format("DELETE FROM {} WHERE key = 'a'", table_of_keys(volume)));
  other.sql(fmt::format("INSERT INTO {} (key, stamp, value) VALUES ('a', 78, 'same')",
                        table_of_keys(volume)));
  Batch stale = fresh_batch();
  stale.check("a", first.stamp());
  stale.insert("b", "never");
  std::string result;
  Thread committing("commit", [&] { result = outcome(engine->commit(stale)); });
  wait_for_answer(TestServer::shared(), count_of_waiting(volume), "1");
  other.sql("COMMIT");
  committing.join();
  EXPECT_EQ(result, "conflict a");
  EXPECT_EQ(outcome(engine->commit(stale)), "conflict a");
  EXPECT_EQ(shown(*engine, "b"), "absent");
}

TEST(PostgresCommit, a_batch_that_touches_one_key_twice_is_refused) {
  Volume volume;
  const auto engine = volume.open();
  Batch batch = fresh_batch();
  batch.put("Da", "1");
  batch.put("Db", "1");
  batch.check("Da", 1);
  EXPECT_EQ(outcome(engine->commit(batch)), "EINVAL");
  EXPECT_EQ(shown(*engine, "Da"), "absent");
  EXPECT_EQ(shown(*engine, "Db"), "absent");
}

TEST(PostgresCommit, real_serialization_failures_are_repeated_until_the_batch_is_in) {
  Volume volume(TestServer::shared(), kSerializable);
  std::vector<std::unique_ptr<PostgresEngine>> engines;
  for (int i = 0; i < 4; ++i) engines.push_back(volume.open());
  int64_t total = 0;
  uint64_t repeated = 0;
  constexpr int kEach = 50;
  // How often they meet is the server's business; that they meet at all is a matter of tries.
  for (int round = 0; round < 40 && repeated < 20; ++round) {
    std::vector<Thread> threads;
    for (const auto& engine : engines) {
      threads.emplace_back("adder", [&] {
        for (int n = 0; n < kEach; ++n) {
          Batch batch = fresh_batch();
          batch.merge_add("W", 1);
          EXPECT_EQ(outcome(engine->commit(batch)), "committed");
        }
      });
    }
    threads.clear();
    total += static_cast<int64_t>(engines.size()) * kEach;
    repeated = 0;
    for (const auto& engine : engines) repeated += engine->repeated_commits();
  }
  EXPECT_GE(repeated, 20u);
  EXPECT_EQ(read_counter(*engines[0], nullptr, "W").value(), total);
}

TEST(PostgresCommit, a_lock_that_stays_is_a_certain_error_and_the_engine_goes_on) {
  Volume volume;
  const auto engine = volume.open({.lock_wait_max = std::chrono::milliseconds(100)});
  SideSession other(TestServer::shared());
  other.sql("BEGIN");
  other.sql(fmt::format("INSERT INTO {} (key, stamp, value) VALUES ('a', 79, 'theirs')",
                        table_of_keys(volume)));
  Batch batch = fresh_batch();
  batch.put("a", "ours");
  const Result<CommitResult> result = engine->commit(batch);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.code(), EBUSY);
  expect_good_text(result.error());
  other.sql("ROLLBACK");
  EXPECT_EQ(outcome(engine->commit(batch)), "committed");
}

TEST(PostgresCommit, a_batch_is_one_round_trip_and_so_is_a_page) {
  Volume volume;
  CuttingProxy proxy(TestServer::shared());
  const auto engine = open_postgres(proxy.url(volume.prefix()), {}, volume.clock()).value();
  Stamp directory = 0;
  int n = 0;
  const auto create = [&] {
    Batch batch = fresh_batch();
    directory == 0 ? batch.insert("I1", "dir") : batch.update("I1", "dir", directory);
    batch.insert(fmt::format("N{}", n), "replies");
    batch.insert(fmt::format("D{}", n), "entry");
    batch.insert(fmt::format("I9{}", n++), "inode");
    batch.merge_add("W", 1);
    EXPECT_EQ(outcome(engine->commit(batch)), "committed");
    directory = batch.stamp();
  };
  create();
  create();  // by now every statement is prepared
  int before = proxy.answered();
  create();
  EXPECT_EQ(proxy.answered(), before + 1);
  const auto read = [&] {
    EXPECT_EQ(engine->get_many(nullptr, {"I1", "D0", "D1", "none"}).value().size(), 4u);
    EXPECT_EQ(engine->scan(nullptr, "D", "E", 100)->items.size(), static_cast<size_t>(n));
    EXPECT_TRUE(engine->last(nullptr, "", "")->has_value());
  };
  read();
  before = proxy.answered();
  read();
  EXPECT_EQ(proxy.answered(), before + 3);
}

TEST(PostgresCommit, keys_and_values_that_do_not_compress_are_kept_up_to_the_limit) {
  Volume volume;
  const auto engine = volume.open();
  std::string key;
  uint64_t state = 1;
  while (key.size() < kEngineKeyBytesMax) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    key.push_back(static_cast<char>(state >> 56));
  }
  std::string value;
  while (value.size() < kEngineValueBytesMax) value += key;
  value.resize(kEngineValueBytesMax);
  Batch batch = fresh_batch();
  batch.insert(key, value);
  EXPECT_EQ(outcome(engine->commit(batch)), "committed");
  EXPECT_EQ(shown(*engine, key), fmt::format("{}@{}", value, batch.stamp()));
}

// Plans are made while the tables are empty, when a scan of all looks cheap, and are kept.
TEST(PostgresCommit, no_statement_ever_scans_a_whole_table) {
  Volume volume;
  const TestServer& server = TestServer::shared();
  const auto scans = [&] {
    // The server counts when a session ends.
    wait_for_answer(server,
                    fmt::format("SELECT count(*) FROM pg_stat_activity WHERE application_name "
                                "LIKE 'shoal/{}/%'",
                                volume.prefix()),
                    "0");
    return server.sql(
        fmt::format("SELECT coalesce(string_agg(relname || ' ' || seq_scan, ', '), "
                    "'') FROM pg_stat_user_tables WHERE schemaname = '{}' AND "
                    "relname LIKE 'kv%' AND seq_scan > 0",
                    volume.prefix()));
  };
  // Autovacuum does that soon after a volume was made; then the server knows that they are empty.
  server.sql(fmt::format("VACUUM ANALYZE {}", table_of_keys(volume)));
  const std::string before = scans();
  {
    const auto engine = volume.open();
    for (int n = 0; n < 100; ++n) {
      const std::string key = fmt::format("D{:03}", n);
      Batch first = fresh_batch();
      first.insert(key, "x");
      first.insert("I" + key, "x");
      first.put("F", "x");
      first.remove("X" + key);
      first.merge_add("W" + key, 1);
      first.merge_max("U" + key, 1);
      ASSERT_EQ(outcome(engine->commit(first)), "committed");
      Batch second = fresh_batch();
      second.update(key, "y", first.stamp());
      second.erase("I" + key, first.stamp());
      second.check("F", first.stamp());
      ASSERT_EQ(outcome(engine->commit(second)), "committed");
      EXPECT_EQ(outcome(engine->commit(second)).substr(0, 9), "conflict ");
      EXPECT_EQ(engine->get_many(nullptr, {key, "F", "none"})->size(), 3u);
    }
    EXPECT_EQ(engine->scan(nullptr, "D", "E", 1'000)->items.size(), 100u);
    EXPECT_EQ(engine->scan(nullptr, "", "", 1'000)->items.size(), 301u);
    EXPECT_TRUE(engine->last(nullptr, "", "")->has_value());
  }
  EXPECT_EQ(scans(), before);
}

// The oracle's arithmetic, at its edges.
TEST(PostgresCommit, merges_at_the_edges_are_those_of_the_oracle) {
  Volume volume;
  const auto engine = volume.open();
  const auto oracle = make_memory_engine();
  constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  const auto both = [&](const std::function<void(Batch&)>& write) {
    Batch batch = fresh_batch();
    write(batch);
    EXPECT_EQ(outcome(engine->commit(batch)), outcome(oracle->commit(batch)));
    EXPECT_EQ(shown(*engine, "W"), shown(*oracle, "W"));
  };
  for (const int64_t base : {kMin, int64_t{-1}, int64_t{0}, int64_t{0x0102030405060708}, kMax}) {
    for (const int64_t operand : {kMin, int64_t{-300}, int64_t{0}, int64_t{300}, kMax}) {
      both([](Batch& batch) { batch.remove("W"); });
      both([&](Batch& batch) { batch.merge_max("W", operand); });
      both([&](Batch& batch) { batch.put("W", encode_counter(base)); });
      both([&](Batch& batch) { batch.merge_add("W", operand); });
      both([&](Batch& batch) { batch.merge_max("W", base); });
      both([&](Batch& batch) { batch.put("W", encode_counter(base)); });
      both([&](Batch& batch) { batch.merge_max("W", operand); });
      both([&](Batch& batch) { batch.merge_add("W", operand); });
    }
  }
  for (const char* no_counter : {"", "1234567", "123456789"}) {
    both([&](Batch& batch) { batch.put("W", no_counter); });
    both([](Batch& batch) { batch.merge_add("W", 1); });
    both([](Batch& batch) { batch.merge_max("W", 1); });
    both([](Batch& batch) { batch.erase("W", 0); });
  }
}

}  // namespace
}  // namespace shoal::engine::postgres
