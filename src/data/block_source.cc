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
constexpr uint64_t kFetchesMax =
    24;  // of whole blocks from the store at once; beyond: exact ranges

// Blocks are written to the cache's disk many at once and are done in bursts.
constexpr int kPatienceBlocks = 32;

// Of an object of so many bytes; 0 when nobody said how many.
uint32_t bytes_of_block(const BlockId& id, uint64_t object_size) {
  const uint64_t begin = id.block * kBlockBytes;
  return object_size <= begin
             ? 0
             : static_cast<uint32_t>(std::min<uint64_t>(kBlockBytes, object_size - begin));
}

}  // namespace

struct BlockSource::Block {
  explicit Block(For whom) : read_ahead(whom == For::kReadAhead), ahead(read_ahead) {}

  const bool read_ahead;             // nobody waited for it when its fetch began
  std::atomic<bool> ahead;           // counted in ahead_bytes_: nobody has read it yet
  std::chrono::nanoseconds since{};  // boot time of its arrival; set before it is in order_
  Mutex mutex;
  CondVar changed;
  bool done GUARDED_BY(mutex) = false;
  bool distrust_disk GUARDED_BY(mutex) = false;  // the copy in the disk cache is corrupt
  std::optional<Error> failed GUARDED_BY(mutex);
  // Written by the fetch before `done`, never after. Aligned, so that the disk cache takes it as it
  // is.
  std::optional<cache::BufferPool::Buffer> buffer;
  size_t size = 0;  // of what was fetched
};

BlockSource::BlockSource(object::ObjectStore& store, cache::BlockCache& cache, Executor& executor,
                         const Clock& clock, const Uuid& volume, const Limits& limits)
    : store_(store),
      cache_(cache),
      executor_(executor),
      clock_(clock),
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

// --- reading ---

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
  for (;;) {
    BlockPtr block = find(id);
    // Many small pieces of it will be wanted: one large read of the cache's disk serves them all.
    if (block == nullptr && want == Want::kWholeBlock && into.size() < kDirectReadBytes) {
      block = find_or_load(id);
    }
    if (block == nullptr) {
      if (cache_.read(cache::segment_block_key(id.segment, id.block), offset, into,
                      cache::Verify::kByCaller)) {
        counters_.disk_bytes += into.size();
        return {};
      }
      const bool all =
          fetches_.load() < kFetchesMax && (want == Want::kWholeBlock || worth_all(id));
      if (!all) return read_exact(id, offset, into);
      bool started = false;
      block = find_or_add(id, For::kReader, &started);
      if (started) fetch(id, block, object::Priority::kForeground);
    }
    Status there = wait(*block);
    if (there.ok()) return copy_out(*block, id, offset, into);
    // Read-ahead stands behind everybody else at the store and may have run out of time there. A
    // reader asks for itself before it gives up.
    if (!block->read_ahead) return there;
    there.ignore("asked for again");
  }
}

Status BlockSource::wait(Block& block) {
  MutexLock lock(block.mutex);
  while (!block.done) block.changed.wait(block.mutex);
  if (block.failed) return *block.failed;
  return {};
}

Status BlockSource::copy_out(Block& block, const BlockId& id, uint32_t offset, MutableBytes into) {
  not_ahead(block);
  if (block.size < offset + into.size()) {
    return error(ENODATA, "segment {} ends at {}, bytes up to {} are needed",
                 id.segment.to_string(), id.block * kBlockBytes + block.size,
                 id.block * kBlockBytes + offset + into.size());
  }
  std::memcpy(into.data(), block.buffer->first(block.size).data() + offset, into.size());
  counters_.memory_bytes += into.size();
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
    return error(ENODATA, "segment {} is too short: {} bytes at {} were asked, {} came",
                 id.segment.to_string(), bytes->size(), id.block * kBlockBytes + begin, got.bytes);
  }
  std::memcpy(into.data(), bytes->data() + (offset - begin), into.size());
  if (got.object_size == 0) return {};  // the chunk's length is not known
  const uint32_t chunk = bytes_of_block(id, got.object_size);
  bytes->resize(got.bytes);
  const std::optional<FillPlace> place = begin_fill(id, bytes->size());
  if (place) {
    executor_.post(
        [this, place = *place, begin, bytes, chunk] { fill(place, begin, *bytes, chunk); });
  }
  return {};
}

// True when one of the last exact reads fell into the same block: then the whole block is worth
// fetching. Not a second time: it was here and did not stay until this read, so reads are spread
// over more blocks than memory holds, and 4 MiB for every 4 KiB would go on for ever.
bool BlockSource::worth_all(const BlockId& id) {
  Shard& shard = shard_of(id);
  MutexLock lock(shard.mutex);
  for (auto& [recent, fetched] : shard.recent) {
    if (recent == id) return !std::exchange(fetched, true);
  }
  shard.recent[shard.recent_next++ % shard.recent.size()] = {id, false};
  return false;
}

