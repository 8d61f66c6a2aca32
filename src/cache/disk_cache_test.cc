#include "cache/disk_cache.h"

#include <gtest/gtest.h>

#include "base/log.h"
#include "cache/cache_test_util.h"
#include "sim/seeded_random.h"

namespace shoal::cache {
namespace {

using namespace std::chrono_literals;
using sim::FaultyFs;
using sim::FsCall;

// Collects log lines while it lives.
class LogLines {
 public:
  LogLines() {
    set_log_sink([this](LogLevel, std::string_view line) { lines_ += std::string(line) + "\n"; });
  }
  ~LogLines() { set_log_sink(nullptr); }
  bool has(std::string_view text) const { return lines_.find(text) != std::string::npos; }
  const std::string& lines() const { return lines_; }

 private:
  std::string lines_;
};

// Fails calls of one kind on one file of the folder.
void fail(FaultyFs& fs, FsCall call, const std::string& name, int code) {
  fs.decide([=](FsCall made, const Path& path, uint64_t) {
    return FaultyFs::Fault{made == call && path == "c/" + name ? code : 0};
  });
}

// --- restart ---

TEST(DiskCache, a_restart_finds_what_was_there_and_reads_neither_slab_nor_sums) {
  World world;
  {
    auto cache = world.open();
    put(*cache, 1, 0, kBlockBytes);
    put(*cache, 2, 8192, 4096);
    put(*cache, 3, 0, 5000, 5000);
    put(*cache, 4, 0, 4096);
    cache->forget(chunk_key(4));
  }
  uint64_t reads = 0;
  world.fs.decide([&](FsCall call, const Path& path, uint64_t) {
    reads += call == FsCall::kRead && path != "c/index";
    return FaultyFs::Fault{};
  });
  auto cache = world.open();
  EXPECT_EQ(reads, 0u);
  world.fs.decide(nullptr);
  EXPECT_EQ(cache->stats().used_bytes, kBlockBytes + 2 * kGroupBytes);
  EXPECT_TRUE(get(*cache, 1, 0, kBlockBytes));
  EXPECT_TRUE(get(*cache, 2, 8192, 4096));
  EXPECT_FALSE(get(*cache, 2, 4096, 4096));
  EXPECT_TRUE(get(*cache, 3, 0, 5000));
  EXPECT_FALSE(get(*cache, 4, 0, 4096));
  EXPECT_EQ(cache->stats().crc_errors, 0u);
  put(*cache, 5, 0, kBlockBytes);  // takes no slot that is in use
  EXPECT_TRUE(get(*cache, 1, 0, kBlockBytes));
  EXPECT_TRUE(get(*cache, 3, 0, 5000));
}

TEST(DiskCache, a_smaller_capacity_drops_slots_and_a_larger_one_finds_the_rest) {
  World world;
  {
    auto cache = world.open(small_cache(32 * kMiB));
    for (uint64_t n = 0; n < 8; ++n) put(*cache, n, 0, kBlockBytes);
  }
  {
    auto cache = world.open(small_cache(12 * kMiB));
    EXPECT_EQ(cache->stats().used_bytes, 12 * kMiB);
    uint64_t found = 0;
    for (uint64_t n = 0; n < 8; ++n) found += get(*cache, n, 0, kBlockBytes);
    EXPECT_EQ(found, 3u);
    EXPECT_LE(world.disk.used_bytes(), 13 * kMiB) << "the disk has its space back";
  }
  auto cache = world.open(small_cache(32 * kMiB));
  uint64_t found = 0;
  for (uint64_t n = 0; n < 8; ++n) found += get(*cache, n, 0, kBlockBytes);
  EXPECT_EQ(found, 3u);
  for (uint64_t n = 0; n < 8; ++n) put(*cache, n, 0, kBlockBytes);
  EXPECT_EQ(cache->stats().used_bytes, 32 * kMiB);
}

TEST(DiskCache, slots_beyond_a_shrunk_slab_are_dropped) {
  World world;
  {
    auto cache = world.open(small_cache(16 * kMiB));  // 16 slots, one group each
    for (uint64_t n = 0; n < 16; ++n) put(*cache, n, 0, 4096);
  }
  auto cache = world.open(small_cache(4 * kMiB));  // 4 slots
  for (uint64_t n = 0; n < 16; ++n) EXPECT_EQ(get(*cache, n, 0, 4096), n < 4) << n;
}

TEST(DiskCache, the_index_does_not_grow_without_bound_and_forgets_nothing) {
  World world;
  {
    auto cache = world.open();
    for (uint32_t unit = 0; unit < kUnitsPerSlot; ++unit)
      put(*cache, 1, unit * kUnitBytes, kUnitBytes);
    for (uint64_t round = 0; round < 5000; ++round) {
      put(*cache, 2 + round % 3, 0, kUnitBytes);
      cache->forget(chunk_key(2 + round % 3));
    }
    put(*cache, 9, 0, kUnitBytes);
  }
  EXPECT_LE(world.disk.stat("c/index").value().size, 2 * kIndexSlackBytes);
  auto cache = world.open();
  EXPECT_TRUE(get(*cache, 1, 0, kBlockBytes));
  EXPECT_TRUE(get(*cache, 9, 0, kUnitBytes));
  EXPECT_FALSE(get(*cache, 2, 0, kUnitBytes));
}

// --- corruption ---

TEST(DiskCache, a_flipped_bit_of_the_slab_is_a_miss_counted_and_the_chunk_may_come_again) {
  World world;
  auto cache = world.open();
  put(*cache, 1, 0, kBlockBytes);
  world.flip("slab", 5 * kUnitBytes + 17);
  EXPECT_TRUE(get(*cache, 1, 0, 5 * kUnitBytes)) << "other units verify";
  EXPECT_FALSE(get(*cache, 1, 5 * kUnitBytes, 1));
  EXPECT_EQ(cache->stats().crc_errors, 1u);
  EXPECT_FALSE(cache->contains(chunk_key(1), 0, 1));
  put(*cache, 1, 0, kBlockBytes);
  EXPECT_TRUE(get(*cache, 1, 0, kBlockBytes));
}

TEST(DiskCache, a_flipped_bit_of_a_sum_is_a_miss) {
  for (uint64_t byte = 0; byte < kSumBytes; ++byte) {
    World world;
    auto cache = world.open();
    put(*cache, 1, 0, kUnitBytes);
    world.flip("sums", byte);
    EXPECT_FALSE(get(*cache, 1, 0, 1)) << byte;
    EXPECT_EQ(cache->stats().crc_errors, 1u);
  }
}

TEST(DiskCache, another_chunks_bytes_with_their_sums_are_a_miss) {
  World world;
  {
    auto cache = world.open();
    put(*cache, 1, 0, 2 * kUnitBytes);  // slot 0
    put(*cache, 2, 0, 2 * kUnitBytes);  // slot 1
  }
  const auto copy = [&](const std::string& name, uint64_t from, uint64_t to, size_t length) {
    auto file = world.disk.open("c/" + name, OpenMode::kReadWrite).value();
    ByteBuffer bytes(length);
    ASSERT_EQ(file->read_at(from, bytes).value(), length);
    file->write_at(to, bytes).value();
  };
  copy("slab", 0, kBlockBytes, kUnitBytes);
  copy("sums", 0, kSumsPerSlotBytes, kSumBytes);
  copy("slab", 0, kUnitBytes, kUnitBytes);  // unit 0 in the place of unit 1
  copy("sums", 0, kSumBytes, kSumBytes);
  auto cache = world.open();
  EXPECT_FALSE(get(*cache, 2, 0, 1));
  EXPECT_TRUE(get(*cache, 1, 0, 1));
  EXPECT_FALSE(get(*cache, 1, kUnitBytes, 1));
  EXPECT_EQ(cache->stats().crc_errors, 2u);
}

TEST(DiskCache, a_slab_or_sums_that_went_are_misses) {
  for (const std::string name : {"slab", "sums"}) {
    World world;
    {
      auto cache = world.open();
      put(*cache, 1, 0, kBlockBytes);
    }
    world.disk.remove("c/" + name).value();
    auto cache = world.open();
    EXPECT_FALSE(get(*cache, 1, 0, kBlockBytes));
    put(*cache, 1, 0, kBlockBytes);
    EXPECT_TRUE(get(*cache, 1, 0, kBlockBytes));
  }
}

TEST(DiskCache, an_index_that_is_not_ours_or_of_a_later_version_is_begun_anew_with_a_log_line) {
  for (const uint64_t byte : {0u, 8u, 14u, 62u}) {  // magic, version, slot size, CRC
    World world;
    {
      auto cache = world.open();
      put(*cache, 1, 0, kBlockBytes);
    }
    world.flip("index", byte);
    {
      LogLines log;
      auto cache = world.open();
      EXPECT_TRUE(log.has("begun anew")) << log.lines();
      EXPECT_TRUE(log.has("disk cache in c")) << log.lines();
      EXPECT_FALSE(get(*cache, 1, 0, 1));
      EXPECT_EQ(world.disk.used_bytes(), kUnitBytes) << "only the index";
      put(*cache, 2, 0, kUnitBytes);
    }
    auto cache = world.open();
    EXPECT_TRUE(get(*cache, 2, 0, kUnitBytes));
  }
}

TEST(DiskCache, a_broken_record_loses_its_chunk_and_no_other) {
  World world;
  {
    auto cache = world.open();
    for (uint64_t n = 0; n < 3; ++n) put(*cache, n, 0, kUnitBytes);
  }
  world.flip("index", 2 * kIndexRecordBytes + 9);  // the second record
  LogLines log;
  auto cache = world.open();
  EXPECT_TRUE(log.has("1 of 3 index records are broken")) << log.lines();
  EXPECT_TRUE(get(*cache, 0, 0, kUnitBytes));
  EXPECT_FALSE(get(*cache, 1, 0, kUnitBytes));
  EXPECT_TRUE(get(*cache, 2, 0, kUnitBytes));
}

TEST(DiskCache, no_index_whatsoever_crashes_it_or_yields_a_wrong_byte) {
  const uint64_t first = sim::seed_or(1);
  LogLines log;
  for (uint64_t seed = first; seed < first + 300; ++seed) {
    SCOPED_TRACE(seed);
    sim::SeededRandom random(seed);
    World world;
    {
      auto cache = world.open();
      for (uint64_t n = 0; n < 5; ++n) put(*cache, n, 0, kUnitBytes * (1 + random.below(3)));
    }
    {
      auto index = world.disk.open("c/index", OpenMode::kReadWrite).value();
      ByteBuffer noise(random.below(3000));
      random.fill(noise);
      if (random.chance(50)) {  // records that verify and lie
        std::string records = random.chance(90) ? encode_index_header() : "";
        for (int i = 0; i < 30; ++i) {
          IndexRecord record;
          record.kind = random.chance(80) ? IndexRecord::Kind::kUnits : IndexRecord::Kind::kDrop;
          record.part = static_cast<uint8_t>(random.below(4));
          record.slot = static_cast<uint32_t>(random.chance(90) ? random.below(20) : random.u64());
          record.chunk_bytes = static_cast<uint32_t>(1 + random.below(kBlockBytes));
          record.key = chunk_key(random.below(8));
          record.units[0] = random.chance(50) ? random.below(8) : random.u64();
          encode_index_record(record, records);
        }
        const ByteView bytes = as_bytes(records);
        noise.assign(bytes.begin(), bytes.end());
      }
      if (!noise.empty()) index->write_at(random.chance(50) ? 0 : random.below(500), noise).value();
      if (random.chance(20)) index->truncate(random.below(600)).value();
    }
    auto cache = world.open();
    for (uint64_t n = 0; n < 8; ++n) {
      get(*cache, n, 0, kUnitBytes);
      get(*cache, n, 100, 3 * kUnitBytes);
      put(*cache, n, kUnitBytes, 2 * kUnitBytes);
      get(*cache, n, kUnitBytes, 2 * kUnitBytes);
    }
    EXPECT_LE(cache->stats().used_bytes, cache->stats().capacity_bytes);
  }
}

// --- space ---

TEST(DiskCache, eviction_is_sieve) {
  World world;
  auto cache = world.open(small_cache(7 * kBlockBytes));
  // The trace and the order of slot_table_test.cc.
  const std::string trace = "ABCDEFGABGHADIJK";
  for (const char letter : trace) {
    const auto n = static_cast<uint64_t>(letter);
    if (!get(*cache, n, 0, 1)) put(*cache, n, 0, kBlockBytes);
  }
  std::string left;
  for (char letter = 'A'; letter <= 'K'; ++letter) {
    if (cache->contains(chunk_key(static_cast<uint64_t>(letter)), 0, kBlockBytes)) left += letter;
  }
  EXPECT_EQ(left, "ABDGIJK");
  EXPECT_EQ(cache->stats().evictions, 4u);
}

TEST(DiskCache, never_more_than_the_capacity_counted_or_on_the_disk) {
  const uint64_t seed = sim::seed_or(7);
  SCOPED_TRACE(seed);
  sim::SeededRandom random(seed);
  World world;
  auto cache = world.open(small_cache(8 * kMiB));
  for (int i = 0; i < 2000; ++i) {
    const uint64_t n = random.below(60);
    const auto unit = static_cast<uint32_t>(random.below(kUnitsPerSlot));
    const uint64_t units =
        std::min<uint64_t>(1 + random.below(random.chance(10) ? 1024 : 20), kUnitsPerSlot - unit);
    put(*cache, n, unit * kUnitBytes, units * kUnitBytes);
    get(*cache, random.below(60), unit * kUnitBytes, kUnitBytes);
    ASSERT_LE(cache->stats().used_bytes, 8 * kMiB);
    ASSERT_LE(world.disk.used_bytes(), 8 * kMiB + kMiB) << "slab, sums and index";
  }
  EXPECT_GT(cache->stats().evictions, 100u);
  EXPECT_GT(cache->stats().hits, 10u);
  EXPECT_EQ(cache->stats().crc_errors, 0u);
}

TEST(DiskCache, small_pieces_of_many_chunks_do_not_waste_the_capacity) {
  World world;
  auto cache = world.open(small_cache(4 * kBlockBytes));
  for (uint64_t n = 0; n < 16; ++n) put(*cache, n, 0, kUnitBytes);
  EXPECT_EQ(cache->stats().used_bytes, 16 * kGroupBytes);
  for (uint64_t n = 0; n < 16; ++n) EXPECT_TRUE(get(*cache, n, 0, kUnitBytes)) << n;
  put(*cache, 16, 0, kUnitBytes);
  EXPECT_EQ(cache->stats().evictions, 1u) << "four slots per block of capacity";
}

TEST(DiskCache, a_file_system_without_holes_gets_no_more_slots_than_the_capacity) {
  World world;
  fail(world.fs, FsCall::kPunch, "slab", EOPNOTSUPP);
  auto cache = world.open(small_cache(4 * kBlockBytes));
  for (uint64_t n = 0; n < 8; ++n) put(*cache, n, 0, kBlockBytes);
  for (uint64_t n = 8; n < 20; ++n) put(*cache, n, 0, kUnitBytes);
  EXPECT_EQ(cache->stats().used_bytes, 4 * kGroupBytes);
  for (uint64_t n = 16; n < 20; ++n) EXPECT_TRUE(get(*cache, n, 0, kUnitBytes)) << n;
  EXPECT_LE(world.disk.used_bytes(), 4 * kBlockBytes + kMiB);
  EXPECT_EQ(cache->stats().io_errors, 0u);
}

TEST(DiskCache, leaves_the_disk_the_space_it_was_told_to) {
  World world;
  world.disk.set_capacity(64 * kMiB);
  auto cache = world.open({uint64_t{1} << 30, 40 * kMiB});
  for (uint64_t n = 0; n < 30; ++n) put(*cache, n, 0, kBlockBytes);
  EXPECT_GE(world.disk.space("c").value().available_bytes, 28 * kMiB) << "asked every 8 MiB";
  EXPECT_GE(cache->stats().used_bytes, 12 * kMiB);
  // Somebody else needs the disk: the cache gives way as it is written to.
  auto other = world.disk.open("other", OpenMode::kCreate).value();
  other->allocate(0, 36 * kMiB).value();
  for (uint64_t n = 30; n < 50; ++n) put(*cache, n, 0, kBlockBytes);
  EXPECT_LE(cache->stats().used_bytes, 8 * kMiB);
}

TEST(DiskCache, a_full_disk_is_declined_fills_and_no_broken_disk) {
  World world;
  auto cache = world.open(small_cache(64 * kMiB));
  put(*cache, 1, 0, kBlockBytes);
  world.disk.set_capacity(world.disk.used_bytes() + kMiB);
  for (uint64_t n = 2; n < 20; ++n) put(*cache, n, 0, 128 * kKiB);
  EXPECT_FALSE(cache->stats().degraded);
  EXPECT_GT(cache->stats().io_errors, 0u);
  uint64_t found = 0;
  for (uint64_t n = 2; n < 20; ++n) found += get(*cache, n, 0, 128 * kKiB);
  EXPECT_GE(found, 6u) << "what fitted";
  EXPECT_EQ(cache->stats().crc_errors, 0u);
  world.disk.set_capacity(uint64_t{1} << 30);
  for (uint64_t n = 20; n < 30; ++n) put(*cache, n, 0, kBlockBytes);
  EXPECT_TRUE(get(*cache, 29, 0, kBlockBytes));
  EXPECT_GT(cache->stats().used_bytes, 16 * kMiB);
}

TEST(DiskCache, a_hundred_gibibytes_in_slots_take_less_than_200_bytes_of_memory_each) {
  EXPECT_LE(sizeof(SlotTable::Entry) + 8 + 16, 200u);
}

// --- trouble ---

TEST(DiskCache, a_second_process_is_told_that_the_folder_is_in_use) {
  World world;
  auto first = world.open();
  Result<std::unique_ptr<BlockCache>> second =
      open_disk_cache(world.fs, world.clock, "c", small_cache());
  EXPECT_EQ(second.code(), EWOULDBLOCK);
  EXPECT_EQ(second.error().text(),
            "disk cache in c: another process uses it; the mount goes on without a disk cache");
  first.reset();
  world.open();
}

TEST(DiskCache, a_folder_that_cannot_be_used_is_an_error_that_names_it) {
  for (const int code : {EACCES, EROFS, ENOSPC}) {
    for (const FsCall call : {FsCall::kMakeDir, FsCall::kLock, FsCall::kOpen, FsCall::kWrite}) {
      World world;
      world.fs.fail_nth(call, 1, {code}, FaultyFs::Times::kFromThenOn);
      Result<std::unique_ptr<BlockCache>> opened =
          open_disk_cache(world.fs, world.clock, "c", small_cache());
      ASSERT_EQ(opened.code(), code) << sim::to_string(call);
      const std::string text = opened.error().text();
      EXPECT_EQ(text.find("disk cache in c: "), 0u) << text;
      EXPECT_NE(text.find("goes on without a disk cache"), std::string::npos) << text;
    }
  }
}

TEST(DiskCache, every_call_that_fails_once_costs_at_most_misses) {
  const auto scenario = [](World& world) {
    Result<std::unique_ptr<DiskCache>> opened =
        DiskCache::open(world.fs, world.clock, "c", small_cache(8 * kMiB));
    if (!opened.ok()) return;
    auto cache = std::move(opened).value();
    for (uint64_t n = 0; n < 4; ++n) put(*cache, n, 0, n % 2 == 0 ? kBlockBytes : 2 * kUnitBytes);
    for (uint64_t n = 0; n < 4; ++n) get(*cache, n, 10, 5000);
    cache->forget(chunk_key(3));
    cache.reset();
    opened = DiskCache::open(world.fs, world.clock, "c", small_cache(4 * kMiB));
    if (!opened.ok()) return;
    for (uint64_t n = 0; n < 4; ++n) get(**opened, n, 10, 5000);
  };
  LogLines log;
  World counting;
  scenario(counting);
  const uint64_t calls = counting.fs.calls();
  ASSERT_GT(calls, 40u);
  for (uint64_t n = 1; n <= calls; ++n) {
    SCOPED_TRACE(n);
    World world;
    world.fs.fail_nth(n, {EIO, FaultyFs::Fault::Effect::kPartial, 700}, FaultyFs::Times::kOnce);
    scenario(world);
    EXPECT_EQ(world.fs.faults(), 1u);
    world.fs.decide(nullptr);
    auto cache = world.open(small_cache(8 * kMiB));  // all works again
    for (uint64_t i = 0; i < 4; ++i) get(*cache, i, 10, 5000);
    put(*cache, 9, 0, kUnitBytes);
    EXPECT_TRUE(get(*cache, 9, 0, kUnitBytes));
  }
}

TEST(DiskCache, a_failing_disk_is_left_alone_for_a_while_and_then_tried_once) {
  World world;
  LogLines log;
  auto cache = world.open();
  for (uint64_t n = 0; n < 12; ++n) put(*cache, n, 0, kUnitBytes);
  fail(world.fs, FsCall::kRead, "slab", EIO);
  for (uint64_t n = 0; n < 8; ++n) EXPECT_FALSE(get(*cache, n, 0, kUnitBytes));
  EXPECT_TRUE(cache->stats().degraded);
  EXPECT_EQ(cache->stats().io_errors, 8u);
  EXPECT_TRUE(log.has("left alone for a while")) << log.lines();

  const uint64_t calls = world.fs.calls();
  for (uint64_t n = 8; n < 12; ++n) {
    EXPECT_FALSE(get(*cache, n, 0, kUnitBytes));
    EXPECT_FALSE(cache->contains(chunk_key(n), 0, 1));
    put(*cache, 20 + n, 0, kUnitBytes);
  }
  cache->forget(chunk_key(11));
  EXPECT_EQ(world.fs.calls(), calls) << "not touched";

  world.clock.advance(Breaker::kPause);
  EXPECT_FALSE(get(*cache, 8, 0, kUnitBytes));  // the probe fails
  EXPECT_EQ(cache->stats().io_errors, 9u);
  EXPECT_FALSE(get(*cache, 9, 0, kUnitBytes));
  EXPECT_EQ(cache->stats().io_errors, 9u);

  world.fs.decide(nullptr);
  world.clock.advance(Breaker::kPause);
  EXPECT_TRUE(get(*cache, 9, 0, kUnitBytes));
  EXPECT_FALSE(cache->stats().degraded);
  EXPECT_TRUE(get(*cache, 10, 0, kUnitBytes));
  EXPECT_FALSE(get(*cache, 11, 0, kUnitBytes)) << "forgotten meanwhile";
}

TEST(DiskCache, writes_of_a_failing_disk_open_the_breaker_too) {
  World world;
  LogLines log;
  auto cache = world.open();
  fail(world.fs, FsCall::kWrite, "slab", EIO);
  for (uint64_t n = 0; n < 30; ++n) put(*cache, n, 0, kUnitBytes);
  EXPECT_TRUE(cache->stats().degraded);
  EXPECT_EQ(cache->stats().io_errors, 8u);
  EXPECT_EQ(cache->stats().used_bytes, 0u);
  world.fs.decide(nullptr);
  world.clock.advance(Breaker::kPause);
  put(*cache, 1, 0, kUnitBytes);
  EXPECT_TRUE(get(*cache, 1, 0, kUnitBytes));
}

TEST(DiskCache, a_rare_bad_sector_does_not_open_the_breaker) {
  World world;
  auto cache = world.open();
  put(*cache, 1, 0, kUnitBytes);
  for (int i = 0; i < 50; ++i) {
    put(*cache, 2, 0, kUnitBytes);
    fail(world.fs, FsCall::kRead, "slab", EIO);
    EXPECT_FALSE(get(*cache, 2, 0, kUnitBytes));
    world.fs.decide(nullptr);
    for (int good = 0; good < 10; ++good) EXPECT_TRUE(get(*cache, 1, 0, kUnitBytes));
  }
  EXPECT_FALSE(cache->stats().degraded);
  EXPECT_EQ(cache->stats().io_errors, 50u);
}

}  // namespace
}  // namespace shoal::cache
