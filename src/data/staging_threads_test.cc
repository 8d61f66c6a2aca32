// Staging with real threads: waiting for the bucket, backpressure, shared syncs.
#include <gtest/gtest.h>

#include <atomic>

#include "base/limits.h"
#include "data/staging_test_util.h"
#include "sys/executor.h"
#include "sys/thread.h"

namespace shoal::data {
namespace {

using namespace std::chrono_literals;

class StagingThreadsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    machine.boot();
    machine.bucket.use(pool);
    FakeState state;
    for (Ino ino = 2; ino < 1000; ++ino) state.inodes[ino];
    machine.engine.commit(state);
    machine.engine.sync();
  }
  void TearDown() override {
    staging.reset();
    pool.stop();
    for (const std::string& violation : machine.owner->violations()) ADD_FAILURE() << violation;
    EXPECT_EQ(machine.bucket.rewritten(), 0);
  }
  void start(const StagingOptions& options) {
    const StagingSeams seams{machine.faulty, clock, machine.random, pool, machine.bucket};
    auto opened =
        Staging::open(seams, "/state", {machine.volume, machine.lineage, "host"}, options);
    ASSERT_TRUE(opened.ok()) << opened.error().to_string();
    staging = std::move(*opened);
    ASSERT_TRUE(staging->replay(*machine.owner, 1).ok());
  }
  // Commits what is durable, as a client's committer does.
  void commit(const std::vector<Journaled>& records) {
    std::vector<meta::DataRecord> offered;
    for (const Journaled& record : records) offered.push_back(record.record);
    ASSERT_TRUE(machine.owner->commit_data({}, 1, offered).ok());
    const Stamp stamp = machine.owner->committed_stamp();
    for (const Journaled& record : records) staging->committed(record, stamp);
  }

  void push_through(bool large);
  void work_with_many_threads(bool large);

  SystemClock clock;
  Machine machine{sim::seed_or(5)};
  ThreadPool pool{"test", 4};
  std::unique_ptr<Staging> staging;
};

TEST_F(StagingThreadsTest, store_inode_returns_when_its_segments_are_stored_complete_and_synced) {
  start(small_segments());
  const auto journaled = append_bytes(*staging, data_operation(2, 0, 0), pattern(1, 3000));
  const auto other = append_bytes(*staging, data_operation(3, 0, 0, 2), pattern(2, 3000));
  ASSERT_TRUE(staging->sync().ok());
  commit({*journaled, *other});
  ASSERT_TRUE(staging->store_inode(2).ok());
  const SegmentId id = journaled->record.target->segment;
  EXPECT_FALSE(machine.bucket.object(machine.volume, id).empty());
  EXPECT_EQ(machine.engine.synced_stamp(), machine.owner->committed_stamp());
  const auto segment = machine.engine.current().segments[id];
  EXPECT_EQ(segment.state, format::Segment::State::kStored);
  EXPECT_TRUE(segment.complete);
  const SegmentId other_id = other->record.target->segment;
  if (other_id != id) {
    EXPECT_TRUE(machine.bucket.object(machine.volume, other_id).empty());  // nobody asked
  }
  EXPECT_TRUE(staging->store_inode(999).ok());  // nothing of it is here
}

TEST_F(StagingThreadsTest, store_inode_waits_for_records_that_others_have_not_committed) {
  start(small_segments());
  const auto mine = append_bytes(*staging, data_operation(2, 0, 0), pattern(1, 3000));
  const auto other = append_bytes(*staging, data_operation(3, 0, 0), pattern(2, 3000));
  ASSERT_TRUE(staging->sync().ok());
  commit({*mine});
  std::atomic<bool> done{false};
  Thread waiter("waiter", [&] {
    EXPECT_TRUE(staging->store_inode(2).ok());
    done = true;
  });
  const SegmentId id = mine->record.target->segment;
  while (machine.engine.current().segments[id].state != format::Segment::State::kStored) {
    clock.since_boot();
  }
  EXPECT_FALSE(done);
  commit({*other});
  waiter.join();
  EXPECT_TRUE(machine.engine.current().segments[id].complete);
}

TEST_F(StagingThreadsTest, store_all_empties_staging_and_tells_how_far_it_is) {
  start(small_segments());
  std::vector<Journaled> records;
  for (Ino ino = 2; ino < 60; ++ino) {
    records.push_back(*append_bytes(*staging, data_operation(ino, 0, 0, ino), pattern(ino, 2000)));
  }
  ASSERT_TRUE(staging->sync().ok());
  commit(records);
  int calls = 0;
  ASSERT_TRUE(staging
                  ->store_all([&](const StagingStatus& status) {
                    ++calls;
                    EXPECT_LE(status.uploads_running, 2u);
                  })
                  .ok());
  EXPECT_GE(calls, 1);
  for (const Journaled& record : records) {
    EXPECT_EQ(bytes_of(*staging, machine.bucket, machine.volume, *record.record.target).size(),
              2000u);
    EXPECT_FALSE(machine.bucket.object(machine.volume, record.record.target->segment).empty());
  }
  EXPECT_EQ(staging->status().segments_waiting, 0u);
  EXPECT_TRUE(machine.owner->store_segments(1)
                  ->empty());  // what nobody wrote to is discarded: the folder may go now
  ASSERT_TRUE(append_bytes(*staging, data_operation(2, 0, 0), "goes on").ok());
}

