#include "cache/slot_table.h"

#include <bit>

#include "base/check.h"

namespace shoal::cache {
namespace {

// Bits [first, end) of one word. REQUIRES first < end <= 64.
uint64_t mask(uint32_t first, uint32_t end) {
  return (~uint64_t{0} >> (64 - (end - first))) << first;
}

template <typename Body>
void for_each_word(UnitRange range, Body body) {
  for (uint32_t unit = range.first; unit < range.end;) {
    const uint32_t end = std::min(range.end, (unit / 64 + 1) * 64);
    body(unit / 64, mask(unit % 64, end - unit / 64 * 64));
    unit = end;
  }
}

}  // namespace

uint64_t UnitRange::groups() const {
  if (empty()) return 0;
  return mask(first / kUnitsPerGroup, (end + kUnitsPerGroup - 1) / kUnitsPerGroup);
}

bool UnitSet::has_all(UnitRange range) const {
  bool all = true;
  for_each_word(range, [&](size_t i, uint64_t bits) { all = all && (words_[i] & bits) == bits; });
  return all;
}

bool UnitSet::empty() const {
  for (const uint64_t word : words_) {
    if (word != 0) return false;
  }
  return true;
}

void UnitSet::add(UnitRange range) {
  for_each_word(range, [&](size_t i, uint64_t bits) { words_[i] |= bits; });
}

SlotTable::Id SlotTable::find(const ChunkKey& key) const {
  Id id = buckets_[bucket_of(key)];
  while (id != kNone && entries_[id].key != key) id = entries_[id].chain;
  return id;
}

void SlotTable::grow_buckets() {
  buckets_.assign(buckets_.size() * 2, kNone);
  for (Id id = oldest_; id != kNone; id = entries_[id].newer) {
    Id& bucket = buckets_[bucket_of(entries_[id].key)];
    entries_[id].chain = bucket;
    bucket = id;
  }
}

SlotTable::Id SlotTable::insert(const ChunkKey& key, uint32_t slot, uint32_t chunk_bytes) {
  DCHECK(find(key) == kNone);
  if (size_ == buckets_.size()) grow_buckets();
  Id id = 0;
  if (unused_.empty()) {
    id = static_cast<Id>(entries_.size());
    entries_.emplace_back();
  } else {
    id = unused_.back();
    unused_.pop_back();
    entries_[id] = Entry{};
  }
  Entry& entry = entries_[id];
  entry.key = key;
  entry.slot = slot;
  entry.chunk_bytes = chunk_bytes;
  entry.older = newest_;
  (newest_ == kNone ? oldest_ : entries_[newest_].newer) = id;
  newest_ = id;
  Id& bucket = buckets_[bucket_of(key)];
  entry.chain = bucket;
  bucket = id;
  ++size_;
  return id;
}

uint64_t SlotTable::bytes_to_count(Id id, uint64_t groups) const {
  const uint64_t counted = id == kNone ? 0 : entries_[id].groups;
  return uint64_t{kGroupBytes} * static_cast<uint64_t>(std::popcount(groups & ~counted));
}

void SlotTable::count(Id id, uint64_t groups) {
  used_bytes_ += bytes_to_count(id, groups);
  entries_[id].groups |= groups;
}

void SlotTable::remove(Id id) {
  Entry& entry = entries_[id];
  CHECK(!entry.removed);
  entry.removed = true;
  used_bytes_ -= uint64_t{kGroupBytes} * static_cast<uint64_t>(std::popcount(entry.groups));
  if (hand_ == id) hand_ = entry.newer;
  (entry.older == kNone ? oldest_ : entries_[entry.older].newer) = entry.newer;
  (entry.newer == kNone ? newest_ : entries_[entry.newer].older) = entry.older;
  Id* link = &buckets_[bucket_of(entry.key)];
  while (*link != id) link = &entries_[*link].chain;
  *link = entry.chain;
  --size_;
}

void SlotTable::recycle(Id id) {
  CHECK(entries_[id].removed && entries_[id].pins == 0);
  unused_.push_back(id);
}

SlotTable::Id SlotTable::victim() {
  // Two rounds clear every mark; what is left after them is all pinned.
  for (size_t steps = 2 * size_ + 1; steps > 0; --steps) {
    if (hand_ == kNone) hand_ = oldest_;
    if (hand_ == kNone) return kNone;
    Entry& entry = entries_[hand_];
    if (entry.pins == 0 && !entry.visited) return hand_;
    if (entry.pins == 0) entry.visited = false;
    hand_ = entry.newer;
  }
  return kNone;
}

}  // namespace shoal::cache
