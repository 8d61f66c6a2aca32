// ExtentWork: changes to one inode's extents within one Change: loads what is touched, edits it as
// an ExtentMap, and writes the difference: E records or extents in the inode, W, `allocated`,
// usage.
//
// REQUIRES the inode's latch, exclusive, for its whole life.
#pragma once

#include <map>
#include <vector>

#include "engine/engine.h"
#include "meta/change.h"
#include "meta/extent_map.h"

namespace shoal::meta {

// What an E record says.
Result<format::Extent> decode_extent_record(const engine::Item& item);

// E records of `ino` that overlap or touch [from, to], ascending; stops behind `limit` of them.
Result<std::vector<StampedExtent>> load_extents(engine::KvEngine& engine, Ino ino, uint64_t from,
                                                uint64_t to, size_t limit);

class ExtentWork {
 public:
  ExtentWork(engine::KvEngine& engine, Ino ino, const InodeRef& ref);

  // To be called for a range before it is edited through map().
  Status load(uint64_t from, uint64_t to);
  ExtentMap& map() { return map_; }
  // Writes what changed into `change`; `inode` is its edited copy. Once, last.
  Status finish(Change& change, format::Inode& inode);

 private:
  Result<bool> fits_inline();
  void write_records(Change& change) const;

  engine::KvEngine& engine_;
  const Ino ino_;
  const InodeRef ref_;
  const bool in_records_;                   // the extents are E records
  std::map<uint64_t, StampedExtent> base_;  // as committed, as far as loaded
  ExtentMap map_;
  uint64_t loaded_from_ = 0, loaded_to_ = 0;  // a range that needs no further load
};

}  // namespace shoal::meta