TEST_F(StagingThreadsTest, store_timeout_turns_waiting_into_eio_that_says_why) {
  StagingOptions options = small_segments();
  options.store_timeout = 300ms;
  options.bytes_max = 20'000;
  start(options);
  machine.bucket.fail(1'000'000);
  const auto record = append_bytes(*staging, data_operation(2, 0, 0), pattern(1, 3000));
  ASSERT_TRUE(staging->sync().ok());
  commit({*record});
  const Status stored = staging->store_inode(2);
  EXPECT_EQ(stored.code(), EIO);
  EXPECT_NE(stored.error().text().find("the bucket is away"), std::string::npos);
  int appended = 0;
  while (append_bytes(*staging, data_operation(3, 0, 0), pattern(1, 3000)).ok())
    ASSERT_LT(++appended, 10);
  EXPECT_LE(staging->status().bytes, options.bytes_max);
}

// Eight writers of which each keeps its inode's chain; a committer; 200 MB through 24 MB of
// staging.
void StagingThreadsTest::push_through(bool large) {
  StagingOptions options;
  options.segment_bytes = 4 << 20;
  options.bytes_max = 24 << 20;
  start(options);
  constexpr uint64_t kRecords = 200;
  constexpr int kWriters = 4;
  Mutex mutex;
  std::vector<Journaled> waiting;
  std::atomic<int> writing{kWriters};
  std::atomic<uint64_t> most{0};
  const std::string bytes = pattern(9, kRecordBytesMax);
  std::vector<Thread> writers;
  for (int w = 0; w < kWriters; ++w) {
    writers.emplace_back("writer", [&, w] {
      uint64_t previous = 0;
      for (uint64_t i = 0; i < kRecords / kWriters; ++i) {
        const Ino ino = 2 + static_cast<Ino>(w) * 100 + (large ? 0 : i);
        DataOperation operation = data_operation(ino, large ? i * bytes.size() : 0, 0, 1 + ino % 5);
        operation.previous_sequence = large ? previous : 0;
        auto journaled = append_bytes(*staging, operation, bytes);
        ASSERT_TRUE(journaled.ok()) << journaled.error().to_string();
        previous = journaled->record.header.sequence;
        uint64_t before = most.load();
        const uint64_t now = staging->status().bytes;
        while (before < now && !most.compare_exchange_weak(before, now)) {
        }
        MutexLock lock(mutex);
        waiting.push_back(std::move(*journaled));
      }
      --writing;
    });
  }
  std::vector<Journaled> all;
  for (bool last = false; !last;) {
    last = writing == 0;
    ASSERT_TRUE(staging->sync().ok());
    const uint64_t durable = staging->synced_position();
    std::vector<Journaled> ready;
    {
      MutexLock lock(mutex);
      for (auto& record : waiting) {
        if (record.position <= durable) ready.push_back(record);
      }
      std::erase_if(waiting, [&](const Journaled& record) { return record.position <= durable; });
    }
    if (!ready.empty()) commit(ready);
    all.insert(all.end(), ready.begin(), ready.end());
  }
  for (Thread& writer : writers) writer.join();
  EXPECT_EQ(all.size(), kRecords);
  ASSERT_TRUE(staging->store_all(nullptr).ok());
  EXPECT_LE(most.load(),
            options.bytes_max + kWriters * (kRecordBytesMax + format::kRecordHeaderBytes));
  EXPECT_LE(machine.bucket.bytes_flying_max(), 2 * (options.segment_bytes + (1 << 20)));
  for (const Journaled& record : all) {
    EXPECT_EQ(bytes_of(*staging, machine.bucket, machine.volume, record.record), bytes);
  }
  EXPECT_EQ(staging->status().large_segments > 0, large);
}

TEST_F(StagingThreadsTest, much_more_than_staging_holds_goes_through_with_bounded_memory_and_disk) {
  push_through(false);
}

TEST_F(StagingThreadsTest, large_writers_push_much_more_than_staging_holds_through_it) {
  push_through(true);
}

void StagingThreadsTest::work_with_many_threads(bool large) {
  start(large ? large_writers() : small_segments());
  constexpr int kThreads = 6;
  std::vector<Thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back("worker", [&, t] {
      uint64_t previous = 0;
      const Ino ino = 2 + static_cast<Ino>(t);
      uint64_t end = 0;
      for (uint64_t i = 0; i < 60; ++i) {
        const bool stream = large && t % 3 != 0;
        DataOperation operation = data_operation(ino, stream ? end : i * 1000, 0, 1 + i % 3);
        operation.previous_sequence = previous;
        const std::string bytes = pattern(i * 31 + static_cast<uint64_t>(t),
                                          (stream ? kFrameBytesMax : 0) + 1 + (i * 997) % 3000);
        end += bytes.size();
        auto journaled = append_bytes(*staging, operation, bytes);
        ASSERT_TRUE(journaled.ok()) << journaled.error().to_string();
        previous = journaled->record.header.sequence;
        ASSERT_TRUE(staging->sync().ok());
        ASSERT_GE(staging->synced_position(), journaled->position);
        commit({*journaled});
        EXPECT_EQ(bytes_of(*staging, machine.bucket, machine.volume, journaled->record), bytes);
        const Stamp stamp = machine.owner->committed_stamp();
        machine.owner->sync().value();
        staging->engine_synced(stamp);
      }
    });
  }
  for (Thread& thread : threads) thread.join();
  EXPECT_EQ(machine.engine.current().inodes[2].records.size(), 60u);
  ASSERT_TRUE(staging->store_all(nullptr).ok());
}

TEST_F(StagingThreadsTest, many_threads_append_sync_and_read_while_journals_are_recycled) {
  work_with_many_threads(false);
}

TEST_F(StagingThreadsTest, large_writers_among_them_change_nothing) {
  work_with_many_threads(true);
}

}  // namespace
}  // namespace shoal::data
