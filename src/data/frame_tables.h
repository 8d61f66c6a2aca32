// FrameTables: the frame CRCs of stored segments, read from their footers once and kept while there
// is room. Thread-safe; single-flight per segment.
#pragma once

#include <list>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "data/block_source.h"
#include "format/segment.h"
#include "object/object_store.h"
#include "sys/mutex.h"

namespace shoal::data {

// Of one segment: where each slice of more than one frame begins, and its CRCs.
struct FrameTable {
  std::unordered_map<uint64_t, std::pair<uint32_t, uint32_t>>
      slices;  // slice offset → first CRC, number of CRCs
  std::vector<uint32_t> crcs;
  size_t memory_bytes() const { return crcs.size() * 4 + slices.size() * 48 + 128; }
};

class FrameTables {
 public:
  FrameTables(object::ObjectStore& store, BlockSource& blocks, const Uuid& volume,
              uint64_t memory_bytes, std::chrono::milliseconds deadline);
  // ENOENT no such segment; EIO its footer is not one.
  Result<std::shared_ptr<const FrameTable>> get(
      const SegmentId& id);  // shared: readers outlive an eviction
  void drop(const SegmentId& id);

 private:
  struct Slot;
  Result<std::shared_ptr<const FrameTable>> load(const SegmentId& id);
  Result<format::Footer> read_footer(const SegmentId& id, uint64_t object_bytes, uint64_t* from);
  static Result<std::shared_ptr<const FrameTable>> table_of(const SegmentId& id,
                                                            const format::Footer& footer);

  object::ObjectStore& store_;
  BlockSource& blocks_;
  const Uuid volume_;
  const uint64_t memory_bytes_;
  const std::chrono::milliseconds deadline_;
  Mutex mutex_;
  std::unordered_map<SegmentId, std::shared_ptr<Slot>> slots_ GUARDED_BY(mutex_);
  std::list<SegmentId> order_ GUARDED_BY(mutex_);  // oldest first
  uint64_t bytes_ GUARDED_BY(mutex_) = 0;
};

}  // namespace shoal::data