// --- blocks ---

BlockSource::BlockPtr BlockSource::find(const BlockId& id) {
  Shard& shard = shard_of(id);
  MutexLock lock(shard.mutex);
  const auto it = shard.blocks.find(id);
  return it == shard.blocks.end() ? nullptr : it->second;
}

BlockSource::BlockPtr BlockSource::find_or_add(const BlockId& id, For whom, bool* started) {
  Shard& shard = shard_of(id);
  MutexLock lock(shard.mutex);
  BlockPtr& block = shard.blocks[id];
  *started = block == nullptr;
  if (*started) block = std::make_shared<Block>(whom);
  return block;
}

// The block, when the disk cache has all of it; read by this thread, which has to wait anyway.
BlockSource::BlockPtr BlockSource::find_or_load(const BlockId& id) {
  const uint32_t cached = cache_.whole(cache::segment_block_key(id.segment, id.block));
  if (cached == 0) return nullptr;
  bool started = false;
  BlockPtr block = find_or_add(id, For::kReader, &started);
  if (started) load_cached(id, block, cached);
  return block;
}

// The block, not another one that came after it.
void BlockSource::erase(const BlockId& id, const BlockPtr& block) {
  Shard& shard = shard_of(id);
  MutexLock lock(shard.mutex);
  const auto it = shard.blocks.find(id);
  if (it != shard.blocks.end() && it->second == block) shard.blocks.erase(it);
}

void BlockSource::load_cached(const BlockId& id, const BlockPtr& block, uint32_t bytes) {
  block->buffer.emplace(buffers_.take());
  bool good = cache_.read(cache::segment_block_key(id.segment, id.block), 0,
                          block->buffer->first(bytes), cache::Verify::kByCaller);
  if (good) {
    counters_.disk_bytes += bytes;
    block->size = bytes;
    MutexLock lock(block->mutex);
    good = !block->distrust_disk;
    block->done = good;
  }
  if (good) return arrived(id, block);
  fetch(id, block, object::Priority::kForeground);  // somebody may be waiting by now
}

void BlockSource::fetch(const BlockId& id, const BlockPtr& block, object::Priority priority) {
  begin_flight();
  ++fetches_;
  if (!block->buffer) block->buffer.emplace(buffers_.take());
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
  // Nobody may keep a piece as if it were the block.
  if (const uint32_t whole = bytes_of_block(id, got->object_size); got->bytes < whole) {
    failed(id, block,
           error(ENODATA, "segment {}: the bucket sent {} of {} bytes at {}",
                 id.segment.to_string(), got->bytes, whole, id.block * kBlockBytes));
    return end_flight();
  }
  // Before anybody can see the block and find that it has to be dropped.
  std::optional<FillPlace> place;
  if (got->object_size > 0) place = begin_fill(id, got->bytes);
  block->size = got->bytes;
  {
    MutexLock lock(block->mutex);
    block->done = true;
  }
  arrived(id, block);
  // The cache write is disk I/O and does not belong on the store's thread.
  if (place) {
    executor_.post([this, block, place = *place] {
      fill(place, 0, block->buffer->first(block->size), static_cast<uint32_t>(block->size));
    });
  }
  end_flight();
}

void BlockSource::arrived(const BlockId& id, const BlockPtr& block) {
  block->changed.notify_all();
  keep(id, block);
}

void BlockSource::failed(const BlockId& id, const BlockPtr& block, Error error) {
  erase(id, block);  // the next reader tries again
  not_ahead(*block);
  {
    MutexLock lock(block->mutex);
    block->done = true;
    block->failed = std::move(error);
  }
  block->changed.notify_all();
}

// Counts a block that is here now, and lets the oldest go.
void BlockSource::keep(const BlockId& id, const BlockPtr& block) {
  std::vector<std::pair<BlockId, BlockPtr>> oldest;  // freed without a lock
  {
    MutexLock lock(order_mutex_);
    block->since = clock_.since_boot();
    order_.emplace_back(id, block);
    while (order_.size() > std::max<uint64_t>(1, limits_.memory_bytes / kBlockBytes)) {
      oldest.push_back(std::move(order_.front()));
      order_.pop_front();
    }
  }
  for (const auto& [old_id, old] : oldest) {
    erase(old_id, old);
    not_ahead(*old);
  }
}

