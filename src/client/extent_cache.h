// ExtentCache: the part of an inode's committed extents that this mount has fetched, all of one
// data version.
//
// Pages are immutable and shared with reads in flight. Bounded per inode by kPagesMax and over all
// inodes by a budget. Not thread-safe: lives under its inode's latch.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "base/ids.h"
#include "format/extent.h"

namespace shoal::client {

class ExtentCache {
 public:
  static constexpr size_t kPagesMax = 256;
  static constexpr int64_t kExtentsMax = 1'000'000;  // of all inodes together

  struct Page {
    uint64_t from = 0;  // all extents that touch [from, to) are here
    uint64_t to = 0;
    std::vector<format::Extent> extents;  // ascending
    // Index of the first extent that ends behind `position`.
    size_t first_behind(uint64_t position) const;
  };
  using PagePtr = std::shared_ptr<const Page>;

  explicit ExtentCache(std::atomic<int64_t>& budget) : used_(budget) {}
  ~ExtentCache() { clear(); }
  ExtentCache(const ExtentCache&) = delete;
  ExtentCache& operator=(const ExtentCache&) = delete;

  // `extents`: those that end behind `from`, up to the end of the file unless `more`. Another
  // version replaces all.
  void put(Stamp version, uint64_t from, std::vector<format::Extent> extents, bool more);
  // The page that covers `position`; null: fetch it.
  PagePtr page_at(uint64_t position) const;
  // The one page that is the whole file; null when there is none.
  PagePtr whole() const;
  // The inode's data version is `version` now: pages of another one go.
  void keep_only(Stamp version);
  void clear();

 private:
  std::atomic<int64_t>& used_;  // extents in all caches
  Stamp version_ = 0;
  std::map<uint64_t, PagePtr> pages_;  // by `from`
};

}  // namespace shoal::client
