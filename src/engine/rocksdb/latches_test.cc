#include "engine/rocksdb/latches.h"

#include <gtest/gtest.h>

#include <atomic>

#include "engine/rocksdb/group_sync.h"
#include "sys/thread.h"

namespace shoal::engine {
namespace {

using Kind = Write::Kind;

std::vector<Write> on(const std::string& key, Kind kind) { return {{kind, key, {}, 0}}; }

// Whether a batch of `second` has to wait while one of `first` is under way, on one key. A waiter
// is let in at the end.
bool excludes(Kind first, Kind second) {
  Latches latches;
  std::atomic<bool> released = false;
  std::atomic<bool> entered_early = false;
  Thread thread;
  {
    const Latches::Held held = latches.hold(on("k", first));
    std::atomic<bool> begun = false;
    thread = Thread("second", [&] {
      begun = true;
      const Latches::Held mine = latches.hold(on("k", second));
      entered_early = !released;
    });
    while (!begun) std::this_thread::yield();
    // Give it every chance to get in; a latch that excludes keeps it out however long this takes.
    for (int i = 0; i < 2'000 && !entered_early; ++i) std::this_thread::yield();
    released = true;
  }
  thread.join();
  return !entered_early;
}

TEST(LatchesTest, writers_exclude_everybody) {
  for (const Kind other : {Kind::kInsert, Kind::kUpdate, Kind::kErase, Kind::kCheck, Kind::kPut,
                           Kind::kRemove, Kind::kMergeAdd, Kind::kMergeMax}) {
    EXPECT_TRUE(excludes(Kind::kUpdate, other)) << static_cast<int>(other);
    EXPECT_TRUE(excludes(other, Kind::kPut)) << static_cast<int>(other);
  }
}

TEST(LatchesTest, a_check_and_a_merge_exclude_each_other) {
  EXPECT_TRUE(excludes(Kind::kCheck, Kind::kMergeAdd));
  EXPECT_TRUE(excludes(Kind::kMergeMax, Kind::kCheck));
}

// These would never end if sharers kept each other out.
TEST(LatchesTest, checks_share_and_merges_share) {
  Latches latches;
  const Latches::Held one = latches.hold(on("k", Kind::kCheck));
  const Latches::Held two = latches.hold(on("k", Kind::kCheck));
  const Latches::Held three = latches.hold(on("m", Kind::kMergeAdd));
  const Latches::Held four = latches.hold(on("m", Kind::kMergeMax));
}

TEST(LatchesTest, a_batch_takes_each_of_its_stripes_once) {
  Latches latches;
  std::vector<Write> writes;  // more keys than stripes, all modes mixed
  for (size_t i = 0; i < 3 * Latches::kStripes; ++i) {
    const Kind kind = i % 3 == 0 ? Kind::kCheck : (i % 3 == 1 ? Kind::kMergeAdd : Kind::kInsert);
    writes.push_back({kind, "k" + std::to_string(i), {}, 0});
  }
  { const Latches::Held held = latches.hold(writes); }
  { const Latches::Held held = latches.hold_all(); }
  const Latches::Held again = latches.hold(writes);
}

// A sync that the test holds open.
class HeldSync {
 public:
  Status run() {
    MutexLock lock(mutex_);
    ++begun_;
    changed_.notify_all();
    while (allowed_ < begun_) changed_.wait(mutex_);
    if (fail_) return Error(EIO);
    return {};
  }
  void wait_for_begin(int n) {
    MutexLock lock(mutex_);
    while (begun_ < n) changed_.wait(mutex_);
  }
  void allow(int n) {
    MutexLock lock(mutex_);
    allowed_ = n;
    changed_.notify_all();
  }
  void fail() {
    MutexLock lock(mutex_);
    fail_ = true;
  }
  int begun() {
    MutexLock lock(mutex_);
    return begun_;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  int begun_ GUARDED_BY(mutex_) = 0;
  int allowed_ GUARDED_BY(mutex_) = 0;
  bool fail_ GUARDED_BY(mutex_) = false;
};

TEST(GroupSyncTest, calls_during_a_sync_share_the_next_one_and_never_join_the_one_under_way) {
  HeldSync sync;
  GroupSync group([&] { return sync.run(); });
  Thread first("first", [&] { EXPECT_TRUE(group.run().ok()); });
  sync.wait_for_begin(1);
  std::atomic<int> returned = 0;
  std::vector<Thread> later;
  for (int i = 0; i < 8; ++i) {
    later.emplace_back("later", [&] {
      EXPECT_TRUE(group.run().ok());
      ++returned;
    });
  }
  while (group.waiting() < 8) std::this_thread::yield();
  sync.allow(1);
  first.join();
  sync.wait_for_begin(2);
  EXPECT_EQ(returned, 0) << "the first sync may have begun before what these want synced";
  sync.allow(100);
  for (Thread& thread : later) thread.join();
  EXPECT_EQ(sync.begun(), 2);
}

TEST(GroupSyncTest, after_a_failure_every_call_fails_without_another_try) {
  HeldSync sync;
  sync.allow(1'000'000);
  sync.fail();
  GroupSync group([&] { return sync.run(); });
  EXPECT_EQ(group.run().code(), EIO);
  EXPECT_EQ(group.run().code(), EIO);
  EXPECT_EQ(sync.begun(), 1);
}

}  // namespace
}  // namespace shoal::engine
