// A world for tests of the cache: a simulated disk, a clock, and chunks whose bytes follow from
// their number.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "base/coding.h"
#include "cache/block_cache.h"
#include "cache/disk_cache.h"
#include "sim/fake_clock.h"
#include "sim/faulty_fs.h"
#include "sim/sim_fs.h"

namespace shoal::cache {

inline ChunkKey chunk_key(uint64_t number) { return segment_block_key({number, 1}, 0); }

// What chunk `number` holds at [offset, offset + length): never two equal units, in one chunk or
// two.
inline ByteBuffer chunk_bytes(uint64_t number, uint32_t offset, size_t length) {
  ByteBuffer bytes(length);
  for (size_t i = 0; i < length; ++i) {
    const uint64_t at = offset + i;
    uint64_t x = (number << 20 ^ at / 8) * 0x9e3779b97f4a7c15ull;
    x = (x ^ x >> 29) * 0xbf58476d1ce4e5b9ull;
    bytes[i] = static_cast<std::byte>(x >> (at % 8 * 8));
  }
  return bytes;
}

inline void put(BlockCache& cache, uint64_t number, uint32_t offset, size_t length,
                uint32_t whole = kBlockBytes) {
  cache.write(chunk_key(number), offset, chunk_bytes(number, offset, length), whole);
}

// A hit must have the right bytes.
inline bool get(BlockCache& cache, uint64_t number, uint32_t offset, size_t length) {
  ByteBuffer got(length);
  if (!cache.read(chunk_key(number), offset, got)) return false;
  EXPECT_TRUE(got == chunk_bytes(number, offset, length)) << "chunk " << number << " at " << offset;
  return true;
}

inline constexpr uint32_t kKiB = 1 << 10;
inline constexpr uint64_t kMiB = 1 << 20;

inline DiskCacheOptions small_cache(uint64_t capacity_bytes = 16 * kMiB) {
  return {capacity_bytes, 0};
}

struct World {
  sim::SimFs disk;
  sim::FaultyFs fs{disk};
  sim::FakeClock clock;

  std::unique_ptr<DiskCache> open(DiskCacheOptions options = small_cache()) {
    return DiskCache::open(fs, clock, "c", options).value();
  }
  // Flips bits of one byte of a file in the folder.
  void flip(const std::string& name, uint64_t offset) {
    auto file = disk.open("c/" + name, OpenMode::kReadWrite).value();
    std::byte b{};
    ASSERT_EQ(file->read_at(offset, {&b, 1}).value(), 1u);
    b ^= std::byte{0x10};
    file->write_at(offset, {&b, 1}).value();
  }
};

}  // namespace shoal::cache
