// ExtentMap: the extents of (a part of) one file, and what data operations do to them. Pure.
//
// Overlaps are resolved here, when data is committed, so that what is stored never overlaps and
// readers need not think. Neighbours that continue each other in one slice are merged. A file
// position without an extent is a hole.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "format/extent.h"

namespace shoal::meta {

struct StampedExtent {
  format::Extent extent;
  Stamp stamp = 0;  // of its E record
};

class ExtentMap {
 public:
  ExtentMap() = default;
  // REQUIRES ascending, not overlapping.
  explicit ExtentMap(const std::vector<format::Extent>& extents);

  // One more extent that is in the file. REQUIRES that it overlaps none here.
  void add(const format::Extent& extent) { extents_.emplace(extent.offset, extent); }

  // [extent.offset, extent.end()) now has these bytes.
  void replace(const format::Extent& extent);
  // [from, to) becomes a hole.
  void punch(uint64_t from, uint64_t to);

  const std::map<uint64_t, format::Extent>& extents() const { return extents_; }
  std::vector<format::Extent> list() const;
  size_t size() const { return extents_.size(); }
  uint64_t bytes() const;  // Σ lengths

 private:
  using Iterator = std::map<uint64_t, format::Extent>::iterator;
  // Merges `at` with its neighbours where they continue each other.
  void merge_around(Iterator at);

  std::map<uint64_t, format::Extent> extents_;  // by offset
};

// Part of an extent: [from, to) of the file. REQUIRES it lies inside and is not empty.
format::Extent part_of(const format::Extent& extent, uint64_t from, uint64_t to);

}  // namespace shoal::meta
