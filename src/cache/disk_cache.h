// DiskCache: the BlockCache on a local disk. Private to cache/.
//
// Files in the folder:
//   lock    held while the cache is open
//   slab    slots of 4 MiB, sparse, read and written with O_DIRECT: the kernel has the FUSE pages
//   sums    8 KiB per slot: for each unit of 4 KiB its CRC-32C and a tag; buffered
//   index   which chunk is in which slot (index_log.h)
//
// Never a wrong byte. Nothing is synced, so after a power cut any mixture of old and new of the
// three files may be there, and a slot may hold a former chunk with its sums intact. Therefore the
// CRC of a unit runs over key, unit number and bytes, and the tag beside it is 32 more bits of the
// key: what belongs to another chunk or place does not verify. The bytes of a key never change, so
// what verifies is right, whoever wrote it when. (A reader that has CRCs of its own for what it
// asks checks those instead: Verify::kByCaller.)
//
// Why the sums are a file of their own. In memory, 1,024 CRCs would be 4 KiB per slot, 100 MiB for
// 100 GiB. In a trailer of the slot, every read of 4 KiB would be two reads of the disk, every
// write a read-modify-write of the trailer under a lock. In a small buffered file they cost 0.2 %
// of the disk, and the kernel keeps the hot ones and gives the memory back when somebody needs it.
//
// Validity is known per 4 KiB, because exact reads bring pieces of 4 KiB and widening them to 64
// KiB would fetch 16 times the bytes: 128 bytes of bitmap per slot, less than 200 bytes in all.
// Space is counted per 64 KiB, which is never less than what the disk gave (a file system allocates
// no more than it is told to). Up to four slots per 4 MiB of capacity exist, so that chunks of
// which little is here do not waste it; a slot is punched when its chunk goes, unless the next one
// fills it whole.
//
// Order of a fill: bytes, sums, memory, index record. Slots under I/O are pinned; one whose chunk
// was removed meanwhile is free when the last pin goes. No lock is held over I/O. Lock order:
// shard, then index log.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "cache/block_cache.h"
#include "cache/breaker.h"
#include "cache/buffer_pool.h"
#include "cache/index_log.h"
#include "cache/slot_table.h"
#include "sys/mutex.h"

namespace shoal::cache {

inline constexpr uint32_t kPieceBytes = 1 << 20;  // read or written at a time
inline constexpr uint32_t kSumBytes = 8;          // CRC and tag of a unit
inline constexpr uint64_t kSumsPerSlotBytes = uint64_t{kUnitsPerSlot} * kSumBytes;
inline constexpr uint64_t kIndexSlackBytes =
    256 << 10;  // of history that is not worth rewriting the index for

class DiskCache final : public BlockCache {
 public:
  static Result<std::unique_ptr<DiskCache>> open(LocalFs& fs, const Clock& clock,
                                                 const Path& folder, DiskCacheOptions options);
  ~DiskCache() override;

  bool read(const ChunkKey& key, uint32_t offset, MutableBytes into, Verify verify) override;
  void write(const ChunkKey& key, uint32_t offset, ByteView bytes, uint32_t chunk_bytes) override;
  bool contains(const ChunkKey& key, uint32_t offset, uint32_t length) const override;
  uint32_t whole(const ChunkKey& key) const override;
  void forget(const ChunkKey& key) override;
  CacheStats stats() const override;

 private:
  struct FreeSlot {
    uint32_t slot;
    bool clean;  // nothing is allocated in it
  };
  struct Shard {
    mutable Mutex mutex;
    SlotTable table GUARDED_BY(mutex);
    std::vector<FreeSlot> free GUARDED_BY(mutex);
  };
  // What a fill may touch, decided under the lock and done without.
  struct Fill {
    SlotTable::Id id = SlotTable::kNone;
    uint32_t slot = 0;
    UnitRange units;  // to write: those of the caller's range between the first and last not valid
    bool punch_first = false;       // the slot still has bytes of another chunk
    std::vector<uint32_t> emptied;  // slots of evicted chunks, to punch and free
    IndexLog::Ticket drops;
  };
  enum class Outcome { kGood, kCorrupt, kFailed };

  DiskCache(LocalFs& fs, const Clock& clock, Path folder, DiskCacheOptions options);

  // disk_cache_open.cc
  Status start();
  Status load_index();
  void load_record(const IndexRecord& record,
                   std::vector<std::pair<Shard*, SlotTable::Id>>& owners);
  void free_gaps(const std::vector<std::pair<Shard*, SlotTable::Id>>& owners);
  void evict_to_limit();

  Shard& shard_of(const ChunkKey& key) const { return *shards_[key.high & (shards_.size() - 1)]; }
  uint64_t shard_limit_bytes() const { return limit_bytes_.load() / shards_.size(); }

  Outcome fetch(uint32_t slot, const ChunkKey& key, uint32_t offset, MutableBytes into,
                Verify verify);
  Status read_slab(uint64_t offset, MutableBytes into, bool* whole);
  // True: `plan` is to be carried out, the entry is pinned.
  bool plan_fill(Shard& shard, const ChunkKey& key, UnitRange units, uint32_t chunk_bytes,
                 Fill* plan) REQUIRES(shard.mutex);
  bool make_room(Shard& shard, SlotTable::Id id, uint64_t groups, Fill* plan, std::string* drops)
      REQUIRES(shard.mutex);
  bool find_slot(Shard& shard, Fill* plan, bool fills_whole_slot, std::string* drops)
      REQUIRES(shard.mutex);
  void take_out(Shard& shard, SlotTable::Id id, Fill* plan, std::string* drops)
      REQUIRES(shard.mutex);
  Status carry_out(const Fill& plan, const ChunkKey& key, uint32_t offset, ByteView bytes);
  void finish_fill(Shard& shard, const Fill& plan, bool written);
  void unpin(Shard& shard, SlotTable::Id id, bool drop);
  Status punch(uint32_t slot);
  void empty_slots(Shard& shard, const std::vector<uint32_t>& slots);
  void record(const IndexLog::Ticket& ticket);
  void compact_if_due();
  void refresh_limit(uint64_t bytes);
  void io_failed(std::string_view what, const Error& error);

  LocalFs& fs_;
  const Path folder_;
  const DiskCacheOptions options_;
  uint32_t slots_max_ = 0;
  bool can_punch_ = true;  // else what a slot once took stays taken, and there are no spare slots
  std::unique_ptr<FileLock> lock_;
  std::unique_ptr<File> slab_, sums_;
  IndexLog index_;
  Breaker breaker_;
  BufferPool bounces_{kPieceBytes, 4};
  std::vector<std::unique_ptr<Shard>> shards_;  // a power of two of them
  std::atomic<uint32_t> fresh_slot_{0};         // slots from here on were never used
  std::atomic<uint64_t> limit_bytes_{
      0};  // the capacity, or less when the disk is fuller than it should be
  std::atomic<uint64_t> limit_countdown_{
      0};  // bytes that may be written before the disk is asked again
  std::atomic<uint64_t> compact_at_bytes_{0};
  std::atomic<uint64_t> hits_{0}, misses_{0}, fills_{0}, evictions_{0}, crc_errors_{0},
      io_errors_{0};
};

}  // namespace shoal::cache
