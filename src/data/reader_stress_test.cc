// Many threads, little memory, a small cache on a failing disk, a bucket that fails and lies, and
// drops in between: never a wrong byte, nobody waits for ever, no account is left open.
#include <gtest/gtest.h>

#include <atomic>

#include "data/reader.h"
#include "data/reader_test_util.h"
#include "sim/seeded_random.h"
#include "sys/executor.h"
#include "sys/thread.h"

namespace shoal::data {
namespace {

using namespace std::chrono_literals;

constexpr uint64_t kSegments = 4;
constexpr int kThreads = 6;
constexpr int kActs = 250;  // of each thread

class ReaderStressTest : public ::testing::Test {
 protected:
  ReaderStressTest() {
    for (uint64_t number = 0; number < kSegments; ++number) {
      SegmentBuilder segment(segment_id(number));
      for (uint64_t i = 0; i < 12; ++i) {
        const std::string slice = pattern(number * 100 + i, i % 4 == 3 ? 10'000 : 900'000);
        extents.push_back({bytes.size(), slice.size(), segment.add(slice), 0});
        bytes += slice;
      }
      objects[number] = segment.finish();
      object::put_and_wait(*bucket, format::segment_object_key(volume, segment_id(number)),
                           as_bytes(objects[number]))
          .value();
    }
    store.on_get = [this](const Get&) { return store_fault(); };
    store.on_head = [this] {
      return failing && random.chance(5) ? Fault::kErrorBefore : Fault::kNone;
    };
    // A disk that fails more often is left alone (cache/breaker.h).
    fs.decide([this](sim::FsCall call, const Path&, uint64_t) {
      const bool io = call == sim::FsCall::kRead || call == sim::FsCall::kWrite;
      return sim::FaultyFs::Fault{failing && io && random.chance(2) ? EIO : 0};
    });
  }

  Fault store_fault() {
    if (!failing) return Fault::kNone;
    const uint64_t what = random.below(100);
    if (what < 4) return Fault::kErrorBefore;
    if (what < 6) return Fault::kTimeout;
    if (what < 9) return Fault::kShort;
    if (what < 12 && lying) return Fault::kCorrupt;
    return Fault::kNone;
  }
  // Runs act(own random numbers) in all threads.
  void run(const std::function<void(sim::SeededRandom&)>& act) {
    std::vector<Thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back("reader", [&, seed = random.u64()] {
        sim::SeededRandom own(seed);
        for (int i = 0; i < kActs; ++i) act(own);
      });
    }
    for (Thread& thread : threads) thread.join();
  }

