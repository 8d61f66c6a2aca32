// SlotTable: which chunk is in which slot and which of its units are valid, and the order of
// eviction. Memory only: no I/O, no lock; the owner of a shard locks around it.
//
// Eviction is SIEVE (Zhang, Yang, Yue, Vigfusson, Rashmi: "SIEVE is Simpler than LRU", NSDI '24): a
// queue in order of arrival and a hand that moves from the oldest to the newest, spares what was
// used since it last came by, and takes the first that was not. Entries under I/O are passed by,
// their mark kept.
//
// Memory per slot: an Entry of 176 bytes, a hash bucket of 4 to 8, the deque's share of about 8:
// below 200. CRCs are not here: 1,024 of them would be 4 KiB per slot. They lie in a file beside
// the slab (disk_cache.h).
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <vector>

#include "base/limits.h"
#include "cache/block_cache.h"

namespace shoal::cache {

inline constexpr uint32_t kUnitBytes = 4096;                          // of validity and of CRCs
inline constexpr uint32_t kUnitsPerSlot = kBlockBytes / kUnitBytes;   // 1,024
inline constexpr uint32_t kGroupBytes = 64 << 10;                     // of space accounting
inline constexpr uint32_t kUnitsPerGroup = kGroupBytes / kUnitBytes;  // 16
static_assert(kUnitsPerSlot / kUnitsPerGroup == 64,
              "the groups of a slot are the bits of one word");

struct UnitRange {
  uint32_t first = 0;
  uint32_t end = 0;  // exclusive
  bool empty() const { return first >= end; }
  uint64_t groups() const;  // bit g: group g holds a unit of the range
};

// Set of the units of one slot.
class UnitSet {
 public:
  static constexpr size_t kWords = kUnitsPerSlot / 64;
  bool has(uint32_t unit) const { return (words_[unit / 64] >> (unit % 64) & 1) != 0; }
  bool has_all(UnitRange range) const;
  bool empty() const;
  void add(UnitRange range);
  uint64_t word(size_t i) const { return words_[i]; }
  void add_word(size_t i, uint64_t bits) { words_[i] |= bits; }

 private:
  std::array<uint64_t, kWords> words_{};
};

class SlotTable {
 public:
  using Id = uint32_t;  // of an entry; stays the same until recycle()
  static constexpr Id kNone = ~Id{0};

  struct Entry {
    ChunkKey key;
    UnitSet valid;
    uint64_t groups =
        0;  // counted in used_bytes(), from before the write on until the slot is free
    uint32_t slot = 0;
    uint32_t chunk_bytes = 0;
    Id older = kNone, newer = kNone;  // neighbours in the SIEVE queue
    Id chain = kNone;                 // next in the hash bucket
    uint16_t pins = 0;                // I/O under way
    bool visited = false;
    bool removed : 1 = false;  // no longer to be found; lives on for those who pinned it
    bool filling : 1 = false;  // the first write is under way: others decline
  };
  static_assert(sizeof(Entry) <= 176);

  Id find(const ChunkKey& key) const;
  Entry& at(Id id) { return entries_[id]; }
  const Entry& at(Id id) const { return entries_[id]; }
  // The newest entry, with nothing valid. REQUIRES find(key) == kNone.
  Id insert(const ChunkKey& key, uint32_t slot, uint32_t chunk_bytes);
  // Counts the groups of `range` that are not counted yet.
  void count(Id id, uint64_t groups);
  uint64_t bytes_to_count(Id id, uint64_t groups) const;
  // It can no longer be found or evicted and is not counted. REQUIRES !removed.
  void remove(Id id);
  // The id may name another entry from now on. REQUIRES removed and no pins.
  void recycle(Id id);
  // SIEVE's choice among the entries without pins, or kNone. Moves the hand; the caller removes.
  Id victim();

  Id oldest() const { return oldest_; }
  uint64_t used_bytes() const { return used_bytes_; }
  size_t size() const { return size_; }

 private:
  size_t bucket_of(const ChunkKey& key) const { return key.low & (buckets_.size() - 1); }
  void grow_buckets();

  std::deque<Entry> entries_;  // a deque: growing must not move, nor double, what is there
  std::vector<Id> unused_;
  std::vector<Id> buckets_ = std::vector<Id>(16, kNone);
  Id oldest_ = kNone, newest_ = kNone;
  Id hand_ = kNone;  // where SIEVE goes on; kNone: at the oldest
  size_t size_ = 0;
  uint64_t used_bytes_ = 0;
};

}  // namespace shoal::cache
