#include "meta/extent_map.h"

#include "base/check.h"

namespace shoal::meta {
namespace {

bool continues(const format::Extent& a, const format::Extent& b) {
  return a.end() == b.offset && a.first + a.length == b.first && a.target == b.target;
}

}  // namespace

format::Extent part_of(const format::Extent& extent, uint64_t from, uint64_t to) {
  DCHECK(from < to && from >= extent.offset && to <= extent.end());
  format::Extent part = extent;
  part.first += from - extent.offset;
  part.offset = from;
  part.length = to - from;
  return part;
}

ExtentMap::ExtentMap(const std::vector<format::Extent>& extents) {
  for (const format::Extent& extent : extents) {
    extents_.emplace_hint(extents_.end(), extent.offset, extent);
  }
}

void ExtentMap::punch(uint64_t from, uint64_t to) {
  if (from >= to) return;
  auto it = extents_.lower_bound(from);
  if (it != extents_.begin()) {
    auto before = std::prev(it);
    if (before->second.end() > from) {
      const format::Extent whole = before->second;
      before->second = part_of(whole, whole.offset, from);
      if (whole.end() > to) {
        extents_.emplace_hint(it, to, part_of(whole, to, whole.end()));
        return;
      }
    }
  }
  while (it != extents_.end() && it->first < to) {
    const format::Extent whole = it->second;
    it = extents_.erase(it);
    if (whole.end() > to) {
      extents_.emplace_hint(it, to, part_of(whole, to, whole.end()));
      return;
    }
  }
}

void ExtentMap::replace(const format::Extent& extent) {
  punch(extent.offset, extent.end());
  merge_around(extents_.emplace(extent.offset, extent).first);
}

void ExtentMap::merge_around(Iterator at) {
  const auto next = std::next(at);
  if (next != extents_.end() && continues(at->second, next->second)) {
    at->second.length += next->second.length;
    extents_.erase(next);
  }
  if (at == extents_.begin()) return;
  const auto before = std::prev(at);
  if (continues(before->second, at->second)) {
    before->second.length += at->second.length;
    extents_.erase(at);
  }
}

std::vector<format::Extent> ExtentMap::list() const {
  std::vector<format::Extent> list;
  list.reserve(extents_.size());
  for (const auto& [offset, extent] : extents_) list.push_back(extent);
  return list;
}

uint64_t ExtentMap::bytes() const {
  uint64_t total = 0;
  for (const auto& [offset, extent] : extents_) total += extent.length;
  return total;
}

}  // namespace shoal::meta
