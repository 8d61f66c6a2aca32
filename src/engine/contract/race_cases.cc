// Promises that only threads can break.
#include <atomic>

#include "engine/contract/cases.h"
#include "sys/thread.h"

namespace shoal::engine::contract {
namespace {

// Runs `body(0)` … `body(threads - 1)` at once and waits for all.
void in_parallel(int threads, const std::function<void(int)>& body) {
  std::atomic<int> waiting = threads;
  std::vector<Thread> running;
  for (int i = 0; i < threads; ++i) {
    running.emplace_back("contract", [&, i] {
      --waiting;
      while (waiting > 0) std::this_thread::yield();
      body(i);
    });
  }
  for (Thread& thread : running) thread.join();
}

bool committed(const Result<CommitResult>& result) {
  EXPECT_TRUE(result.ok()) << result.error().to_string();
  return result.ok() && result->kind == CommitResult::Kind::kCommitted;
}

void of_racing_inserts_of_one_absent_key_one_wins(KvEngine& engine) {
  constexpr int kThreads = 4;
  for (int round = 0; round < 50; ++round) {
    const std::string key = "k" + std::to_string(round);
    std::atomic<int> winners = 0;
    std::atomic<Stamp> winner = 0;
    in_parallel(kThreads, [&](int i) {
      Batch batch = fresh_batch();
      batch.insert(key, "same");
      batch.insert(key + "-" + std::to_string(i), "mine");
      if (committed(engine.commit(batch))) {
        ++winners;
        winner = batch.stamp();
      }
    });
    ASSERT_EQ(winners, 1) << key;
    EXPECT_EQ(shown(engine, key), "same@" + std::to_string(winner.load()));
    const Result<Page> page = engine.scan(nullptr, key + "-", key + ".", 10);
    ASSERT_TRUE(page.ok());
    EXPECT_EQ(page->items.size(), 1u);
  }
}

// Creates in one directory check its inode; they must not keep each other out.
void checks_of_one_key_do_not_conflict_with_each_other(KvEngine& engine) {
  Batch first = fresh_batch();
  first.insert("dir", "x");
  const Stamp stamp = must_commit(engine, first);
  std::atomic<int> conflicts = 0;
  in_parallel(4, [&](int i) {
    for (int n = 0; n < 50; ++n) {
      Batch batch = fresh_batch();
      batch.check("dir", stamp);
      batch.insert("e" + std::to_string(i) + "-" + std::to_string(n), "x");
      if (!committed(engine.commit(batch))) ++conflicts;
    }
  });
  EXPECT_EQ(conflicts, 0);
  EXPECT_EQ(engine.scan(nullptr, "e", "f", 1'000)->items.size(), 200u);
}

// rmdir against create: whoever checked the directory commits before it changes or not at all.
void nothing_commits_under_a_check_that_no_longer_holds(KvEngine& engine) {
  for (int round = 0; round < 30; ++round) {
    const std::string dir = "dir" + std::to_string(round);
    const std::string entry = "entry" + std::to_string(round) + "-";
    Batch first = fresh_batch();
    first.insert(dir, "alive");
    const Stamp stamp = must_commit(engine, first);
    std::atomic<size_t> created = 0;
    size_t seen_by_the_remover = 0;
    in_parallel(3, [&](int i) {
      if (i == 0) {
        Batch dying = fresh_batch();
        dying.update(dir, "dying", stamp);
        EXPECT_TRUE(committed(engine.commit(dying)));
        // From here on nobody may add an entry.
        seen_by_the_remover = engine.scan(nullptr, entry, entry + "~", 1'000)->items.size();
        return;
      }
      for (int n = 0; n < 10; ++n) {
        Batch batch = fresh_batch();
        batch.check(dir, stamp);
        batch.insert(entry + std::to_string(i) + "-" + std::to_string(n), "x");
        if (committed(engine.commit(batch))) ++created;
      }
    });
    EXPECT_EQ(engine.scan(nullptr, entry, entry + "~", 1'000)->items.size(), created.load());
    EXPECT_EQ(seen_by_the_remover, created.load());
  }
}

void counters_by_update_and_retry_lose_nothing(KvEngine& engine) {
  Batch first = fresh_batch();
  first.insert("n", encode_counter(0));
  must_commit(engine, first);
  constexpr int kThreads = 4;
  constexpr int kEach = 40;
  in_parallel(kThreads, [&](int) {
    for (int n = 0; n < kEach;) {
      const auto found = engine.get(nullptr, "n").value();
      ASSERT_TRUE(found.has_value());
      Batch batch = fresh_batch();
      batch.update("n", encode_counter(decode_counter(found->value).value() + 1), found->stamp);
      if (committed(engine.commit(batch))) ++n;
    }
  });
  EXPECT_EQ(read_counter(engine, nullptr, "n").value(), kThreads * kEach);
}

void merges_at_once_lose_nothing_and_never_conflict(KvEngine& engine) {
  constexpr int kThreads = 4;
  constexpr int kEach = 100;
  std::atomic<int> conflicts = 0;
  in_parallel(kThreads, [&](int i) {
    for (int n = 0; n < kEach; ++n) {
      Batch batch = fresh_batch();
      batch.merge_add("n", 1);
      batch.merge_max("m", i * 1'000 + n);
      if (!committed(engine.commit(batch))) ++conflicts;
    }
  });
  EXPECT_EQ(conflicts, 0);
  EXPECT_EQ(read_counter(engine, nullptr, "n").value(), kThreads * kEach);
  EXPECT_EQ(read_counter(engine, nullptr, "m").value(), (kThreads - 1) * 1'000 + kEach - 1);
}

// Two keys always change together; no reader may ever see them apart.
void readers_see_whole_batches_only(KvEngine& engine) {
  Batch first = fresh_batch();
  first.put("a", "0");
  first.put("z", "0");
  must_commit(engine, first);
  std::atomic<bool> done = false;
  std::atomic<int> reads = 0;
  in_parallel(3, [&](int i) {
    if (i == 0) {
      for (int n = 1; n <= 200 || reads < 50; ++n) {
        Batch batch = fresh_batch();
        batch.put("a", std::to_string(n));
        batch.put("z", std::to_string(n));
        EXPECT_TRUE(committed(engine.commit(batch)));
      }
      done = true;
      return;
    }
    while (!done) {
      const auto many = engine.get_many(nullptr, {"a", "z"}).value();
      ASSERT_TRUE(many[0].has_value() && many[1].has_value());
      EXPECT_EQ(many[0]->value, many[1]->value);
      const Page page = engine.scan(nullptr, "", "", 10).value();
      ASSERT_EQ(page.items.size(), 2u);
      EXPECT_EQ(page.items[0].value, page.items[1].value);
      const auto token = engine.read_token();
      EXPECT_EQ(shown(engine, "a", token.get()), shown(engine, "z", token.get()));
      ++reads;
    }
  });
}

void a_commit_is_seen_by_reads_that_begin_after_it(KvEngine& engine) {
  in_parallel(3, [&](int i) {
    const std::string key = "own" + std::to_string(i);
    for (int n = 0; n < 100; ++n) {
      Batch batch = fresh_batch();
      batch.put(key, std::to_string(n));
      EXPECT_TRUE(committed(engine.commit(batch)));
      EXPECT_EQ(shown(engine, key), std::to_string(n) + "@" + std::to_string(batch.stamp()));
    }
  });
}

// Batches that latch the same keys in opposite orders must not wait for each other for ever.
void batches_over_the_same_keys_in_any_order_finish(KvEngine& engine) {
  in_parallel(4, [&](int i) {
    for (int n = 0; n < 50; ++n) {
      Batch batch = fresh_batch();
      for (int k = 0; k < 20; ++k) {
        const std::string key = "k" + std::to_string(i % 2 == 0 ? k : 19 - k);
        if ((k + n + i) % 5 == 0) {
          batch.remove(key);
        } else {
          batch.put(key, std::to_string(n));
        }
      }
      EXPECT_TRUE(committed(engine.commit(batch)));
    }
  });
}

void syncs_at_once_all_succeed(KvEngine& engine) {
  in_parallel(4, [&](int i) {
    for (int n = 0; n < 20; ++n) {
      Batch batch = fresh_batch();
      batch.put("k" + std::to_string(i), std::to_string(n));
      EXPECT_TRUE(committed(engine.commit(batch)));
      EXPECT_TRUE(engine.sync().ok());
    }
  });
}

constexpr Case kCases[] = {
    {"of_racing_inserts_of_one_absent_key_one_wins", of_racing_inserts_of_one_absent_key_one_wins},
    {"checks_of_one_key_do_not_conflict_with_each_other",
     checks_of_one_key_do_not_conflict_with_each_other},
    {"nothing_commits_under_a_check_that_no_longer_holds",
     nothing_commits_under_a_check_that_no_longer_holds},
    {"counters_by_update_and_retry_lose_nothing", counters_by_update_and_retry_lose_nothing},
    {"merges_at_once_lose_nothing_and_never_conflict",
     merges_at_once_lose_nothing_and_never_conflict},
    {"readers_see_whole_batches_only", readers_see_whole_batches_only},
    {"a_commit_is_seen_by_reads_that_begin_after_it",
     a_commit_is_seen_by_reads_that_begin_after_it},
    {"batches_over_the_same_keys_in_any_order_finish",
     batches_over_the_same_keys_in_any_order_finish},
    {"syncs_at_once_all_succeed", syncs_at_once_all_succeed},
};

}  // namespace

std::span<const Case> race_cases() { return kCases; }

}  // namespace shoal::engine::contract
