// Tokens that end, and reads on connections that died.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "engine/postgres/testing/helpers.h"
#include "engine/postgres/testing/volume.h"
#include "sim/fake_clock.h"
#include "sys/thread.h"

namespace shoal::engine::postgres {
namespace {

class TokenTest : public testing::Test {
 protected:
  std::unique_ptr<PostgresEngine> open(PostgresOptions options = {}) {
    auto engine = open_postgres(volume_.url(), options, clock_).value();
    Batch batch = fresh_batch();
    batch.put("a", "x");
    EXPECT_EQ(outcome(engine->commit(batch)), "committed");
    value_ = fmt::format("x@{}", batch.stamp());
    return engine;
  }
  void end_sessions() {
    TestServer::shared().sql(
        fmt::format("SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE "
                    "application_name LIKE 'shoal/{}/%'",
                    volume_.prefix()));
  }
  std::string open_transactions() {
    return TestServer::shared().sql(
        fmt::format("SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' AND "
                    "application_name LIKE 'shoal/{}/%'",
                    volume_.prefix()));
  }

  Volume volume_;
  sim::FakeClock clock_;
  std::string value_;
};

TEST_F(TokenTest, a_token_past_its_age_is_stale_and_holds_nothing_back) {
  const auto engine = open({.token_age_max = std::chrono::seconds(60)});
  const auto token = engine->read_token();
  clock_.advance(std::chrono::seconds(60));
  EXPECT_EQ(shown(*engine, "a", token.get()), value_);
  EXPECT_EQ(open_transactions(), "1");
  clock_.advance(std::chrono::seconds(1));
  EXPECT_EQ(shown(*engine, "a", token.get()), "ESTALE");
  EXPECT_EQ(open_transactions(), "0");
  EXPECT_EQ(engine->scan(token.get(), "", "", 1).code(), ESTALE);
  EXPECT_EQ(shown(*engine, "a"), value_);
}

TEST_F(TokenTest, a_forgotten_token_ends_when_another_one_is_wanted) {
  const auto engine = open({.token_age_max = std::chrono::seconds(60)});
  const auto forgotten = engine->read_token();
  clock_.advance(std::chrono::seconds(61));
  const auto token = engine->read_token();
  EXPECT_EQ(open_transactions(), "1");
  EXPECT_EQ(shown(*engine, "a", token.get()), value_);
  EXPECT_EQ(shown(*engine, "a", forgotten.get()), "ESTALE");
}

TEST_F(TokenTest, one_token_too_many_ends_the_oldest) {
  const auto engine = open({.tokens_max = 3});
  std::vector<std::unique_ptr<ReadToken>> tokens;
  for (int i = 0; i < 5; ++i) tokens.push_back(engine->read_token());
  EXPECT_EQ(shown(*engine, "a", tokens[0].get()), "ESTALE");
  EXPECT_EQ(shown(*engine, "a", tokens[1].get()), "ESTALE");
  for (int i = 2; i < 5; ++i) {
    EXPECT_EQ(shown(*engine, "a", tokens[static_cast<size_t>(i)].get()), value_);
  }
  EXPECT_EQ(open_transactions(), "3");
  tokens.clear();
  EXPECT_EQ(open_transactions(), "0");
}

TEST_F(TokenTest, many_threads_that_take_tokens_never_wait_for_each_other_for_ever) {
  const auto engine = open({.read_connections_max = 1, .tokens_max = 2});
  std::vector<Thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back("reader", [&] {
      for (int n = 0; n < 30; ++n) {
        const auto one = engine->read_token();
        const auto two = engine->read_token();
        for (const ReadToken* token : {one.get(), two.get()}) {
          const std::string seen = shown(*engine, "a", token);
          EXPECT_TRUE(seen == value_ || seen == "ESTALE") << seen;
        }
        EXPECT_EQ(shown(*engine, "a"), value_);
      }
    });
  }
}

TEST_F(TokenTest, reads_go_on_when_sessions_ended_and_their_tokens_are_stale) {
  const auto engine = open();
  const auto token = engine->read_token();
  EXPECT_EQ(shown(*engine, "a"), value_);
  end_sessions();
  EXPECT_EQ(shown(*engine, "a"), value_);
  EXPECT_EQ(shown(*engine, "a", token.get()), "ESTALE");
  EXPECT_EQ(shown(*engine, "a", engine->read_token().get()), value_);
}

TEST_F(TokenTest, a_token_of_another_engine_is_refused) {
  const auto engine = open();
  const auto other = open();
  const auto token = other->read_token();
  EXPECT_EQ(engine->get(token.get(), "a").code(), EINVAL);
}

}  // namespace
}  // namespace shoal::engine::postgres
