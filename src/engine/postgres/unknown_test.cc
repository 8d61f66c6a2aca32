// What a commit answers when its reply is lost, and how sending it again resolves that.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "engine/postgres/testing/cutting_proxy.h"
#include "engine/postgres/testing/helpers.h"
#include "engine/postgres/testing/volume.h"
#include "sys/thread.h"

namespace shoal::engine::postgres {
namespace {

using Cut = CuttingProxy::Cut;

class UnknownTest : public testing::Test {
 protected:
  // As the owner's batches: one key is this batch's own.
  Batch numbered(int n) {
    Batch batch = fresh_batch();
    batch.insert(fmt::format("N{}", n), "replies");
    batch.put("I1", fmt::format("state {}", n));
    batch.merge_add("W", 1);
    return batch;
  }
  std::unique_ptr<PostgresEngine> open(PostgresOptions options = {}) {
    auto engine = open_postgres(proxy_.url(volume_.prefix()), options, volume_.clock()).value();
    // The connection is made and the statement prepared before anything is lost.
    EXPECT_EQ(outcome(engine->commit(numbered(0))), "committed");
    return engine;
  }
  // By a way that loses nothing.
  int64_t count() { return read_counter(*direct_, nullptr, "W").value(); }

  Volume volume_;
  CuttingProxy proxy_{TestServer::shared()};
  const std::unique_ptr<PostgresEngine> direct_ = volume_.open();
};

TEST_F(UnknownTest, a_reply_lost_behind_the_commit_is_unknown_and_the_batch_again_conflicts) {
  const auto engine = open();
  const Batch batch = numbered(1);
  proxy_.cut_next(Cut::kReply);
  EXPECT_EQ(outcome(engine->commit(batch)), "unknown");
  EXPECT_EQ(count(), 2);
  EXPECT_EQ(outcome(engine->commit(batch)), "conflict N1");
  EXPECT_EQ(count(), 2);
  EXPECT_EQ(shown(*direct_, "N1"), fmt::format("replies@{}", batch.stamp()));
  EXPECT_EQ(outcome(engine->commit(numbered(2))), "committed");
}

TEST_F(UnknownTest, a_request_lost_before_the_commit_is_unknown_and_the_batch_again_commits) {
  const auto engine = open();
  const Batch batch = numbered(1);
  proxy_.cut_next(Cut::kRequest);
  EXPECT_EQ(outcome(engine->commit(batch)), "unknown");
  EXPECT_EQ(count(), 1);
  EXPECT_EQ(outcome(engine->commit(batch)), "committed");
  EXPECT_EQ(count(), 2);
}

TEST_F(UnknownTest, a_session_ended_in_the_middle_of_a_commit_is_unknown) {
  const auto engine = open();
  SideSession other(TestServer::shared());
  other.sql("BEGIN");
  other.sql(fmt::format("SELECT 1 FROM \"{}\".kv WHERE key = 'W' FOR UPDATE", volume_.prefix()));
  const Batch batch = numbered(1);
  std::string result;
  Thread committing("commit", [&] { result = outcome(engine->commit(batch)); });
  const std::string waiting = fmt::format(
      "FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name LIKE "
      "'shoal/{}/%'",
      volume_.prefix());
  wait_for_answer(TestServer::shared(), "SELECT count(*) " + waiting, "1");
  TestServer::shared().sql("SELECT pg_terminate_backend(pid) " + waiting);
  committing.join();
  EXPECT_EQ(result, "unknown");
  other.sql("ROLLBACK");
  EXPECT_EQ(outcome(engine->commit(batch)), "committed");
  EXPECT_EQ(count(), 2);
}

TEST_F(UnknownTest, a_server_that_keeps_silent_is_unknown_after_a_while) {
  const auto engine = open({.reply_wait_max = std::chrono::milliseconds(300)});
  const Batch batch = numbered(1);
  proxy_.cut_next(Cut::kSilence);
  EXPECT_EQ(outcome(engine->commit(batch)), "unknown");
  EXPECT_EQ(outcome(engine->commit(batch)), "conflict N1");
  EXPECT_EQ(count(), 2);
}

// Otherwise the caller would take "certainly not" for the answer about the first time.
TEST_F(UnknownTest, an_error_of_the_second_time_does_not_answer_for_the_first) {
  const auto engine = open();
  const Batch batch = numbered(1);
  proxy_.cut_next(Cut::kReply);
  EXPECT_EQ(outcome(engine->commit(batch)), "unknown");
  proxy_.close();
  EXPECT_EQ(outcome(engine->commit(batch)), "unknown");
  const Result<CommitResult> never_sent = engine->commit(numbered(2));
  EXPECT_EQ(outcome(never_sent), "ENOTCONN");
  expect_good_text(never_sent.error());
  EXPECT_EQ(engine->get(nullptr, "W").code(), ENOTCONN);
}

TEST_F(UnknownTest, a_session_that_ended_while_idle_costs_nobody_anything) {
  const auto engine = open();
  EXPECT_EQ(read_counter(*engine, nullptr, "W").value(), 1);
  TestServer::shared().sql(
      fmt::format("SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE "
                  "application_name LIKE 'shoal/{}/%'",
                  volume_.prefix()));
  EXPECT_EQ(outcome(engine->commit(numbered(1))), "committed");
  EXPECT_EQ(read_counter(*engine, nullptr, "W").value(), 2);
}

TEST_F(UnknownTest, an_ingest_whose_reply_is_lost_says_that_it_does_not_know) {
  const auto engine = open();
  ASSERT_TRUE(engine->ingest({{"g0", 1, "x"}}).ok());
  proxy_.cut_next(Cut::kReply);
  const Status status = engine->ingest({{"g1", 1, "x"}});
  EXPECT_EQ(status.code(), EIO);
  EXPECT_EQ(shown(*direct_, "g1"), "x@1");
}

}  // namespace
}  // namespace shoal::engine::postgres