  QuietLog quiet;
  sim::SeededRandom random{sim::seed_or(11)};
  const Uuid volume{{1, 2, 3}};
  sim::FakeClock clock;
  sim::SimFs disk;
  sim::FaultyFs fs{disk};
  ThreadPool store_pool{"store", 4};
  ThreadPool pool{"read", 3};
  std::unique_ptr<object::ObjectStore> bucket = object::make_memory_store(store_pool);
  WatchedStore store{*bucket};
  std::unique_ptr<cache::BlockCache> cache =
      cache::open_disk_cache(fs, clock, "c", {12 * kMiB, 0}).value();
  std::atomic<bool> failing{true};
  bool lying = false;
  std::string objects[kSegments];
  std::string bytes;  // of a file that is all slices
  std::vector<format::Extent> extents;
};

TEST_F(ReaderStressTest, blocks) {
  SCOPED_TRACE(random.seed());
  BlockSource::Limits limits;
  limits.memory_bytes = 3 * kBlockBytes;
  limits.ahead_bytes_max = 2 * kBlockBytes;
  limits.fill_bytes_max = 2 * kBlockBytes;
  BlockSource source(store, *cache, pool, clock, volume, limits);
  std::atomic<uint64_t> right{0}, failed{0};
  run([&](sim::SeededRandom& own) {
    const uint64_t number = own.below(kSegments);
    const std::string& object = objects[number];
    const uint64_t offset = own.below(object.size());
    const uint64_t what = own.below(100);
    if (what < 65) {
      const uint64_t length =
          1 + own.below(std::min(own.chance(80) ? 5000 : kMiB, object.size() - offset));
      std::string got(length, 0);
      const Status read =
          source.read(segment_id(number), offset, as_mutable_bytes(got),
                      own.chance(50) ? BlockSource::Want::kExact : BlockSource::Want::kWholeBlock);
      if (read.ok()) {
        EXPECT_TRUE(got == object.substr(offset, length)) << number << " at " << offset;
        ++right;
      } else {
        ++failed;
      }
    } else if (what < 90) {
      source.prefetch({segment_id(number), offset / kBlockBytes}, own.chance(50));
      EXPECT_LE(source.ahead_bytes(), limits.ahead_bytes_max);
    } else if (what < 97) {
      source.drop(segment_id(number), offset, 1);
    } else {
      clock.advance(3s);
    }
  });
  // What is under way ends (with both pools at work: one hands on to the other); then nothing is
  // left when everything is dropped.
  int tries = 0;
  do {
    for (uint64_t number = 0; number < kSegments; ++number) {
      source.drop(segment_id(number), 0, kSegmentBytesMax);
    }
    std::this_thread::yield();
  } while (source.ahead_bytes() > 0 && ++tries < 10'000'000);
  EXPECT_EQ(source.ahead_bytes(), 0u);
  EXPECT_GT(right, 500u);
  EXPECT_GT(failed, 5u);
  EXPECT_GT(cache->stats().fills, 0u);
}

TEST_F(ReaderStressTest, files) {
  SCOPED_TRACE(random.seed());
  lying = true;
  ReaderOptions options;
  options.memory_bytes = 3 * kBlockBytes;
  options.ahead_bytes_max = 2 * kBlockBytes;
  options.fill_bytes_max = 2 * kBlockBytes;
  const auto reader = Reader::make({store, *cache, pool, clock, volume}, nullptr, options);
  const std::shared_ptr<ReadPattern> patterns[] = {reader->make_pattern(), reader->make_pattern()};
  std::atomic<uint64_t> places[] = {0, bytes.size() / 2};
  std::atomic<uint64_t> right{0}, failed{0};
  const auto read = [&](uint64_t offset, uint64_t length, ReadMode mode) {
    std::string got(length, 0);
    for (const format::Extent& extent : extents) {
      const uint64_t begin = std::max(offset, extent.offset);
      const uint64_t end = std::min(offset + length, extent.end());
      if (begin >= end) continue;
      const Status status =
          reader->read(extent.target, begin - extent.offset,
                       as_mutable_bytes(got).subspan(begin - offset, end - begin), mode);
      if (!status.ok()) {
        EXPECT_TRUE(failing) << status.error().to_string();
        return ++failed;
      }
    }
    EXPECT_TRUE(got == bytes.substr(offset, length)) << "at " << offset << "+" << length;
    return ++right;
  };
  const auto act = [&](sim::SeededRandom& own) {
    const uint64_t what = own.below(100);
    if (what < 60) {  // one of two streams, which all threads go on with
      const uint64_t which = own.below(2);
      const uint64_t length = 128 * kKiB;
      const uint64_t offset = places[which].fetch_add(length) % (bytes.size() - length);
      size_t first = 0;
      while (extents[first].end() <= offset) ++first;
      read(offset, length,
           reader->begin(*patterns[which], offset, length, std::span(extents).subspan(first)));
    } else if (what < 95) {
      const uint64_t offset = own.below(bytes.size());
      read(offset, 1 + own.below(std::min<uint64_t>(20'000, bytes.size() - offset)),
           ReadMode::kRandom);
    } else if (what < 97) {
      reader->forget(segment_id(own.below(kSegments)));
    } else {
      clock.advance(3s);
    }
  };
  run(act);
  EXPECT_GT(reader->stats().crc_errors, 0u);
  EXPECT_GT(failed, 5u);
  failing = false;
  run(act);
  EXPECT_GT(right, 1000u);
}

}  // namespace
}  // namespace shoal::data