void BlockSource::drop(const SegmentId& segment, uint64_t offset, uint64_t length) {
  for (uint64_t number = offset / kBlockBytes; number * kBlockBytes < offset + length; ++number) {
    const BlockId id{segment, number};
    cancel_fills(id);
    cache_.forget(cache::segment_block_key(segment, number));
    const BlockPtr block = find(id);
    if (block == nullptr) continue;
    {
      MutexLock lock(block->mutex);
      block->distrust_disk = true;
      if (!block->done) continue;
    }
    erase(id, block);
    not_ahead(*block);
    MutexLock lock(order_mutex_);
    std::erase_if(order_, [&](const auto& kept) { return kept.second == block; });
  }
}

// --- read-ahead ---

bool BlockSource::prefetch(const BlockId& id, bool near) {
  if (find(id) != nullptr) return true;
  const uint32_t cached = cache_.whole(cache::segment_block_key(id.segment, id.block));
  if (cached != 0 ? !near : fetches_.load() >= kFetchesMax) return false;
  if (!reserve_ahead() && !(release_abandoned() && reserve_ahead())) return false;
  if (cached == 0) wait_for_fills();
  bool started = false;
  const BlockPtr block = find_or_add(id, For::kReadAhead, &started);
  if (!started) {
    ahead_bytes_ -= kBlockBytes;
  } else if (cached == 0) {
    fetch(id, block, near ? object::Priority::kForeground : object::Priority::kPrefetch);
  } else {
    begin_flight();
    executor_.post([this, id, block, cached] {
      load_cached(id, block, cached);
      end_flight();
    });
  }
  return true;
}

bool BlockSource::reserve_ahead() {
  uint64_t bytes = ahead_bytes_.load();
  do {
    if (bytes + kBlockBytes > limits_.ahead_bytes_max) return false;
  } while (!ahead_bytes_.compare_exchange_weak(bytes, bytes + kBlockBytes));
  return true;
}

// A file that was closed, or whose program sleeps, must not keep the others from reading ahead. Its
// blocks stay in memory until their turn comes.
bool BlockSource::release_abandoned() {
  bool any = false;
  const std::chrono::nanoseconds now = clock_.since_boot();
  MutexLock lock(order_mutex_);
  for (const auto& [id, block] : order_) {
    if (!block->ahead || now - block->since < limits_.ahead_age_max) continue;
    not_ahead(*block);
    any = true;
  }
  return any;
}

void BlockSource::not_ahead(Block& block) {
  if (block.ahead.exchange(false)) ahead_bytes_ -= kBlockBytes;
}

// --- the disk cache ---

// A stream that is a little faster than the cache's disk is held back to its pace: read once, all
// of it is cached. It loses `fill_patience` per block at most; what is too much for a slower disk
// stays out of the cache.
void BlockSource::wait_for_fills() {
  MutexLock lock(fills_mutex_);
  const auto room = [this]() REQUIRES(fills_mutex_) {
    return fill_bytes_ + (fetches_.load() + 1) * kBlockBytes <= limits_.fill_bytes_max;
  };
  patience_ = std::min(patience_ + limits_.fill_patience, kPatienceBlocks * limits_.fill_patience);
  while (!room() && patience_.count() > 0) {
    const auto begin = clock_.since_boot();
    const bool one_is_done = fills_changed_.wait_for(fills_mutex_, patience_);
    patience_ =
        one_is_done ? patience_ - (clock_.since_boot() - begin) : std::chrono::nanoseconds(0);
  }
}

// nullopt: as much as may be is waiting for the cache's disk already.
std::optional<BlockSource::FillPlace> BlockSource::begin_fill(const BlockId& id, size_t bytes) {
  {
    MutexLock lock(fills_mutex_);
    if (fill_bytes_ + bytes <= limits_.fill_bytes_max) {
      fill_bytes_ += bytes;
      fills_.emplace_back();
      const FillPlace place = std::prev(fills_.end());
      place->id = id;
      place->bytes = bytes;
      begin_flight();
      return place;
    }
  }
  ++counters_.fills_declined;
  return std::nullopt;
}

void BlockSource::fill(FillPlace place, uint32_t offset, ByteView bytes, uint32_t chunk_bytes) {
  const cache::ChunkKey key = cache::segment_block_key(place->id.segment, place->id.block);
  if (!place->cancelled) cache_.write(key, offset, bytes, chunk_bytes);
  if (place->cancelled) cache_.forget(key);  // drop() may have come before the write
  {
    MutexLock lock(fills_mutex_);
    fill_bytes_ -= place->bytes;
    fills_.erase(place);
    fills_changed_.notify_all();
  }
  end_flight();
}

void BlockSource::cancel_fills(const BlockId& id) {
  MutexLock lock(fills_mutex_);
  for (Fill& fill : fills_) {
    if (fill.id == id) fill.cancelled = true;
  }
}

}  // namespace shoal::data
