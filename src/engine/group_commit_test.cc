#include "engine/group_commit.h"

#include <random>
#include <thread>

#include "engine/group_test_util.h"
#include "sys/thread.h"

namespace shoal::engine {
namespace {

std::string everything(KvEngine& engine, std::string_view begin, std::string_view end,
                       size_t limit = 100) {
  std::string text;
  std::string from(begin);
  for (;;) {
    const Page page = engine.scan(nullptr, from, end, limit).value();
    for (const Item& item : page.items)
      text += fmt::format("{}={}@{} ", item.key, item.value, item.stamp);
    if (!page.more) return text;
    from = page.items.back().key + '\0';
  }
}

struct GroupTest : GroupWorld, ::testing::Test {};

TEST_F(GroupTest, what_was_committed_is_read_before_it_is_underneath) {
  const Stamp first = commit([](Batch& b) { b.insert("a", "1"); });
  commit([&](Batch& b) {
    b.check("a", first);
    b.insert("b", "2");
    b.merge_add("n", 5);
  });
  commit([](Batch& b) { b.erase("b", 2); });
  EXPECT_EQ(shown("a"), "1@1");
  EXPECT_EQ(shown("b"), "absent");
  EXPECT_EQ(counter("n"), 5);
  EXPECT_EQ(memory->get(nullptr, "a").value(), std::nullopt);
  executor.run_all();
  EXPECT_EQ(everything(*memory, "a", "b"), "a=1@1 ");
  EXPECT_EQ(read_counter(*memory, nullptr, "n").value(), 5);
  EXPECT_EQ(everything(*engine, "a", "c"), "a=1@1 ");
}

TEST_F(GroupTest, batches_that_arrive_while_a_group_waits_travel_together) {
  for (int i = 0; i < 100; ++i) commit([&](Batch& b) { b.insert(fmt::format("k{:03}", i), "v"); });
  executor.run_all();
  EXPECT_EQ(commits, 1);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(memory->get(nullptr, fmt::format("k{:03}", i)).value()->stamp,
              static_cast<Stamp>(i + 1));
  }
}

TEST_F(GroupTest, durable_is_told_when_the_group_is_underneath_and_not_before) {
  std::vector<std::string> told;
  engine->when_durable([&](const Status& s) { told.push_back(s.ok() ? "nothing" : "no"); });
  commit([](Batch& b) { b.insert("a", "1"); });
  engine->when_durable([&](const Status& s) { told.push_back(s.ok() ? "a" : "no"); });
  EXPECT_EQ(told, std::vector<std::string>{"nothing"});
  decide = [] { return Fault::kError; };
  executor.run_ready();
  EXPECT_EQ(told.size(), 1u);
  EXPECT_NE(engine->trouble(), "");
  decide = nullptr;
  executor.run_all();
  EXPECT_EQ(told, (std::vector<std::string>{"nothing", "a"}));
  EXPECT_EQ(engine->trouble(), "");
}

TEST_F(GroupTest, an_unknown_outcome_is_resolved_by_the_number_of_the_group) {
  for (const Fault fault : {Fault::kUnknownApplied, Fault::kUnknownDropped}) {
    int left = 3;  // unknown again and again
    decide = [&] { return left-- > 0 ? fault : Fault::kNone; };
    commit([](Batch& b) { b.merge_add("n", 1); });
    executor.run_all();
  }
  EXPECT_EQ(counter("n"), 2);
  EXPECT_EQ(read_counter(*memory, nullptr, "n").value(), 2);
  EXPECT_TRUE(engine->sync().ok());
  EXPECT_EQ(everything(*memory, "N", "O"), fmt::format("{}=@2 ", number_key(2)));
}

TEST_F(GroupTest, a_conflict_with_what_is_pending_is_told_at_once) {
  commit([](Batch& b) { b.insert("a", "1"); });
  Batch again(++stamp);
  again.insert("a", "2");
  again.insert("b", "2");
  const CommitResult result = engine->commit(again).value();
  EXPECT_EQ(result.kind, CommitResult::Kind::kConflict);
  EXPECT_EQ(result.conflicts, std::vector<std::string>{"a"});
  Batch stale(++stamp);
  stale.check("a", 99);
  EXPECT_EQ(engine->commit(stale).value().kind, CommitResult::Kind::kConflict);
  executor.run_all();
  EXPECT_EQ(everything(*memory, "a", "c"), "a=1@1 ");
}

TEST_F(GroupTest, another_owner_underneath_breaks_it_and_nothing_of_the_group_happens) {
  Batch other(1'000);
  other.insert("a", "theirs");
  ASSERT_TRUE(memory->commit(other).ok());
  commit([](Batch& b) { b.insert("b", "ours"); });
  commit([](Batch& b) { b.insert("a", "ours"); });
  int told = 0;
  engine->when_durable([&](const Status& s) { told = s.code(); });
  executor.run_all();
  EXPECT_EQ(told, EIO);
  EXPECT_EQ(engine->get(nullptr, "a").code(), EIO);
  EXPECT_EQ(engine->commit(Batch(++stamp)).code(), 0);  // empty: it asks for nothing
  Batch more(++stamp);
  more.put("c", "");
  EXPECT_EQ(engine->commit(more).code(), EIO);
  EXPECT_EQ(everything(*memory, "a", "z"), "a=theirs@1000 ");
}

TEST_F(GroupTest, the_number_of_another_owners_group_is_not_taken_for_ours) {
  Batch other(1'000);
  other.insert(number_key(1), "");
  ASSERT_TRUE(memory->commit(other).ok());
  commit([](Batch& b) { b.insert("a", "ours"); });
  executor.run_all();
  EXPECT_EQ(engine->sync().code(), EIO);
}

TEST_F(GroupTest, stopped_it_gives_up_what_is_not_durable) {
  commit([](Batch& b) { b.insert("a", "1"); });
  int told = 0;
  engine->when_durable([&](const Status& s) { told = s.code(); });
  engine->stop("the term is over");
  EXPECT_EQ(told, EIO);
  EXPECT_EQ(engine->get(nullptr, "a").error().text(), "the term is over");
  executor.run_all();
  EXPECT_EQ(commits, 0);
}

TEST_F(GroupTest, a_batch_that_leaves_no_room_for_the_number_is_refused) {
  Batch large(++stamp);
  for (size_t bytes = 0; bytes < kGroupBatchBytesMax; bytes += 50'000)
    large.put(fmt::format("k{}", bytes), std::string(50'000, 'x'));
  EXPECT_EQ(engine->commit(large).code(), E2BIG);
}

TEST_F(GroupTest, writers_wait_while_too_many_groups_do) {
  constexpr int kBatches = 40;
  const std::string large(kEngineValueBytesMax, 'x');
  std::atomic<int> done = 0;
  Thread writer("writer", [&] {
    for (int i = 0; i < kBatches; ++i) {
      Batch batch(static_cast<Stamp>(i + 1));
      for (int j = 0; j < 10; ++j) batch.put(fmt::format("k{}-{}", i, j), large);
      ASSERT_TRUE(engine->commit(batch).ok());
      done = i + 1;
    }
  });
  // A group takes one such batch, for two are too large.
  while (done < static_cast<int>(kGroupsMax)) std::this_thread::yield();
  EXPECT_EQ(done, static_cast<int>(kGroupsMax));
  while (done < kBatches) executor.run_ready();
  writer.join();
  executor.run_all();
  EXPECT_EQ(commits, kBatches);
}

// Random batches that expect what is true, random steps of the sender, random faults: every read
// sees what was committed, and what is underneath in the end is the same.
class RandomProgram : public GroupWorld {
 public:
  void run(uint64_t seed) {
    std::mt19937_64 random(seed);
    const auto below = [&](uint64_t limit) { return random() % limit; };
    auto oracle = make_memory_engine();
    decide = [&] {
      static constexpr Fault kFaults[] = {Fault::kError, Fault::kUnknownApplied,
                                          Fault::kUnknownDropped};
      return below(3) == 0 ? kFaults[below(3)] : Fault::kNone;
    };
    for (int step = 0; step < 600; ++step) {
      SCOPED_TRACE(fmt::format("seed {} step {}", seed, step));
      // A read of a merge, or a commit beyond what may wait, would wait for the sender: it runs.
      if (below(4) == 0) executor.advance(std::chrono::milliseconds(below(30)));
      if (engine->trouble() != "" || below(12) == 0) executor.run_all();
      Batch batch(++stamp);
      for (uint64_t n = 1 + below(3); n > 0; --n) {
        const std::string key = fmt::format("k{}", 10 * n + below(8));
        const auto now = oracle->get(nullptr, key).value();
        const std::string value = fmt::format("v{}", below(1000));
        switch (below(6)) {
          case 0:
            batch.put(key, value);
            break;
          case 1:
            batch.remove(key);
            break;
          case 2:
            batch.merge_add(fmt::format("n{}", n), static_cast<int64_t>(below(100)));
            break;
          default:
            if (!now) {
              batch.insert(key, value);
            } else if (below(3) == 0) {
              batch.erase(key, now->stamp);
            } else if (below(3) == 0) {
              batch.check(key, now->stamp);
            } else {
              batch.update(key, value, now->stamp);
            }
        }
      }
      ASSERT_EQ(engine->commit(batch).value().kind, CommitResult::Kind::kCommitted);
      ASSERT_EQ(oracle->commit(batch).value().kind, CommitResult::Kind::kCommitted);
      if (engine->trouble() != "") executor.run_all();
      const size_t limit = 1 + below(20);
      ASSERT_EQ(everything(*engine, "k", "o", limit), everything(*oracle, "k", "o", limit));
      const std::string from = fmt::format("k{}", below(40)), to = fmt::format("k{}", below(40));
      const auto last = engine->last(nullptr, from, to).value();
      const auto expected = oracle->last(nullptr, from, to).value();
      ASSERT_EQ(last ? last->key : "none", expected ? expected->key : "none");
      ASSERT_EQ(last ? last->value : "", expected ? expected->value : "");
    }
    executor.run_all();
    EXPECT_EQ(everything(*memory, "k", "o"), everything(*oracle, "k", "o"));
    EXPECT_LT(commits, 1200);
  }
};

TEST(GroupCommit, random_programs_with_faults_read_what_was_committed_and_leaves_it_underneath) {
  for (uint64_t seed = 1; seed <= 40 && !testing::Test::HasFailure(); ++seed) {
    RandomProgram program;
    program.run(seed);
  }
}

TEST(GroupCommit, threads_that_write_and_read_at_once_lose_nothing) {
  auto memory = make_memory_engine();
  ThreadPool pool("send", 2);
  auto engine = make_group_commit(*memory, pool, {number_key, 1});
  constexpr int kThreads = 6, kEach = 400;
  std::atomic<Stamp> stamps = 0;
  std::vector<Thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back("worker", [&, t] {
      const std::string mine = fmt::format("k{}", t);
      Stamp last = 0;
      for (int i = 0; i < kEach; ++i) {
        Batch batch(++stamps);
        if (last == 0) {
          batch.insert(mine, std::to_string(i));
        } else {
          batch.update(mine, std::to_string(i), last);
        }
        batch.merge_add("n", 1);
        ASSERT_EQ(engine->commit(batch).value().kind, CommitResult::Kind::kCommitted);
        last = batch.stamp();
        ASSERT_EQ(engine->get(nullptr, mine).value()->value, std::to_string(i));
        if (i % 16 == 0) {
          ASSERT_TRUE(engine->sync().ok());
        }
        if (i % 32 == 0) {
          ASSERT_GT(read_counter(*engine, nullptr, "n").value(), i);
        }
        if (i % 64 == 0) {
          ASSERT_FALSE(engine->scan(nullptr, "k", "o", 10).value().items.empty());
        }
      }
    });
  }
  for (Thread& thread : threads) thread.join();
  ASSERT_TRUE(engine->sync().ok());
  EXPECT_EQ(read_counter(*memory, nullptr, "n").value(), kThreads * kEach);
  for (int t = 0; t < kThreads; ++t)
    EXPECT_EQ(memory->get(nullptr, fmt::format("k{}", t)).value()->value,
              std::to_string(kEach - 1));
}

}  // namespace
}  // namespace shoal::engine
