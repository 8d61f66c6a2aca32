#include <atomic>

#include "cache/block_cache.h"

namespace shoal::cache {
namespace {

class NullCache final : public BlockCache {
 public:
  bool read(const ChunkKey&, uint32_t, MutableBytes, Verify) override {
    ++misses_;
    return false;
  }
  void write(const ChunkKey&, uint32_t, ByteView, uint32_t) override {}
  bool contains(const ChunkKey&, uint32_t, uint32_t) const override { return false; }
  uint32_t whole(const ChunkKey&) const override { return 0; }
  void forget(const ChunkKey&) override {}
  CacheStats stats() const override {
    CacheStats stats;
    stats.misses = misses_.load();
    return stats;
  }

 private:
  std::atomic<uint64_t> misses_{0};
};

}  // namespace

std::unique_ptr<BlockCache> make_null_cache() { return std::make_unique<NullCache>(); }

}  // namespace shoal::cache
