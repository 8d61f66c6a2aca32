// BlockSource: bytes of stored segments from memory, the disk cache or the bucket, single-flight
// per block (design §6.3). Unverified: frame CRCs are the Reader's business, who has every copy
// dropped that did not match. Thread-safe; sharded, no global lock.
//
// How many blocks of 4 MiB exist at most (I10): those kept (memory_bytes), those that the store is
// sending (kFetchesMax), those read ahead from the disk cache (ahead_bytes_max), one for each
// thread inside read(), those being written to the disk cache (fill_bytes_max), and a few buffers
// waiting for their next use.
#pragma once

#include <array>
#include <atomic>
#include <deque>
#include <list>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>

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
  std::atomic<uint64_t> fills_declined{0};  // not written to the disk cache: its disk is too slow
};

inline constexpr int kFetchTries = 3;  // of bytes that do not match their CRC or end too early

class BlockSource {
 public:
  struct Limits {
    uint64_t memory_bytes = 64 << 20;
    // Of read-ahead that nobody has read yet; demand is never refused. Less than memory_bytes, or
    // read-ahead would push itself out.
    uint64_t ahead_bytes_max = 48 << 20;
    // Read-ahead that lay unread for so long stops counting: its reader went elsewhere.
    std::chrono::nanoseconds ahead_age_max = std::chrono::seconds(5);
    uint64_t fill_bytes_max = 64 << 20;  // on their way to the disk cache; what is more stays out
    // A cache's disk that writes a block in so long keeps up (500 MB/s): read-ahead waits for it.
    std::chrono::nanoseconds fill_patience = std::chrono::milliseconds(8);
    std::chrono::milliseconds deadline{30'000};
  };
  enum class Want { kExact, kWholeBlock };

  BlockSource(object::ObjectStore& store, cache::BlockCache& cache, Executor& executor,
              const Clock& clock, const Uuid& volume, const Limits& limits);
  ~BlockSource();  // waits for fetches in flight

  // Fills `into` from byte `offset` of the segment's object. ENOENT there is no such object;
  // ENODATA the copy that was read ends before (drop it and try again).
  Status read(const SegmentId& segment, uint64_t offset, MutableBytes into, Want want);
  // Starts fetching a block unless it is here or on its way, or too much is. `near`: it will be
  // asked for very soon, so it stands with the readers' own fetches at the store. What the disk
  // cache has is read into memory only then: its disk needs no long notice. False: not now. Waits
  // for the cache's disk when that is a little behind.
  bool prefetch(const BlockId& id, bool near);
  // Drops every copy of the blocks that hold the range, those on their way from or to the disk
  // cache too: they were corrupt, or the segment is gone. What the bucket is sending stays.
  void drop(const SegmentId& segment, uint64_t offset, uint64_t length);

  const BlockCounters& counters() const { return counters_; }
  uint64_t ahead_bytes() const { return ahead_bytes_; }

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
    // Blocks of the last exact reads, and whether they were fetched whole for it.
    std::array<std::pair<BlockId, bool>, 64> recent GUARDED_BY(mutex);
    size_t recent_next GUARDED_BY(mutex) = 0;
  };

  Shard& shard_of(const BlockId& id) {
    return shards_[BlockHash()(id) >> 7 & (shards_.size() - 1)];
  }
  enum class For { kReader, kReadAhead };
  // A copy on its way to the disk cache.
  struct Fill {
    BlockId id;
    size_t bytes = 0;
    std::atomic<bool> cancelled{false};  // dropped meanwhile
  };
  using FillPlace = std::list<Fill>::iterator;

  Status read_within(const BlockId& id, uint32_t offset, MutableBytes into, Want want);
  Status read_exact(const BlockId& id, uint32_t offset, MutableBytes into);
  bool worth_all(const BlockId& id);
  BlockPtr find(const BlockId& id);
  // The block, new or already there; `started` says that this call has to run the fetch.
  BlockPtr find_or_add(const BlockId& id, For whom, bool* started);
  BlockPtr find_or_load(const BlockId& id);
  static Status wait(Block& block);
  Status copy_out(Block& block, const BlockId& id, uint32_t offset, MutableBytes into);
  void erase(const BlockId& id, const BlockPtr& block);

  void fetch(const BlockId& id, const BlockPtr& block, object::Priority priority);
  void fetched(const BlockId& id, const BlockPtr& block, Result<object::GetResult> got);
  void load_cached(const BlockId& id, const BlockPtr& block, uint32_t bytes);
  void arrived(const BlockId& id, const BlockPtr& block);
  void failed(const BlockId& id, const BlockPtr& block, Error error);
  void keep(const BlockId& id, const BlockPtr& block);

  bool reserve_ahead();
  bool release_abandoned();
  void not_ahead(Block& block);

  void wait_for_fills();
  std::optional<FillPlace> begin_fill(const BlockId& id, size_t bytes);
  void fill(FillPlace place, uint32_t offset, ByteView bytes, uint32_t chunk_bytes);
  void cancel_fills(const BlockId& id);

  void begin_flight();
  void end_flight();

  object::ObjectStore& store_;
  cache::BlockCache& cache_;
  Executor& executor_;
  const Clock& clock_;
  const Uuid volume_;
  const Limits limits_;
  cache::BufferPool buffers_;
  BlockCounters counters_;
  std::array<Shard, 16> shards_;
  std::atomic<uint64_t> ahead_bytes_{0};
  std::atomic<uint64_t> fetches_{0};  // of blocks, from the store, under way
  // Blocks in memory, oldest first; one lock for all shards, but taken only once per fetched block.
  // (One that is dropped the moment it comes stays until its turn.)
  Mutex order_mutex_;
  std::deque<std::pair<BlockId, BlockPtr>> order_ GUARDED_BY(order_mutex_);
  Mutex fills_mutex_;
  std::list<Fill> fills_ GUARDED_BY(fills_mutex_);
  uint64_t fill_bytes_ GUARDED_BY(fills_mutex_) = 0;
  CondVar fills_changed_;
  std::chrono::nanoseconds patience_ GUARDED_BY(fills_mutex_){0};  // left to wait for fills
  Mutex flights_mutex_;
  CondVar flights_changed_;
  uint64_t flights_ GUARDED_BY(flights_mutex_) = 0;
};

}  // namespace shoal::data
