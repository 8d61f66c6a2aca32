// What open_postgres() says about every kind of server and schema.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "engine/postgres/layout.h"
#include "engine/postgres/testing/helpers.h"
#include "engine/postgres/testing/volume.h"
#include "sys/thread.h"

namespace shoal::engine::postgres {
namespace {

constexpr PostgresOptions kCreate{.create_if_missing = true};

const SystemClock clock_of_tests{};

Result<std::unique_ptr<PostgresEngine>> open(const std::string& url, PostgresOptions options = {}) {
  return open_postgres(url, options, clock_of_tests);
}

void expect_refusal(const std::string& url, PostgresOptions options, int code,
                    const std::string& part) {
  const auto engine = open(url, options);
  ASSERT_FALSE(engine.ok()) << url;
  EXPECT_EQ(engine.code(), code) << engine.error().text();
  EXPECT_NE(engine.error().text().find(part), std::string::npos) << engine.error().text();
  expect_good_text(engine.error());
}

TEST(PostgresOpen, a_volume_is_there_once_it_was_made_and_gone_when_destroyed) {
  const TestServer& server = TestServer::shared();
  const std::string url = server.url(fresh_prefix());
  expect_refusal(url, {}, ENOENT, "no volume with prefix");
  {
    const auto engine = open(url, kCreate).value();
    Batch batch = fresh_batch();
    batch.insert("a", "kept");
    ASSERT_EQ(outcome(engine->commit(batch)), "committed");
  }
  {
    const auto engine = open(url, kCreate).value();
    EXPECT_EQ(shown(*engine, "a").substr(0, 5), "kept@");
    EXPECT_NE(engine->describe().find("PostgreSQL 1"), std::string::npos) << engine->describe();
    EXPECT_GT(engine->disk_bytes().value(), 100'000u);
    EXPECT_TRUE(engine->capabilities().durable_on_commit);
  }
  destroy_postgres(url, clock_of_tests).value();
  expect_refusal(url, {}, ENOENT, "no volume with prefix");
  EXPECT_EQ(destroy_postgres(url, clock_of_tests).code(), ENOENT);
}

TEST(PostgresOpen, two_that_make_one_volume_at_once_both_have_it) {
  for (int round = 0; round < 5; ++round) {
    const std::string url = TestServer::shared().url(fresh_prefix());
    std::atomic<int> ready = 0;
    const auto make = [&] {
      ++ready;
      while (ready < 2) std::this_thread::yield();
      const auto engine = open(url, kCreate);
      EXPECT_TRUE(engine.ok()) << engine.error().text();
    };
    {
      Thread other("other", make);
      make();
    }
    destroy_postgres(url, clock_of_tests).value();
  }
}

TEST(PostgresOpen, two_prefixes_of_one_database_see_nothing_of_each_other) {
  Volume one;
  Volume two;
  const auto first = one.open();
  const auto second = two.open();
  Batch batch = fresh_batch();
  batch.insert("a", "of one");
  batch.merge_add("n", 5);
  ASSERT_EQ(outcome(first->commit(batch)), "committed");
  EXPECT_EQ(shown(*second, "a"), "absent");
  EXPECT_EQ(second->scan(nullptr, "", "", 10)->items.size(), 0u);
  EXPECT_FALSE(second->last(nullptr, "", "")->has_value());
  Batch other = fresh_batch();
  other.insert("a", "of two");
  other.remove("n");
  ASSERT_EQ(outcome(second->commit(other)), "committed");
  EXPECT_EQ(shown(*first, "a"), fmt::format("of one@{}", batch.stamp()));
  EXPECT_EQ(read_counter(*first, nullptr, "n").value(), 5);
  // Nor does the fence of one end the sessions of the other.
  first->set_epoch(1);
  second->set_epoch(9);
  Batch named = fresh_batch();
  named.put("b", "by a session with a name");
  ASSERT_EQ(outcome(first->commit(named)), "committed");
  EXPECT_EQ(second->terminate_older_epochs(9).value(), 0u);
}

TEST(PostgresOpen, a_schema_of_something_else_is_left_alone) {
  const TestServer& server = TestServer::shared();
  const std::string prefix = fresh_prefix();
  server.sql(fmt::format("CREATE SCHEMA {}; CREATE TABLE {}.theirs (x int)", prefix, prefix));
  expect_refusal(server.url(prefix), kCreate, EEXIST, "another prefix");
  expect_refusal(server.url(prefix), {}, ENOENT, "no volume with prefix");
  EXPECT_EQ(destroy_postgres(server.url(prefix), clock_of_tests).code(), EEXIST);
  EXPECT_EQ(server.sql(fmt::format("SELECT count(*) FROM {}.theirs", prefix)), "0");
  // An empty one was made by the administrator for us.
  const std::string empty = fresh_prefix();
  server.sql("CREATE SCHEMA " + empty);
  EXPECT_TRUE(open(server.url(empty), kCreate).ok());
}

TEST(PostgresOpen, the_volume_of_a_later_version_is_not_touched) {
  Volume volume;
  TestServer::shared().sql(fmt::format("UPDATE {}.volume SET format = 999", volume.prefix()));
  expect_refusal(volume.url(), kCreate, EBADMSG, "999");
}

TEST(PostgresOpen, read_only_commits_nothing) {
  Volume volume;
  const auto engine = volume.open({.read_only = true});
  Batch batch = fresh_batch();
  batch.insert("a", "x");
  EXPECT_EQ(outcome(engine->commit(batch)), "EROFS");
  EXPECT_EQ(engine->ingest({{"a", 1, "x"}}).code(), EROFS);
  EXPECT_EQ(shown(*engine, "a"), "absent");
}

TEST(PostgresOpen, no_server_no_database_and_a_wrong_password_are_said_as_such) {
  const TestServer& server = TestServer::shared();
  expect_refusal("postgres://ann:s3cr3t@127.0.0.1:1/shoal", {}, ENOTCONN, "127.0.0.1:1");
  expect_refusal("postgres://ann:s3cr3t@/shoal?host=/nowhere", {}, ENOTCONN, "/nowhere");
  expect_refusal(fmt::format("postgres://shoal@/missing?host={}", server.socket_folder()), {},
                 ENOENT, "createdb");
  expect_refusal(fmt::format("postgres://nobody@/shoal?host={}", server.socket_folder()), {},
                 EACCES, "nobody");
  server.sql("CREATE ROLE locked LOGIN PASSWORD 'right'");
  const auto as_locked = [&](const std::string& password) {
    return fmt::format("postgres://locked{}@/shoal?host={}", password, server.socket_folder());
  };
  expect_refusal(as_locked(":s3cr3t-but-wrong"), {}, EACCES, "password");
  expect_refusal(as_locked(""), {}, EACCES, "password");
  // The right one gets as far as the rights go.
  expect_refusal(as_locked(":right") + "&prefix=" + fresh_prefix(), kCreate, EACCES, "grant");
  EXPECT_EQ(open("postgres://ann:s3cr3t@h/d?prefix=UPPER").code(), EINVAL);
}

// ---- settings that may lose acknowledged commits
// ---------------------------------------------------

void expect_danger(const std::string& url, const std::string& part) {
  expect_refusal(url, kCreate, EPERM, part);
  const auto accepted =
      open(url, {.create_if_missing = true, .metadata_loss_accepted = true}).value();
  ASSERT_EQ(accepted->accepted_dangers().size(), 1u);
  EXPECT_NE(accepted->accepted_dangers()[0].find(part), std::string::npos);
}

TEST(PostgresOpen, synchronous_commit_that_waits_for_less_than_the_disk_or_the_standby_is_refused) {
  for (const char* value : {"off", "local", "remote_write"}) {
    expect_danger(TestServer::shared().url(
                      fresh_prefix(), fmt::format("&options=-c%20synchronous_commit%3D{}", value)),
                  fmt::format("synchronous_commit is {}", value));
  }
  for (const char* value : {"on", "remote_apply"}) {
    const auto engine =
        open(TestServer::shared().url(fresh_prefix(),
                                      fmt::format("&options=-c%20synchronous_commit%3D{}", value)),
             kCreate);
    ASSERT_TRUE(engine.ok()) << engine.error().text();
    EXPECT_TRUE((*engine)->accepted_dangers().empty());
  }
}

TEST(PostgresOpen, fsync_off_and_a_standby_that_nobody_waits_for_are_refused) {
  TestServer server;
  const std::string url = server.url("v");
  ASSERT_TRUE(open(url, kCreate).ok());
  server.set("fsync", "off");
  expect_danger(url, "fsync");
  server.set("fsync", "");
  ASSERT_TRUE(open(url).ok());
  server.sql("SELECT pg_create_physical_replication_slot('standby')");
  expect_danger(url, "synchronous_standby_names");
  server.sql("SELECT pg_drop_replication_slot('standby')");
  ASSERT_TRUE(open(url).ok());
  // The settings are looked at again when a connection for commits is made anew.
  const auto engine = open(url).value();
  Batch batch = fresh_batch();
  batch.put("a", "x");
  ASSERT_EQ(outcome(engine->commit(batch)), "committed");
  server.set("fsync", "off");
  server.sql(
      "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE "
      "application_name LIKE 'shoal/%'");
  EXPECT_EQ(outcome(engine->commit(batch)), "EPERM");
}

// ---- the layout
// -------------------------------------------------------------------------------------

TEST(PostgresOpen, keys_lie_in_the_partitions_that_the_engine_thinks_and_these_have_settings) {
  Volume volume;
  const auto engine = volume.open();
  Batch batch = fresh_batch();
  for (const Partition& partition : partitions()) {
    batch.insert(partition.from.empty() ? "0" : partition.from, partition.name);
  }
  ASSERT_EQ(outcome(engine->commit(batch)), "committed");
  const TestServer& server = TestServer::shared();
  EXPECT_EQ(server.sql(fmt::format("SELECT count(*) FROM \"{}\".kv WHERE "
                                   "tableoid::regclass::text LIKE '%' || "
                                   "convert_from(value, 'UTF8')",
                                   volume.prefix())),
            std::to_string(partitions().size()));
  EXPECT_EQ(server.sql(fmt::format("SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = "
                                   "c.relnamespace WHERE n.nspname = '{}' AND relispartition AND "
                                   "relkind = 'r' AND reloptions::text LIKE "
                                   "'%autovacuum_vacuum_scale_factor%'",
                                   volume.prefix())),
            std::to_string(partitions().size()));
}

// ---- the fence
// --------------------------------------------------------------------------------------

TEST(PostgresFence, sessions_are_named_by_epoch_and_older_ones_end_with_their_locks) {
  Volume volume;
  const TestServer& server = TestServer::shared();
  const auto sessions = [&](const std::string& epoch) {
    return server.sql(
        fmt::format("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'shoal/{}/{}'",
                    volume.prefix(), epoch));
  };
  const auto old = volume.open();
  EXPECT_EQ(sessions("-"), "1");
  old->set_epoch(3);
  Batch batch = fresh_batch();
  batch.insert("F", "epoch 3");
  ASSERT_EQ(outcome(old->commit(batch)), "committed");
  EXPECT_EQ(shown(*old, "F"), fmt::format("epoch 3@{}", batch.stamp()));
  EXPECT_EQ(sessions("3"), "2");
  // A commit of the old owner that does not end holds the format record.
  SideSession blocking(server);
  blocking.sql("BEGIN");
  blocking.sql(fmt::format("INSERT INTO \"{}\".kv (key, stamp, value) VALUES ('Dx', 1, '')",
                           volume.prefix()));
  Batch stuck = fresh_batch();
  stuck.check("F", batch.stamp());
  stuck.insert("Dx", "never");
  std::string stuck_result;
  Thread committing("stuck", [&] { stuck_result = outcome(old->commit(stuck)); });
  wait_for_answer(server,
                  fmt::format("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = "
                              "'Lock' AND application_name = 'shoal/{}/3'",
                              volume.prefix()),
                  "1");
  const auto successor = volume.open();
  successor->set_epoch(4);
  EXPECT_EQ(successor->terminate_older_epochs(4).value(), 2u);
  committing.join();
  EXPECT_EQ(stuck_result, "unknown");
  Batch taken = fresh_batch();
  taken.update("F", "epoch 4", batch.stamp());
  EXPECT_EQ(outcome(successor->commit(taken)), "committed");
  // The old owner comes back and is told at its first commit.
  blocking.sql("ROLLBACK");
  EXPECT_EQ(outcome(old->commit(stuck)), "conflict F");
  EXPECT_EQ(successor->terminate_older_epochs(4).value(), 1u);
}

}  // namespace
}  // namespace shoal::engine::postgres
