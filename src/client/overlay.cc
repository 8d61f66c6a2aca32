#include "client/overlay.h"

#include "base/check.h"

namespace shoal::client {

Overlay::Ranges::const_iterator Overlay::first_ending_behind(uint64_t position) const {
  auto it = ranges_.upper_bound(position);
  if (it != ranges_.begin()) {
    auto before = std::prev(it);
    if (before->second.end > position) return before;
  }
  return it;
}

void Overlay::split(uint64_t position) {
  auto it = ranges_.upper_bound(position);
  if (it == ranges_.begin()) return;
  --it;
  if (it->first == position || it->second.end <= position) return;
  const Range tail = it->second;
  it->second.end = position;
  ranges_.emplace_hint(std::next(it), position, tail);
}

void Overlay::erase(Ranges::iterator first, Ranges::iterator last) {
  for (auto it = first; it != last; ++it) {
    if (!it->second.hole) data_bytes_ -= it->second.end - it->first;
  }
  ranges_.erase(first, last);
}

void Overlay::lay(uint64_t operation, uint64_t offset, uint64_t end, bool hole) {
  CHECK(offset < end);
  split(offset);
  split(end);
  erase(ranges_.lower_bound(offset), ranges_.lower_bound(end));
  if (!hole) data_bytes_ += end - offset;
  auto next = ranges_.lower_bound(offset);
  if (next != ranges_.begin()) {
    // A stream of writes merged into one operation stays one range.
    auto before = std::prev(next);
    if (before->second.end == offset && before->second.operation == operation &&
        before->second.hole == hole) {
      before->second.end = end;
      return;
    }
  }
  ranges_.emplace_hint(next, offset, Range{end, operation, hole});
}

void Overlay::forget(uint64_t operation, uint64_t offset, uint64_t end) {
  // Pieces of one operation never cross its own range, so nothing has to be split.
  auto it = ranges_.lower_bound(offset);
  while (it != ranges_.end() && it->first < end) {
    auto next = std::next(it);
    if (it->second.operation == operation) erase(it, next);
    it = next;
  }
}

void Overlay::clear() {
  ranges_.clear();
  data_bytes_ = 0;
}

std::optional<Overlay::Piece> Overlay::at_or_after(uint64_t position) const {
  auto it = first_ending_behind(position);
  if (it == ranges_.end()) return std::nullopt;
  return Piece{it->first, it->second.end - it->first, it->second.operation, it->second.hole};
}

}  // namespace shoal::client
