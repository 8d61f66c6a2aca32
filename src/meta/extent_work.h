// ExtentWork: changes to one inode's extents within one Change: loads what is touched, edits it as
// an ExtentMap, and writes the difference: E records or extents in the inode, W, `allocated`,
// usage.
//
// REQUIRES the inode's latch, exclusive, for its whole life.
#pragma once

#include <map>
#include <vector>

#include "meta/change.h"
#include "meta/extent_map.h"
#include "meta/extent_records.h"

namespace shoal::meta {

class ExtentWork {
 public:
  ExtentWork(const ExtentStore& store, Ino ino, const InodeRef& ref);

  // To be called for a range before it is edited through map().
  Status load(uint64_t from, uint64_t to);
  ExtentMap& map() { return map_; }
  // Writes what changed into `change`; `inode` is its edited copy. Once, last.
  Status finish(Change& change, format::Inode& inode);

 private:
  Result<bool> fits_inline();
  void write_records(Change& change) const;
  ExtentRecordsRef records_after(Stamp stamp) const;

  const ExtentStore& store_;
  const Ino ino_;
  const InodeRef ref_;
  const bool in_records_;                   // the extents are E records
  std::map<uint64_t, StampedExtent> base_;  // as committed, as far as loaded
  ExtentMap map_;
  ExtentRecordsRef records_;                  // all as committed, when they are few
  uint64_t loaded_from_ = 0, loaded_to_ = 0;  // a range that needs no further load
};

}  // namespace shoal::meta
