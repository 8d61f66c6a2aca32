#include "data/block_source.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/limits.h"
#include "format/segment.h"

namespace shoal::data {
namespace {

constexpr uint32_t kCacheUnitBytes = 4096;  // the disk cache keeps CRCs for pieces of this size
constexpr size_t kDirectReadBytes = 256
                                    << 10;  // from this size on the cache's disk is asked at once
constexpr size_t kSpareBuffers = 8;
// Beside those in memory: blocks on their way, and blocks waiting to be written to the cache's
// disk.
constexpr uint64_t kFetchesMax = 24;
constexpr uint64_t kFillsMax = 16;

}  // namespace

struct BlockSource::Block {
  Mutex mutex;
  CondVar changed;
  bool done GUARDED_BY(mutex) = false;
  std::optional<Error> failed GUARDED_BY(mutex);
  // Written by the fetch before `done`, never after. Aligned, so that the disk cache takes it as it
  // is.
  std::optional<cache::BufferPool::Buffer> buffer;
  size_t size = 0;                  // of what was fetched
  std::atomic<bool> ahead = false;  // counted in ahead_bytes_: nobody has read it yet
};

BlockSource::BlockSource(object::ObjectStore& store, cache::BlockCache& cache, Executor& executor,
                         const Uuid& volume, const Limits& limits)
    : store_(store),
      cache_(cache),
      executor_(executor),
      volume_(volume),
      limits_(limits),
      buffers_(kBlockBytes, kSpareBuffers) {}

void BlockSource::begin_flight() {
  MutexLock lock(flights_mutex_);
  ++flights_;
}

void BlockSource::end_flight() {
  MutexLock lock(flights_mutex_);
  --flights_;
  flights_changed_.notify_all();
}

BlockSource::~BlockSource() {
  MutexLock lock(flights_mutex_);
  while (flights_ > 0) flights_changed_.wait(flights_mutex_);
}

Status BlockSource::read(const SegmentId& segment, uint64_t offset, MutableBytes into, Want want) {
  while (!into.empty()) {
    const BlockId id{segment, offset / kBlockBytes};
    const auto within = static_cast<uint32_t>(offset % kBlockBytes);
    const size_t n = std::min<size_t>(into.size(), kBlockBytes - within);
    TRY(read_within(id, within, into.first(n), want));
    into = into.subspan(n);
    offset += n;
  }
  return {};
}

Status BlockSource::read_within(const BlockId& id, uint32_t offset, MutableBytes into, Want want) {
  BlockPtr block = find(id);
  if (block == nullptr) {
    const bool small = into.size() < kDirectReadBytes;
    if (want == Want::kWholeBlock && small) {
      // Many small pieces of it will be wanted: one large read of the cache's disk serves them all.
      const uint32_t cached = cache_.whole(cache::segment_block_key(id.segment, id.block));
      bool started = false;
      if (cached != 0) block = find_or_add(id, &started);
      if (started) load_cached(id, block, cached);
    }
  }
  if (block == nullptr) {
    if (cache_.read(cache::segment_block_key(id.segment, id.block), offset, into,
                    cache::Verify::kByCaller)) {
      counters_.disk_bytes += into.size();
      return {};
    }
    const bool worth_it = want == Want::kWholeBlock || seen_lately(id);
    if (!worth_it || fetches_.load() >= kFetchesMax) return read_exact(id, offset, into);
    bool started = false;
    block = find_or_add(id, &started);
    if (started) fetch(id, block, object::Priority::kForeground);
  }
  {
    MutexLock lock(block->mutex);
    while (!block->done) block->changed.wait(block->mutex);
    if (block->failed) return *block->failed;
  }
  counters_.memory_bytes += into.size();
  return copy_out(*block, id, offset, into);
}

Status BlockSource::copy_out(Block& block, const BlockId& id, uint32_t offset, MutableBytes into) {
  if (block.size < offset + into.size()) {
    return error(EIO, "segment {} ends at {}, bytes up to {} are needed", id.segment.to_string(),
                 id.block * kBlockBytes + block.size,
                 id.block * kBlockBytes + offset + into.size());
  }
  not_ahead(block);
  std::memcpy(into.data(), block.buffer->first(block.size).data() + offset, into.size());
  return {};
}

// One GET for just the range, widened to whole cache units so that the disk cache can keep it.
Status BlockSource::read_exact(const BlockId& id, uint32_t offset, MutableBytes into) {
  const uint32_t begin = offset / kCacheUnitBytes * kCacheUnitBytes;
  const auto end = static_cast<uint32_t>(std::min<uint64_t>(
      (offset + into.size() + kCacheUnitBytes - 1) / kCacheUnitBytes * kCacheUnitBytes,
      kBlockBytes));
  auto bytes = std::make_shared<ByteBuffer>(end - begin);  // shared with the cache fill
  object::GetOptions options;
  options.call.deadline = limits_.deadline;
  ++counters_.store_gets;
  TRY_ASSIGN(const object::GetResult got,
             object::wait_for<object::GetResult>([&](object::Done<object::GetResult> done) {
               store_.get(format::segment_object_key(volume_, id.segment),
                          id.block * kBlockBytes + begin, *bytes, options, std::move(done));
             }));
  counters_.store_bytes += got.bytes;
  if (got.bytes < offset - begin + into.size()) {
    return error(EIO, "segment {} is too short: {} bytes at {} were asked, {} came",
                 id.segment.to_string(), bytes->size(), id.block * kBlockBytes + begin, got.bytes);
  }
  std::memcpy(into.data(), bytes->data() + (offset - begin), into.size());
  if (got.object_size > 0) {
    const auto chunk = static_cast<uint32_t>(
        std::min<uint64_t>(kBlockBytes, got.object_size - id.block * kBlockBytes));
    bytes->resize(got.bytes);
    begin_flight();
    executor_.post([this, id, begin, bytes, chunk] {
      cache_.write(cache::segment_block_key(id.segment, id.block), begin, *bytes, chunk);
      end_flight();
    });
  }
  return {};
}

// True when one of the last exact reads fell into the same block: then the whole block is worth
// fetching.
bool BlockSource::seen_lately(const BlockId& id) {
  Shard& shard = shard_of(id);
  MutexLock lock(shard.mutex);
  for (const BlockId& recent : shard.recent) {
    if (recent == id) return true;
  }
  shard.recent[shard.recent_next++ % shard.recent.size()] = id;
  return false;
}

BlockSource::BlockPtr BlockSource::find(const BlockId& id) {
  Shard& shard = shard_of(id);
  MutexLock lock(shard.mutex);
  const auto it = shard.blocks.find(id);
  return it == shard.blocks.end() ? nullptr : it->second;
}

BlockSource::BlockPtr BlockSource::find_or_add(const BlockId& id, bool* started) {
  Shard& shard = shard_of(id);
  MutexLock lock(shard.mutex);
  BlockPtr& block = shard.blocks[id];
  *started = block == nullptr;
  if (*started) block = std::make_shared<Block>();
  return block;
}

bool BlockSource::prefetch(const BlockId& id, bool near) {
  if (find(id) != nullptr) return true;
  if (ahead_bytes_.load() + kBlockBytes > limits_.ahead_bytes_max) return false;
  if (fetches_.load() >= kFetchesMax) return false;
  const uint32_t cached = cache_.whole(cache::segment_block_key(id.segment, id.block));
  if (cached != 0 && !near) return false;
  bool started = false;
  const BlockPtr block = find_or_add(id, &started);
  if (!started) return true;
  block->ahead = true;
  ahead_bytes_ += kBlockBytes;
  if (cached != 0) {
    load_cached(id, block, cached);
  } else {
    fetch(id, block, object::Priority::kPrefetch);
  }
  return true;
}

void BlockSource::not_ahead(Block& block) {
  if (block.ahead.exchange(false)) ahead_bytes_ -= kBlockBytes;
}

void BlockSource::load_cached(const BlockId& id, const BlockPtr& block, uint32_t bytes) {
  begin_flight();
  executor_.post([this, id, block, bytes] {
    block->buffer.emplace(buffers_.take());
    if (cache_.read(cache::segment_block_key(id.segment, id.block), 0, block->buffer->first(bytes),
                    cache::Verify::kByCaller)) {
      counters_.disk_bytes += bytes;
      arrived(id, block, bytes);
    } else {
      fetch(id, block, object::Priority::kForeground);  // somebody may be waiting by now
    }
    end_flight();
  });
}

void BlockSource::fetch(const BlockId& id, const BlockPtr& block, object::Priority priority) {
  begin_flight();
  ++fetches_;
  block->buffer.emplace(buffers_.take());
  object::GetOptions options;
  options.call = {limits_.deadline, priority};
  ++counters_.store_gets;
  store_.get(
      format::segment_object_key(volume_, id.segment), id.block * kBlockBytes,
      block->buffer->first(kBlockBytes), options,
      [this, id, block](Result<object::GetResult> got) { fetched(id, block, std::move(got)); });
}

void BlockSource::fetched(const BlockId& id, const BlockPtr& block, Result<object::GetResult> got) {
  --fetches_;
  if (!got.ok()) {
    failed(id, block, std::move(got).error());
    return end_flight();
  }
  counters_.store_bytes += got->bytes;
  arrived(id, block, got->bytes);
  if (fills_.fetch_add(1) >= kFillsMax) {  // the disk is slower than the store
    --fills_;
    return end_flight();
  }
  // The cache write is disk I/O and does not belong on the store's thread.
  executor_.post([this, id, block] {
    cache_.write(cache::segment_block_key(id.segment, id.block), 0,
                 block->buffer->first(block->size), static_cast<uint32_t>(block->size));
    --fills_;
    end_flight();
  });
}

void BlockSource::arrived(const BlockId& id, const BlockPtr& block, uint64_t bytes) {
  block->size = bytes;
  keep(id);
  {
    MutexLock lock(block->mutex);
    block->done = true;
  }
  block->changed.notify_all();
}

void BlockSource::failed(const BlockId& id, const BlockPtr& block, Error error) {
  {
    Shard& shard = shard_of(id);
    MutexLock lock(shard.mutex);
    shard.blocks.erase(id);  // the next reader tries again
  }
  not_ahead(*block);
  {
    MutexLock lock(block->mutex);
    block->done = true;
    block->failed = std::move(error);
  }
  block->changed.notify_all();
}

// Counts a block that is here now, and lets the oldest go.
void BlockSource::keep(const BlockId& id) {
  std::vector<BlockId> oldest;
  {
    MutexLock lock(order_mutex_);
    order_.push_back(id);
    while (order_.size() > std::max<uint64_t>(1, limits_.memory_bytes / kBlockBytes)) {
      oldest.push_back(order_.front());
      order_.pop_front();
    }
  }
  for (const BlockId& old : oldest) {
    BlockPtr block;  // freed without the lock
    Shard& shard = shard_of(old);
    MutexLock lock(shard.mutex);
    const auto it = shard.blocks.find(old);
    if (it == shard.blocks.end()) continue;
    block = std::move(it->second);
    shard.blocks.erase(it);
    not_ahead(*block);
  }
}

void BlockSource::drop(const SegmentId& segment, uint64_t offset, uint64_t length) {
  for (uint64_t block = offset / kBlockBytes; block * kBlockBytes < offset + length; ++block) {
    const BlockId id{segment, block};
    cache_.forget(cache::segment_block_key(segment, block));
    Shard& shard = shard_of(id);
    MutexLock lock(shard.mutex);
    const auto it = shard.blocks.find(id);
    if (it == shard.blocks.end()) continue;
    {
      MutexLock state(it->second->mutex);
      if (!it->second->done) continue;  // on its way: fresh enough
    }
    not_ahead(*it->second);
    shard.blocks.erase(it);
  }
}

}  // namespace shoal::data
