// A synchronous standby that is away, and one that becomes the primary while commits run.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <set>

#include "engine/postgres/testing/helpers.h"
#include "engine/postgres/testing/replicated_servers.h"
#include "engine/postgres/testing/volume.h"
#include "sys/mutex.h"
#include "sys/thread.h"

namespace shoal::engine::postgres {
namespace {

constexpr const char* kWaitingForStandby =
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND application_name LIKE "
    "'shoal/%'";

std::string number_key(int n) { return fmt::format("N{:06}", n); }

Batch numbered(int n) {
  Batch batch = fresh_batch();
  batch.insert(number_key(n), "replies");
  batch.merge_add("W", 1);
  return batch;
}

TEST(PostgresFailover, a_cancelled_wait_for_the_standby_is_unknown_and_a_conflict_waits_again) {
  ReplicatedServers& servers = ReplicatedServers::shared();
  TestServer& primary = servers.primary();
  const SystemClock clock;
  const auto engine =
      open_postgres(primary.url(fresh_prefix()), {.create_if_missing = true}, clock).value();
  ASSERT_EQ(outcome(engine->commit(numbered(0))), "committed");
  servers.standby().crash();
  const Batch batch = numbered(1);
  std::string result;
  {
    Thread committing("commit", [&] { result = outcome(engine->commit(batch)); });
    wait_for_answer(primary, kWaitingForStandby, "1");
    primary.sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
  }
  EXPECT_EQ(result, "unknown");
  // It is there, but the standby may not know.
  EXPECT_EQ(shown(*engine, number_key(1)), fmt::format("replies@{}", batch.stamp()));
  std::atomic<bool> answered = false;
  Thread again("commit", [&] {
    result = outcome(engine->commit(batch));
    answered = true;
  });
  wait_for_answer(primary, kWaitingForStandby, "1");
  EXPECT_FALSE(answered);
  servers.standby().start();
  again.join();
  EXPECT_EQ(result, "conflict " + number_key(1));
  EXPECT_EQ(read_counter(*engine, nullptr, "W").value(), 2);
}

// Each of the two reads what the other one writes next to (the checked key and the new ones share
// an index page), so the server lets only one of them be. The other one must not give up while the
// first waits for the standby.
TEST(PostgresFailover, a_batch_that_loses_against_a_slow_commit_is_repeated_until_that_has_ended) {
  ReplicatedServers& servers = ReplicatedServers::shared();
  const SystemClock clock;
  const std::string url = servers.primary().url(
      fresh_prefix(), "&options=-c%20default_transaction_isolation%3Dserializable");
  const auto slow = open_postgres(url, {.create_if_missing = true}, clock).value();
  const auto losing =
      open_postgres(url, {.lock_wait_max = std::chrono::seconds(60)}, clock).value();
  Batch first = fresh_batch();
  first.insert("dir", "x");
  ASSERT_EQ(outcome(slow->commit(first)), "committed");
  servers.standby().crash();
  Batch winner = fresh_batch();
  winner.check("dir", first.stamp());
  winner.insert("entry-1", "x");
  Batch loser = fresh_batch();
  loser.remove("entry-1");
  loser.insert("entry-2", "x");
  std::string slow_result;
  std::string losing_result;
  Thread slow_thread("slow", [&] { slow_result = outcome(slow->commit(winner)); });
  wait_for_answer(servers.primary(), kWaitingForStandby, "1");
  Thread losing_thread("losing", [&] { losing_result = outcome(losing->commit(loser)); });
  const auto until = clock.since_boot() + std::chrono::seconds(30);
  while (losing->repeated_commits() < 10 && clock.since_boot() < until) std::this_thread::yield();
  EXPECT_GE(losing->repeated_commits(), 10u);
  servers.standby().start();
  slow_thread.join();
  losing_thread.join();
  EXPECT_EQ(slow_result, "committed");
  EXPECT_EQ(losing_result, "committed");
  EXPECT_EQ(shown(*losing, "entry-1"), "absent");
}

TEST(PostgresFailover, a_standby_is_refused) {
  ReplicatedServers& servers = ReplicatedServers::shared();
  const SystemClock clock;
  for (const char* how : {"", "&target_session_attrs=any"}) {
    const auto refused = open_postgres(servers.standby().url("v", how), {}, clock);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.code(), EROFS) << refused.error().text();
    expect_good_text(refused.error());
  }
}

// Commits numbered batches until told to stop, as an owner does: what is unknown is sent again.
class Writer {
 public:
  Writer(KvEngine& engine, int first)
      : engine_(engine), next_(first), thread_("writer", [this] { run(); }) {}

