// The E records of inodes with many extents: read from the engine in ranges, or all of one inode in
// memory, hung on the version of the inode that they belong to.
//
// In memory because a file that is rewritten in pieces of any size leaves tombstones behind, which
// an ordered scan (above all one backwards, for the extent ahead of an offset) has to walk over.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "engine/engine.h"
#include "meta/change.h"
#include "meta/extent_map.h"

namespace shoal::meta {

// All E records of one inode, ascending. Immutable.
struct ExtentRecords {
  std::vector<StampedExtent> list;
};

// What an E record says.
Result<format::Extent> decode_extent_record(const engine::Item& item);

// Those of `list` that overlap or touch [from, to]; stops behind `limit` of them.
std::vector<StampedExtent> load_part(const std::vector<StampedExtent>& list, uint64_t from,
                                     uint64_t to, size_t limit);

// Thread-safe.
class ExtentStore {
 public:
  static constexpr size_t kRecordsPerInode = 1024;   // with more they stay in the engine
  static constexpr int64_t kRecordsMax = 256 << 10;  // in memory for all inodes: about 24 MiB

  explicit ExtentStore(engine::KvEngine& engine) : engine_(engine) {}

  // Records of `ino` that overlap or touch [from, to], ascending; stops behind `limit` of them.
  // REQUIRES the inode's latch; `ref` is its current version.
  Result<std::vector<StampedExtent>> load(Ino ino, const InodeRef& ref, uint64_t from, uint64_t to,
                                          size_t limit) const;
  // All of them when they fit into memory, from there or from the engine; else nullptr.
  Result<ExtentRecordsRef> all(Ino ino, const InodeRef& ref) const;
  // For the inode's next version; nullptr when they are too many or memory is full.
  ExtentRecordsRef keep(std::vector<StampedExtent> list) const;
  // Counts the inode's records up to `limit`.
  Result<size_t> count(Ino ino, size_t limit) const;

 private:
  engine::KvEngine& engine_;
  // Shared with what it counts, which a reader may keep longer than the owner lives.
  const std::shared_ptr<std::atomic<int64_t>> kept_ = std::make_shared<std::atomic<int64_t>>(0);
};

}  // namespace shoal::meta
