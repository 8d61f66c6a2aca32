// A BlockSource over objects whose bytes the test knows.
#pragma once

#include <map>

#include "data/reader_test_util.h"

namespace shoal::data {

class BlockSourceTest : public ::testing::Test {
 protected:
  using Want = BlockSource::Want;

  BlockSourceTest() { open(); }
  ~BlockSourceTest() override { close(); }

  void close() {
    world->store_executor.release();  // flights under way end
    world->executor.release();
    source.reset();
  }
  void open() {
    source = std::make_unique<BlockSource>(world->store, *world->cache, world->executor,
                                           world->clock, world->volume, limits);
  }
  void open_without_disk_cache() {
    close();
    world = std::make_unique<ReaderWorld>(0);
    open();
    for (const auto& [id, bytes] : objects) world->put(id, bytes);
  }
  void open_with(const BlockSource::Limits& changed) {
    close();
    limits = changed;
    open();
  }

  const std::string& make(uint64_t number, uint64_t bytes) {
    std::string& object = objects[segment_id(number)];
    object = pattern(number, bytes);
    world->put(segment_id(number), object);
    return object;
  }
  std::string bytes_of(uint64_t number, uint64_t offset, size_t length) const {
    return objects.at(segment_id(number)).substr(offset, length);
  }
  // The bytes, or "errno N".
  std::string read(uint64_t number, uint64_t offset, size_t length, Want want) {
    std::string bytes(length, '\0');
    const Status read = source->read(segment_id(number), offset, as_mutable_bytes(bytes), want);
    return read.ok() ? bytes : "errno " + std::to_string(read.error().code());
  }
  void expect_right(uint64_t number, uint64_t offset, size_t length, Want want) {
    EXPECT_TRUE(read(number, offset, length, want) == bytes_of(number, offset, length))
        << "object " << number << " at " << offset << "+" << length;
  }
  bool prefetch(uint64_t number, uint64_t block = 0, bool near = true) {
    return source->prefetch({segment_id(number), block}, near);
  }
  size_t gets() { return world->store.take_gets().size(); }
  static std::string failure(int code) { return "errno " + std::to_string(code); }
  // The block comes from the bucket whole, into memory and the disk cache.
  void fill_cache(uint64_t number, uint64_t block = 0) {
    expect_right(number, block * kBlockBytes, 100, Want::kWholeBlock);
    ASSERT_NE(world->cache->whole(cache::segment_block_key(segment_id(number), block)), 0u);
  }
  // Memory forgets everything, the disk cache nothing.
  void forget_memory() {
    close();
    open();
    gets();
  }

  QuietLog quiet;
  std::unique_ptr<ReaderWorld> world = std::make_unique<ReaderWorld>();
  BlockSource::Limits limits;
  std::unique_ptr<BlockSource> source;
  std::map<SegmentId, std::string> objects;
};

}  // namespace shoal::data
