// BlockSource: bytes of stored segments from memory, the disk cache or the bucket, single-flight
// per block (design §6.3). Unverified: frame CRCs are the Reader's business. Thread-safe; sharded,
// no global lock.
#pragma once

#include <array>
#include <atomic>
#include <deque>
#include <memory>
#include <optional>
#include <unordered_map>

#include "base/bytes.h"
#include "base/error.h"
#include "cache/block_cache.h"
#include "cache/buffer_pool.h"
#include "object/object_store.h"
#include "sys/clock.h"
#include "sys/executor.h"
#include "sys/mutex.h"

namespace shoal::data {

struct BlockId {
  SegmentId segment;
  uint64_t block = 0;  // index of the kBlockBytes-aligned piece
  bool operator==(const BlockId&) const = default;
};

struct BlockCounters {
  std::atomic<uint64_t> memory_bytes{0}, disk_bytes{0}, store_bytes{0}, store_gets{0};
};

class BlockSource {
 public:
  struct Limits {
    uint64_t memory_bytes = 64 << 20;
    // Of read-ahead that nobody has read yet; demand is never refused.
    uint64_t ahead_bytes_max = 48 << 20;
    std::chrono::milliseconds deadline{30'000};
  };
  enum class Want { kExact, kWholeBlock };

  BlockSource(object::ObjectStore& store, cache::BlockCache& cache, Executor& executor,
              const Uuid& volume, const Limits& limits);
  ~BlockSource();  // waits for fetches in flight

  // Fills `into` from byte `offset` of the segment's object, which must hold them: a shorter object
  // is EIO, none ENOENT.
  Status read(const SegmentId& segment, uint64_t offset, MutableBytes into, Want want);
  // Starts fetching a block unless it is here or on its way, or too much is. What the disk cache
  // has is read into memory when it is `near`: its disk needs no long notice. False: not now.
  bool prefetch(const BlockId& id, bool near);
  // Drops every copy of the blocks that hold the range: they were corrupt, or the segment is gone.
  void drop(const SegmentId& segment, uint64_t offset, uint64_t length);

  const BlockCounters& counters() const { return counters_; }

 private:
  struct Block;                             // fetched or being fetched
  using BlockPtr = std::shared_ptr<Block>;  // shared by waiters, the shard and the fetch under way
  struct BlockHash {
    size_t operator()(const BlockId& id) const {
      return std::hash<SegmentId>()(id.segment) ^ id.block * 0x9e3779b97f4a7c15ull;
    }
  };
  struct Shard {
    Mutex mutex;
    std::unordered_map<BlockId, BlockPtr, BlockHash> blocks GUARDED_BY(mutex);
    std::array<BlockId, 64> recent GUARDED_BY(mutex);  // blocks of the last exact reads
    size_t recent_next GUARDED_BY(mutex) = 0;
  };

  Shard& shard_of(const BlockId& id) {
    return shards_[BlockHash()(id) >> 7 & (shards_.size() - 1)];
  }
  Status read_within(const BlockId& id, uint32_t offset, MutableBytes into, Want want);
  Status read_exact(const BlockId& id, uint32_t offset, MutableBytes into);
  bool seen_lately(const BlockId& id);
  BlockPtr find(const BlockId& id);
  // The block, new or already there; `started` says that this call has to run the fetch.
  BlockPtr find_or_add(const BlockId& id, bool* started);
  void fetch(const BlockId& id, const BlockPtr& block, object::Priority priority);
  void fetched(const BlockId& id, const BlockPtr& block, Result<object::GetResult> got);
  void load_cached(const BlockId& id, const BlockPtr& block, uint32_t bytes);
  void arrived(const BlockId& id, const BlockPtr& block, uint64_t bytes);
  void failed(const BlockId& id, const BlockPtr& block, Error error);
  void keep(const BlockId& id);
  void not_ahead(Block& block);
  void begin_flight();
  void end_flight();
  Status copy_out(Block& block, const BlockId& id, uint32_t offset, MutableBytes into);

  object::ObjectStore& store_;
  cache::BlockCache& cache_;
  Executor& executor_;
  const Uuid volume_;
  const Limits limits_;
  cache::BufferPool buffers_;
  BlockCounters counters_;
  std::array<Shard, 16> shards_;
  std::atomic<uint64_t> ahead_bytes_{0};
  std::atomic<uint64_t> fetches_{0}, fills_{0};  // blocks from the store; to the cache's disk
  // Blocks in memory, oldest first; one lock for all shards, but taken only once per fetched block.
  // May name blocks that were dropped.
  Mutex order_mutex_;
  std::deque<BlockId> order_ GUARDED_BY(order_mutex_);
  Mutex flights_mutex_;
  CondVar flights_changed_;
  uint64_t flights_ GUARDED_BY(flights_mutex_) = 0;
};

}  // namespace shoal::data
