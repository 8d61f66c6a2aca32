// Opening: lock, files, and the table from the index. The slab is not read.
#include <algorithm>
#include <bit>

#include "base/log.h"
#include "cache/disk_cache.h"

namespace shoal::cache {
namespace {

constexpr uint32_t kSlotsPerBlockOfCapacity = 4;  // disk_cache.h: chunks of which little is here
constexpr uint64_t kSlabBytesSoft =
    uint64_t{12} << 40;  // ext4 files end at 16 TiB: fewer slots rather than no cache
constexpr uint64_t kSlabBytesMax = uint64_t{1} << 50;
constexpr uint64_t kSlotsPerShard = 64;  // at least, by capacity, or there are fewer shards
constexpr uint64_t kShardsMax = 16;

}  // namespace

Result<std::unique_ptr<BlockCache>> open_disk_cache(LocalFs& fs, const Clock& clock,
                                                    const Path& folder, DiskCacheOptions options) {
  TRY_ASSIGN(std::unique_ptr<DiskCache> cache, DiskCache::open(fs, clock, folder, options));
  return std::unique_ptr<BlockCache>(std::move(cache));
}

Result<std::unique_ptr<DiskCache>> DiskCache::open(LocalFs& fs, const Clock& clock,
                                                   const Path& folder, DiskCacheOptions options) {
  options.capacity_bytes = std::min(options.capacity_bytes, kSlabBytesMax);
  auto cache = std::unique_ptr<DiskCache>(new DiskCache(fs, clock, folder, options));
  if (Status started = cache->start(); !started.ok()) {
    const Error& why = started.error();
    return error(why.code(), "disk cache in {}: {}; the mount goes on without a disk cache", folder,
                 why.is(EWOULDBLOCK) ? "another process uses it" : why.text());
  }
  return cache;
}

Status DiskCache::start() {
  const uint64_t blocks = std::max<uint64_t>(1, options_.capacity_bytes / kBlockBytes);
  const uint64_t shards =
      std::bit_floor(std::clamp<uint64_t>(blocks / kSlotsPerShard, 1, kShardsMax));
  for (uint64_t i = 0; i < shards; ++i) shards_.push_back(std::make_unique<Shard>());
  limit_bytes_ = options_.capacity_bytes;

  TRY(make_dirs(fs_, folder_));
  TRY_ASSIGN(lock_, fs_.lock(join(folder_, "lock")));
  TRY_ASSIGN(slab_, fs_.open(join(folder_, "slab"), OpenMode::kReadWriteDirect));
  TRY_ASSIGN(sums_, fs_.open(join(folder_, "sums"), OpenMode::kCreate));
  // Behind the end, where there is nothing to lose.
  TRY_ASSIGN(const uint64_t old_bytes, slab_->size());
  const Status punched =
      slab_->punch((old_bytes + kUnitBytes - 1) / kUnitBytes * kUnitBytes, kUnitBytes);
  can_punch_ = punched.code() != EOPNOTSUPP && punched.code() != ENOSYS;
  const uint64_t spare = can_punch_ ? kSlotsPerBlockOfCapacity : 1;
  slots_max_ = static_cast<uint32_t>(
      std::max(blocks, std::min(blocks * spare, kSlabBytesSoft / kBlockBytes)));
  TRY(load_index());

  // The size in advance makes later writes cheaper, not possible: a file system whose files end
  // earlier still serves.
  const uint64_t slab_bytes = uint64_t{slots_max_} * kBlockBytes;
  slab_->truncate(slab_bytes).ignore("writes make the file as long as they need");
  sums_->truncate(slots_max_ * kSumsPerSlotBytes).ignore("likewise");
  refresh_limit(0);
  evict_to_limit();  // also when the disk did not say how full it is
  return {};
}

Status DiskCache::load_index() {
  std::vector<std::pair<Shard*, SlotTable::Id>> owners;  // of each slot
  Result<IndexLog::Loaded> loaded =
      index_.load([&](const IndexRecord& record) { load_record(record, owners); });
  if (!loaded.ok()) {
    if (!loaded.error().is(ENOENT)) {
      log(LogLevel::kWarn, "disk cache in {}: {}; it is begun anew", folder_,
          loaded.error().text());
    }
    for (std::unique_ptr<Shard>& shard : shards_) shard = std::make_unique<Shard>();
    TRY(index_.begin_anew());
    TRY(slab_->truncate(0));  // gives all space back
    TRY(sums_->truncate(0));
    compact_at_bytes_ = kIndexSlackBytes;
    return {};
  }
  if (loaded->broken > 0) {
    log(LogLevel::kWarn,
        "disk cache in {}: {} of {} index records are broken; what they spoke of is gone", folder_,
        loaded->broken, loaded->records + loaded->broken);
  }
  free_gaps(owners);
  uint64_t live = 0;
  for (const std::unique_ptr<Shard>& shard : shards_) {
    MutexLock lock(shard->mutex);
    live += shard->table.size();
  }
  compact_at_bytes_ = live * kIndexParts * kIndexRecordBytes * 2 + kIndexSlackBytes;
  return {};
}

void DiskCache::load_record(const IndexRecord& record,
                            std::vector<std::pair<Shard*, SlotTable::Id>>& owners) {
  if (record.slot >= slots_max_) return;  // the cache was larger
  if (record.slot >= owners.size()) owners.resize(record.slot + 1, {nullptr, SlotTable::kNone});
  const auto clear = [&](uint32_t slot) {
    auto& [shard, id] = owners[slot];
    if (shard == nullptr) return;
    MutexLock lock(shard->mutex);
    shard->table.remove(id);
    shard->table.recycle(id);
    shard = nullptr;
  };
  Shard& shard = shard_of(record.key);
  auto& owner = owners[record.slot];
  SlotTable::Id id = SlotTable::kNone;
  uint32_t other_slot = record.slot;
  bool same = false;
  {
    MutexLock lock(shard.mutex);
    id = shard.table.find(record.key);
    if (id != SlotTable::kNone) {
      other_slot = shard.table.at(id).slot;
      same = other_slot == record.slot && shard.table.at(id).chunk_bytes == record.chunk_bytes;
    }
  }
  if (record.kind == IndexRecord::Kind::kDrop) {
    if (id != SlotTable::kNone && other_slot == record.slot) clear(record.slot);
    return;
  }
  if (!same) {
    if (id != SlotTable::kNone) clear(other_slot);
    clear(record.slot);
  }
  MutexLock lock(shard.mutex);
  if (!same) {
    id = shard.table.insert(record.key, record.slot, record.chunk_bytes);
    owner = {&shard, id};
  }
  SlotTable::Entry& entry = shard.table.at(id);
  uint64_t groups = 0;
  for (uint32_t i = 0; i < record.units.size(); ++i) {
    const uint32_t word = record.part * static_cast<uint32_t>(record.units.size()) + i;
    entry.valid.add_word(word, record.units[i]);
    for (uint32_t g = 0; g < 64 / kUnitsPerGroup; ++g) {
      if ((record.units[i] >> (g * kUnitsPerGroup) & 0xffff) != 0)
        groups |= uint64_t{1} << (word * 4 + g);
    }
  }
  shard.table.count(id, groups);
}

// Slots that nobody has now may still have bytes on the disk. They are punched when used again, not
// here: a start reads the index and does nothing per slot.
void DiskCache::free_gaps(const std::vector<std::pair<Shard*, SlotTable::Id>>& owners) {
  for (uint32_t slot = 0; slot < owners.size(); ++slot) {
    if (owners[slot].first != nullptr) continue;
    Shard& shard = *shards_[slot % shards_.size()];
    MutexLock lock(shard.mutex);
    shard.free.push_back({slot, false});
  }
  fresh_slot_ = static_cast<uint32_t>(owners.size());
}

// A smaller capacity than last time, or a fuller disk.
void DiskCache::evict_to_limit() {
  for (const std::unique_ptr<Shard>& shard : shards_) {
    Fill plan;
    std::string drops;
    {
      MutexLock lock(shard->mutex);
      while (shard->table.used_bytes() > shard_limit_bytes()) {
        const SlotTable::Id victim = shard->table.victim();
        if (victim == SlotTable::kNone) break;
        ++evictions_;
        take_out(*shard, victim, &plan, &drops);
      }
      plan.drops = index_.take_place(std::move(drops));
    }
    record(plan.drops);
    empty_slots(*shard, plan.emptied);
  }
}

}  // namespace shoal::cache
