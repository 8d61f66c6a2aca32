// Power cuts and threads: never a wrong byte.
#include <gtest/gtest.h>

#include <array>
#include <functional>

#include "base/log.h"
#include "cache/cache_test_util.h"
#include "sim/seeded_random.h"
#include "sys/thread.h"

namespace shoal::cache {
namespace {

constexpr uint64_t kChunks = 24;

// One random call; reads check their bytes.
void act(BlockCache& cache, sim::SeededRandom& random) {
  const uint64_t n = random.below(kChunks);
  const uint32_t whole = n % 5 == 0 ? 30'000 : kBlockBytes;  // some chunks are short
  const uint32_t units = (whole + kUnitBytes - 1) / kUnitBytes;
  const auto unit = static_cast<uint32_t>(random.below(std::min(units, 64u)));
  const uint64_t length =
      std::min<uint64_t>((1 + random.below(24)) * kUnitBytes, whole - unit * kUnitBytes);
  const uint64_t what = random.below(100);
  if (what < 50) {
    put(cache, n, unit * kUnitBytes, length, whole);
  } else if (what < 95) {
    get(cache, n, unit * kUnitBytes, 1 + random.below(length));
  } else {
    cache.forget(chunk_key(n));
  }
}

uint64_t read_all(BlockCache& cache) {
  uint64_t hits = 0;
  for (uint64_t n = 0; n < kChunks; ++n) {
    for (uint32_t unit = 0; unit < 88; ++unit) {
      if (cache.contains(chunk_key(n), unit * kUnitBytes, 1))
        hits += get(cache, n, unit * kUnitBytes, 1);
    }
  }
  return hits;
}

// The kernel writes one of the files back, as it does now and then: old bytes of one meet new ones
// of another.
void write_back(World& world, sim::SeededRandom& random) {
  const std::string name = std::array{"slab", "sums", "index"}[random.below(3)];
  Result<std::unique_ptr<File>> file = world.disk.open("c/" + name, OpenMode::kReadWrite);
  if (file.ok()) (*file)->sync_data().ignore("the power may be gone");
}

TEST(DiskCachePower, no_cut_ever_yields_a_wrong_byte) {
  const uint64_t first = sim::seed_or(1);
  set_log_sink([](LogLevel, std::string_view) {});
  uint64_t hits_after = 0, torn = 0, stale = 0;
  for (uint64_t seed = first; seed < first + 60; ++seed) {
    SCOPED_TRACE(seed);
    sim::SeededRandom random(seed);
    World world;
    world.open();
    // Names are not what this is about: a lost file is an empty cache.
    world.disk.sync_dir(".").value();
    world.disk.sync_dir("c").value();
    for (int life = 0; life < 4; ++life) {
      auto cache = world.open(small_cache(12 * kMiB));  // 12 slots: they change hands all the time
      hits_after += read_all(*cache);
      stale += cache->stats().crc_errors;
      world.disk.cut_after(1 + random.below(400));
      while (!world.disk.power_is_cut()) {
        act(*cache, random);
        if (random.chance(5)) write_back(world, random);
      }
      for (int i = 0; i < 5; ++i) act(*cache, random);
      cache.reset();
      torn += world.disk.restore_power(random.u64()).writes_torn;
    }
    auto cache = world.open(small_cache(12 * kMiB));
    hits_after += read_all(*cache);
  }
  set_log_sink(nullptr);
  // Something was at stake, and something survived.
  EXPECT_GT(torn, 100u);
  EXPECT_GT(hits_after, 300u);
  EXPECT_GT(stale, 20u) << "sums and keys were needed";
}

// Runs `meanwhile` once, inside the next call of that kind on the slab.
void during(World& world, sim::FsCall call, std::function<void()> meanwhile) {
  auto done = std::make_shared<bool>(false);  // shared with the copies of the closure
  world.fs.decide([=](sim::FsCall made, const Path& path, uint64_t) {
    if (made == call && path == "c/slab" && !*done) {
      *done = true;
      meanwhile();
    }
    return sim::FaultyFs::Fault{};
  });
}

TEST(DiskCacheThreads, a_slot_that_is_being_read_goes_to_nobody_else) {
  World world;
  auto cache = world.open(small_cache(4 * kMiB));  // four slots
  put(*cache, 1, 0, 3 * kUnitBytes);
  during(world, sim::FsCall::kRead, [&] {
    cache->forget(chunk_key(1));
    for (uint64_t n = 2; n < 12; ++n) put(*cache, n, 0, 3 * kUnitBytes);
  });
  EXPECT_TRUE(get(*cache, 1, 0, 3 * kUnitBytes)) << "read from its slot, although gone by now";
  EXPECT_EQ(cache->stats().crc_errors, 0u);
  EXPECT_FALSE(get(*cache, 1, 0, 1));
  for (uint64_t n = 12; n < 16; ++n) put(*cache, n, 0, 3 * kUnitBytes);
  for (uint64_t n = 12; n < 16; ++n) EXPECT_TRUE(get(*cache, n, 0, 1)) << "all four slots serve";
}

TEST(DiskCacheThreads, a_slot_that_is_being_written_goes_to_nobody_else) {
  World world;
  auto cache = world.open(small_cache(4 * kMiB));
  during(world, sim::FsCall::kWrite, [&] {
    for (uint64_t n = 2; n < 12; ++n) put(*cache, n, 0, 3 * kUnitBytes);
    cache->forget(chunk_key(1));
    for (uint64_t n = 12; n < 22; ++n) put(*cache, n, 0, 3 * kUnitBytes);
  });
  put(*cache, 1, 0, 3 * kUnitBytes);
  EXPECT_FALSE(get(*cache, 1, 0, 1)) << "forgotten while it was written";
  for (uint64_t n = 2; n < 22; ++n) get(*cache, n, 0, 3 * kUnitBytes);
  EXPECT_EQ(cache->stats().crc_errors, 0u);
  EXPECT_EQ(cache->stats().hits, 3u);
  put(*cache, 32, 0, 3 * kUnitBytes);
  EXPECT_EQ(cache->stats().used_bytes, 4 * kGroupBytes) << "all four slots serve";
}

TEST(DiskCacheThreads, readers_writers_and_evictions_at_once_see_right_bytes) {
  const uint64_t seed = sim::seed_or(3);
  SCOPED_TRACE(seed);
  World world;
  auto cache = world.open(small_cache(8 * kMiB));  // 8 slots: eviction with every other write
  {
    std::vector<Thread> threads;
    for (uint64_t t = 0; t < 6; ++t) {
      threads.emplace_back("cache-test", [&, t] {
        sim::SeededRandom random(seed * 100 + t);
        for (int i = 0; i < 1500; ++i) act(*cache, random);
      });
    }
  }
  const CacheStats stats = cache->stats();
  EXPECT_LE(stats.used_bytes, stats.capacity_bytes);
  EXPECT_EQ(stats.crc_errors, 0u) << "no slot was reused under somebody's I/O";
  EXPECT_EQ(stats.io_errors, 0u);
  EXPECT_GT(stats.evictions, 100u);
  EXPECT_GT(stats.hits, 50u);
  cache.reset();
  cache = world.open(small_cache(8 * kMiB));
  for (uint64_t n = 0; n < kChunks; ++n) get(*cache, n, 0, kUnitBytes);
  EXPECT_EQ(cache->stats().crc_errors, 0u) << "the index agrees with the slab";
}

}  // namespace
}  // namespace shoal::cache
