#include "client/extent_cache.h"

#include <algorithm>

namespace shoal::client {

size_t ExtentCache::Page::first_behind(uint64_t position) const {
  const auto it =
      std::partition_point(extents.begin(), extents.end(),
                           [&](const format::Extent& extent) { return extent.end() <= position; });
  return static_cast<size_t>(it - extents.begin());
}

void ExtentCache::put(Stamp version, uint64_t from, std::vector<format::Extent> extents,
                      bool more) {
  if (version != version_ || pages_.size() >= kPagesMax || used_.load() > kExtentsMax) clear();
  version_ = version;
  auto page = std::make_shared<Page>();
  page->from = from;
  page->to = more && !extents.empty() ? extents.back().end() : ~uint64_t{0};
  used_ += static_cast<int64_t>(extents.size());
  page->extents = std::move(extents);
  PagePtr& place = pages_[from];
  if (place) used_ -= static_cast<int64_t>(place->extents.size());
  place = std::move(page);
}

ExtentCache::PagePtr ExtentCache::page_at(uint64_t position) const {
  auto it = pages_.upper_bound(position);
  if (it == pages_.begin()) return nullptr;
  --it;
  return it->second->to > position ? it->second : nullptr;
}

ExtentCache::PagePtr ExtentCache::whole() const {
  const auto it = pages_.find(0);
  return it != pages_.end() && it->second->to == ~uint64_t{0} ? it->second : nullptr;
}

void ExtentCache::keep_only(Stamp version) {
  if (version != version_) clear();
}

void ExtentCache::clear() {
  for (const auto& [from, page] : pages_) used_ -= static_cast<int64_t>(page->extents.size());
  pages_.clear();
  version_ = 0;
}

}  // namespace shoal::client
