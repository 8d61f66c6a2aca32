#include "cache/disk_cache.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "base/coding.h"
#include "base/crc32c.h"
#include "base/log.h"

namespace shoal::cache {
namespace {

constexpr uint32_t kPieceUnits = kPieceBytes / kUnitBytes;
constexpr uint64_t kLimitEveryBytes = 8 << 20;

uint64_t slab_offset(uint32_t slot, uint32_t unit) {
  return slot * uint64_t{kBlockBytes} + uint64_t{unit} * kUnitBytes;
}
uint64_t sums_offset(uint32_t slot, uint32_t unit) {
  return slot * kSumsPerSlotBytes + uint64_t{unit} * kSumBytes;
}

void append_sum(const ChunkKey& key, uint32_t unit, ByteView bytes, std::string& out) {
  std::string bound;
  Encoder encoder(bound);
  encoder.le64(key.high);
  encoder.le64(key.low);
  encoder.le32(unit);
  Encoder sum(out);
  sum.le32(crc32c(bytes, crc32c(as_bytes(bound))));
  sum.le32(static_cast<uint32_t>(key.low >> 32));
}

UnitRange units_of(uint32_t offset, size_t bytes) {
  return {offset / kUnitBytes,
          static_cast<uint32_t>((offset + bytes + kUnitBytes - 1) / kUnitBytes)};
}

}  // namespace

DiskCache::DiskCache(LocalFs& fs, const Clock& clock, Path folder, DiskCacheOptions options)
    : fs_(fs),
      folder_(std::move(folder)),
      options_(options),
      index_(fs, folder_),
      breaker_(clock) {}

DiskCache::~DiskCache() = default;

void DiskCache::io_failed(std::string_view what, const Error& error) {
  ++io_errors_;
  if (error.is(ENOSPC) || error.is(EDQUOT)) {
    // Not the disk's fault: shrink to what is here and ask again later.
    limit_bytes_ = std::min(limit_bytes_.load(), stats().used_bytes);
    limit_countdown_ = kLimitEveryBytes;
    return;
  }
  if (breaker_.failed()) {
    log(LogLevel::kWarn, "disk cache in {}: {}: {}; the disk is left alone for a while", folder_,
        what, error.text());
  }
}

// --- reading ---

bool DiskCache::read(const ChunkKey& key, uint32_t offset, MutableBytes into, Verify verify) {
  Shard& shard = shard_of(key);
  SlotTable::Id id = SlotTable::kNone;
  uint32_t slot = 0;
  {
    MutexLock lock(shard.mutex);
    id = shard.table.find(key);
    if (id != SlotTable::kNone) {
      SlotTable::Entry& entry = shard.table.at(id);
      const bool inside =
          !into.empty() && offset < entry.chunk_bytes && into.size() <= entry.chunk_bytes - offset;
      if (!inside || !entry.valid.has_all(units_of(offset, into.size())) || !breaker_.allow()) {
        id = SlotTable::kNone;
      } else {
        ++entry.pins;
        entry.visited = true;
        slot = entry.slot;
      }
    }
  }
  if (id == SlotTable::kNone) {
    ++misses_;
    return false;
  }
  const Outcome outcome = fetch(slot, key, offset, into, verify);
  if (outcome == Outcome::kCorrupt) ++crc_errors_;
  ++(outcome == Outcome::kGood ? hits_ : misses_);
  unpin(shard, id, outcome != Outcome::kGood);
  return outcome == Outcome::kGood;
}

// `whole` is false when the file ends before.
Status DiskCache::read_slab(uint64_t offset, MutableBytes into, bool* whole) {
  TRY_ASSIGN(const size_t n, slab_->read_at(offset, into));
  *whole = n == into.size();
  return {};
}

DiskCache::Outcome DiskCache::fetch(uint32_t slot, const ChunkKey& key, uint32_t offset,
                                    MutableBytes into, Verify verify) {
  const UnitRange units = units_of(offset, into.size());
  std::string sums;
  if (verify == Verify::kHere) {
    sums.resize((units.end - units.first) * kSumBytes);
    Result<size_t> sums_read =
        sums_->read_at(sums_offset(slot, units.first), as_mutable_bytes(sums));
    if (!sums_read.ok()) {
      io_failed("reading sums", sums_read.error());
      return Outcome::kFailed;
    }
    if (*sums_read != sums.size()) return Outcome::kCorrupt;
  }
  // Straight to the caller when it asked for whole units at an aligned place.
  const bool direct =
      offset % kUnitBytes == 0 && into.size() % kUnitBytes == 0 && is_direct_aligned(into.data());
  std::optional<BufferPool::Buffer> bounce;
  if (!direct) bounce.emplace(bounces_.take());
  std::string expected;
  for (uint32_t unit = units.first; unit < units.end; unit += kPieceUnits) {
    const uint32_t count = std::min(kPieceUnits, units.end - unit);
    const size_t bytes = size_t{count} * kUnitBytes;
    const MutableBytes piece = direct ? into.subspan(size_t{unit - units.first} * kUnitBytes, bytes)
                                      : bounce->first(bytes);
    bool whole = false;
    if (Status read = read_slab(slab_offset(slot, unit), piece, &whole); !read.ok()) {
      io_failed("reading the slab", read.error());
      return Outcome::kFailed;
    }
    if (!whole) return Outcome::kCorrupt;
    if (verify == Verify::kHere) {
      expected.clear();
      for (uint32_t i = 0; i < count; ++i) {
        append_sum(key, unit + i, piece.subspan(size_t{i} * kUnitBytes, kUnitBytes), expected);
      }
      if (expected !=
          std::string_view(sums).substr(size_t{unit - units.first} * kSumBytes, expected.size())) {
        return Outcome::kCorrupt;
      }
    }
    if (!direct) {
      const uint64_t begin = std::max<uint64_t>(offset, uint64_t{unit} * kUnitBytes);
      const uint64_t end =
          std::min<uint64_t>(offset + into.size(), (uint64_t{unit} + count) * kUnitBytes);
      std::memcpy(into.data() + (begin - offset),
                  piece.data() + (begin - uint64_t{unit} * kUnitBytes), end - begin);
    }
  }
  breaker_.succeeded();
  return Outcome::kGood;
}

bool DiskCache::contains(const ChunkKey& key, uint32_t offset, uint32_t length) const {
  if (length == 0 || !breaker_.would_allow()) return false;
  const Shard& shard = shard_of(key);
  MutexLock lock(shard.mutex);
  const SlotTable::Id id = shard.table.find(key);
  if (id == SlotTable::kNone) return false;
  const SlotTable::Entry& entry = shard.table.at(id);
  if (offset >= entry.chunk_bytes) return false;
  return entry.valid.has_all(units_of(offset, std::min(length, entry.chunk_bytes - offset)));
}

uint32_t DiskCache::whole(const ChunkKey& key) const {
  if (!breaker_.would_allow()) return 0;
  const Shard& shard = shard_of(key);
  MutexLock lock(shard.mutex);
  const SlotTable::Id id = shard.table.find(key);
  if (id == SlotTable::kNone) return 0;
  const SlotTable::Entry& entry = shard.table.at(id);
  return entry.valid.has_all(units_of(0, entry.chunk_bytes)) ? entry.chunk_bytes : 0;
}

// --- letting go ---

void DiskCache::forget(const ChunkKey& key) {
  Shard& shard = shard_of(key);
  SlotTable::Id id = SlotTable::kNone;
  {
    MutexLock lock(shard.mutex);
    id = shard.table.find(key);
    if (id == SlotTable::kNone) return;
    ++shard.table.at(id).pins;
  }
  unpin(shard, id, true);
}

// Ends an I/O; `drop`: the chunk goes.
void DiskCache::unpin(Shard& shard, SlotTable::Id id, bool drop) {
  std::vector<uint32_t> emptied;
  IndexLog::Ticket ticket;
  {
    MutexLock lock(shard.mutex);
    SlotTable::Entry& entry = shard.table.at(id);
    CHECK(entry.pins > 0);
    --entry.pins;
    if (drop && !entry.removed) {
      std::string drops;
      encode_drop(entry, drops);
      shard.table.remove(id);
      ticket = index_.take_place(std::move(drops));
    }
    if (entry.removed && entry.pins == 0) {
      emptied.push_back(entry.slot);
      shard.table.recycle(id);
    }
  }
  record(ticket);
  empty_slots(shard, emptied);
}

Status DiskCache::punch(uint32_t slot) {
  if (!can_punch_) return {};
  return slab_->punch(slab_offset(slot, 0), kBlockBytes);
}

// Gives the disk its space back, then the slots to the shard.
void DiskCache::empty_slots(Shard& shard, const std::vector<uint32_t>& slots) {
  for (const uint32_t slot : slots) {
    bool clean = false;
    if (breaker_.would_allow()) {
      Status punched = punch(slot);
      clean = punched.ok();
      if (!clean) io_failed("punching the slab", punched.error());
    }
    MutexLock lock(shard.mutex);
    shard.free.push_back({slot, clean});
  }
}

void DiskCache::record(const IndexLog::Ticket& ticket) {
  if (ticket.bytes.empty() || !breaker_.would_allow()) return;
  if (Status written = index_.write(ticket); !written.ok())
    io_failed("writing the index", written.error());
}

// --- filling ---

void DiskCache::write(const ChunkKey& key, uint32_t offset, ByteView bytes, uint32_t chunk_bytes) {
  if (bytes.empty() || chunk_bytes > kBlockBytes || offset % kUnitBytes != 0 ||
      offset >= chunk_bytes)
    return;
  if (bytes.size() > chunk_bytes - offset) return;
  if (bytes.size() % kUnitBytes != 0 && offset + bytes.size() != chunk_bytes) return;
  if (!breaker_.would_allow()) return;
  refresh_limit(bytes.size());

  Shard& shard = shard_of(key);
  Fill plan;
  bool planned = false;
  {
    MutexLock lock(shard.mutex);
    planned = plan_fill(shard, key, units_of(offset, bytes.size()), chunk_bytes, &plan);
  }
  record(plan.drops);
  empty_slots(shard, plan.emptied);
  if (!planned) return;

  const uint32_t skipped = plan.units.first * kUnitBytes - offset;
  const size_t length = std::min<size_t>(bytes.size() - skipped,
                                         size_t{plan.units.end - plan.units.first} * kUnitBytes);
  Status written = carry_out(plan, key, offset + skipped, bytes.subspan(skipped, length));
  if (written.ok()) {
    breaker_.succeeded();
    ++fills_;
  } else {
    io_failed("writing the slab", written.error());
  }
  finish_fill(shard, plan, written.ok());
  compact_if_due();
}

bool DiskCache::plan_fill(Shard& shard, const ChunkKey& key, UnitRange units, uint32_t chunk_bytes,
                          Fill* plan) {
  std::string drops;
  SlotTable::Id id = shard.table.find(key);
  if (id != SlotTable::kNone && shard.table.at(id).chunk_bytes != chunk_bytes) {
    take_out(shard, id, plan, &drops);  // one of the two was wrong about the length
    id = SlotTable::kNone;
  }
  bool go = true;
  if (id != SlotTable::kNone) {
    SlotTable::Entry& entry = shard.table.at(id);
    while (!units.empty() && entry.valid.has(units.first)) ++units.first;
    while (!units.empty() && entry.valid.has(units.end - 1)) --units.end;
    go = !units.empty() && !entry.filling;
    if (go) ++entry.pins;  // keeps it from being evicted to make room for itself
  }
  if (go && !make_room(shard, id, units.groups(), plan, &drops)) {
    if (id != SlotTable::kNone) --shard.table.at(id).pins;
    go = false;
  }
  if (go && id == SlotTable::kNone) {
    const bool whole_slot = units.first == 0 && units.end == kUnitsPerSlot;
    go = find_slot(shard, plan, whole_slot, &drops);
    if (go) {
      id = shard.table.insert(key, plan->slot, chunk_bytes);
      shard.table.at(id).pins = 1;
      shard.table.at(id).filling = true;
    }
  }
  if (go && !breaker_.allow()) {
    SlotTable::Entry& entry = shard.table.at(id);
    --entry.pins;
    if (entry.filling) {
      shard.table.remove(id);
      shard.free.push_back({entry.slot, false});
      shard.table.recycle(id);
    }
    go = false;
  }
  if (go) {
    shard.table.count(id, units.groups());
    plan->id = id;
    plan->slot = shard.table.at(id).slot;
    plan->units = units;
  }
  if (!drops.empty()) plan->drops = index_.take_place(std::move(drops));
  return go;
}

// Evicts until `groups` more of the entry (kNone: of a new one) fit.
bool DiskCache::make_room(Shard& shard, SlotTable::Id id, uint64_t groups, Fill* plan,
                          std::string* drops) {
  const uint64_t limit = shard_limit_bytes();
  const uint64_t need = shard.table.bytes_to_count(id, groups);
  if (need > limit) return false;
  while (shard.table.used_bytes() + need > limit) {
    const SlotTable::Id victim = shard.table.victim();
    if (victim == SlotTable::kNone) return false;
    ++evictions_;
    take_out(shard, victim, plan, drops);
  }
  return true;
}

bool DiskCache::find_slot(Shard& shard, Fill* plan, bool fills_whole_slot, std::string* drops) {
  if (!plan->emptied.empty()) {
    // Over what an evicted chunk left: the file system need not allocate again.
    plan->slot = plan->emptied.back();
    plan->emptied.pop_back();
    plan->punch_first = !fills_whole_slot;
    return true;
  }
  if (!shard.free.empty()) {
    plan->slot = shard.free.back().slot;
    plan->punch_first = !shard.free.back().clean && !fills_whole_slot;
    shard.free.pop_back();
    return true;
  }
  uint32_t fresh = fresh_slot_.load();
  while (fresh < slots_max_ && !fresh_slot_.compare_exchange_weak(fresh, fresh + 1)) {
  }
  if (fresh < slots_max_) {
    plan->slot = fresh;
    return true;
  }
  const SlotTable::Id victim = shard.table.victim();
  if (victim == SlotTable::kNone) return false;
  ++evictions_;
  take_out(shard, victim, plan, drops);
  return !plan->emptied.empty() && find_slot(shard, plan, fills_whole_slot, drops);
}

// The chunk goes; its slot too unless somebody is at it, who then frees it.
void DiskCache::take_out(Shard& shard, SlotTable::Id id, Fill* plan, std::string* drops) {
  encode_drop(shard.table.at(id), *drops);
  shard.table.remove(id);
  if (shard.table.at(id).pins > 0) return;
  plan->emptied.push_back(shard.table.at(id).slot);
  shard.table.recycle(id);
}

Status DiskCache::carry_out(const Fill& plan, const ChunkKey& key, uint32_t offset,
                            ByteView bytes) {
  if (plan.punch_first) TRY(punch(plan.slot));
  BufferPool::Buffer bounce = bounces_.take();
  std::string sums;
  for (size_t done = 0; done < bytes.size();) {
    const size_t n = std::min<size_t>(bytes.size() - done, size_t{kPieceUnits} * kUnitBytes);
    const size_t padded = (n + kUnitBytes - 1) / kUnitBytes * kUnitBytes;
    const uint32_t unit = static_cast<uint32_t>((offset + done) / kUnitBytes);
    ByteView piece = bytes.subspan(done, n);
    if (n != padded || !is_direct_aligned(piece.data())) {
      const MutableBytes copy = bounce.first(padded);
      std::memcpy(copy.data(), piece.data(), n);
      std::memset(copy.data() + n, 0, padded - n);
      piece = copy;
    }
    for (uint32_t i = 0; i < padded / kUnitBytes; ++i) {
      append_sum(key, unit + i, piece.subspan(size_t{i} * kUnitBytes, kUnitBytes), sums);
    }
    TRY(slab_->write_at(slab_offset(plan.slot, unit), piece));
    done += n;
  }
  return sums_->write_at(sums_offset(plan.slot, plan.units.first), as_bytes(sums));
}

void DiskCache::finish_fill(Shard& shard, const Fill& plan, bool written) {
  IndexLog::Ticket ticket;
  bool useless = false;
  {
    MutexLock lock(shard.mutex);
    SlotTable::Entry& entry = shard.table.at(plan.id);
    entry.filling = false;
    if (written && !entry.removed) {
      entry.valid.add(plan.units);
      std::string records;
      encode_units(entry, entry.valid, plan.units, records);
      ticket = index_.take_place(std::move(records));
    }
    useless = entry.valid.empty();
  }
  record(ticket);
  unpin(shard, plan.id, useless);
}

// --- limits ---

// Asks the disk how full it is, every few megabytes written, and sets the limit so that enough
// stays free.
void DiskCache::refresh_limit(uint64_t bytes) {
  uint64_t left = limit_countdown_.load();
  if (left > bytes) {
    limit_countdown_.compare_exchange_strong(left,
                                             left - bytes);  // losing the race asks a little later
    return;
  }
  limit_countdown_ = kLimitEveryBytes;
  Result<DiskSpace> space = fs_.space(folder_);
  if (!space.ok()) return io_failed("asking for free space", space.error());
  const uint64_t used = stats().used_bytes;
  const uint64_t available = space->available_bytes, keep = options_.free_bytes_min;
  const uint64_t fits =
      available >= keep ? used + (available - keep) : used - std::min(used, keep - available);
  limit_bytes_ = std::min(options_.capacity_bytes, fits);
  evict_to_limit();  // now, not with the next fills: one that cannot fit at all would evict nothing
}

void DiskCache::compact_if_due() {
  const uint64_t bytes = index_.bytes();
  if (bytes < compact_at_bytes_.load() || !breaker_.would_allow()) return;
  compact_at_bytes_ = bytes * 2;  // should it fail
  Result<bool> compacted = index_.compact([this](std::string& out) {
    for (const std::unique_ptr<Shard>& shard : shards_) {
      MutexLock lock(shard->mutex);
      for (SlotTable::Id id = shard->table.oldest(); id != SlotTable::kNone;
           id = shard->table.at(id).newer) {
        encode_units(shard->table.at(id), shard->table.at(id).valid, {0, kUnitsPerSlot}, out);
      }
    }
  });
  if (!compacted.ok()) return io_failed("rewriting the index", compacted.error());
  if (*compacted) compact_at_bytes_ = index_.bytes() * 2 + kIndexSlackBytes;
}

CacheStats DiskCache::stats() const {
  CacheStats stats;
  stats.capacity_bytes = options_.capacity_bytes;
  for (const std::unique_ptr<Shard>& shard : shards_) {
    MutexLock lock(shard->mutex);
    stats.used_bytes += shard->table.used_bytes();
  }
  stats.hits = hits_.load();
  stats.misses = misses_.load();
  stats.fills = fills_.load();
  stats.evictions = evictions_.load();
  stats.crc_errors = crc_errors_.load();
  stats.io_errors = io_errors_.load();
  stats.degraded = breaker_.open();
  return stats;
}

}  // namespace shoal::cache