  struct Counts {
    int done = 0;      // acknowledged, or turned out to have happened
    int troubles = 0;  // other answers
  };
  // Waits until `holds`, a minute at most.
  Counts wait_until(const std::function<bool(const Counts&)>& holds) {
    MutexLock lock(mutex_);
    while (!holds(counts_)) {
      if (!changed_.wait_for(mutex_, std::chrono::seconds(60))) {
        ADD_FAILURE() << counts_.done << " done, " << counts_.troubles << " troubles, and no more";
        break;
      }
    }
    return counts_;
  }
  std::set<int> stop() {
    stopping_ = true;
    thread_.join();
    return done_;
  }

 private:
  void run() {
    for (int n = next_; !stopping_; ++n) {
      ASSERT_TRUE(commit(n));
      done_.insert(n);
    }
  }

  bool commit(int n) {
    const Batch batch = numbered(n);
    while (true) {
      const std::string result = outcome(engine_.commit(batch));
      const bool done = result == "committed" || result == "conflict " + number_key(n);
      {
        MutexLock lock(mutex_);
        ++(done ? counts_.done : counts_.troubles);
        changed_.notify_all();
      }
      if (done) return true;
      // No server for the moment, or locks of a commit that waits, are no reason to give up.
      const std::set<std::string> passing = {"unknown", "ENOTCONN", "EROFS", "EBUSY"};
      if (!passing.contains(result)) {
        ADD_FAILURE() << result;
        return false;
      }
    }
  }

  KvEngine& engine_;
  const int next_;
  std::set<int> done_;
  std::atomic<bool> stopping_ = false;
  Mutex mutex_;
  CondVar changed_;
  Counts counts_ GUARDED_BY(mutex_);
  Thread thread_;
};

std::set<int> numbers_in(KvEngine& engine) {
  std::set<int> found;
  std::string from = "N";
  for (bool more = true; more;) {
    const Page page = engine.scan(nullptr, from, "O", kPageEntriesMax).value();
    for (const Item& item : page.items) found.insert(std::stoi(item.key.substr(1)));
    more = page.more;
    if (more) from = page.items.back().key + '\0';
  }
  return found;
}

// The old primary lives on for a while and is the first that a client finds.
TEST(PostgresFailover, a_standby_promoted_while_commits_run_loses_and_doubles_nothing) {
  ReplicatedServers servers;
  const SystemClock clock;
  const std::string url =
      fmt::format("postgres://shoal@/shoal?host={},{}&prefix=v", servers.primary().socket_folder(),
                  servers.standby().socket_folder());
  const PostgresOptions options{.create_if_missing = true,
                                .lock_wait_max = std::chrono::milliseconds(300),
                                .reply_wait_max = std::chrono::milliseconds(700)};
  const auto engine = open_postgres(url, options, clock).value();
  std::vector<std::unique_ptr<Writer>> writers;
  for (int i = 1; i <= 4; ++i) writers.push_back(std::make_unique<Writer>(*engine, 100'000 * i));

  for (auto& writer : writers) writer->wait_until([](const auto& n) { return n.done >= 100; });
  servers.standby().promote();
  std::vector<int> before;
  for (auto& writer : writers) {
    before.push_back(writer->wait_until([](const auto& n) { return n.troubles >= 1; }).done);
  }
  servers.primary().crash();
  for (size_t i = 0; i < writers.size(); ++i) {
    writers[i]->wait_until([&](const auto& n) { return n.done >= before[i] + 100; });
  }
  std::set<int> done;
  for (auto& writer : writers) done.merge(writer->stop());
  EXPECT_EQ(numbers_in(*engine), done);
  EXPECT_EQ(read_counter(*engine, nullptr, "W").value(), static_cast<int64_t>(done.size()));
}

}  // namespace
}  // namespace shoal::engine::postgres
