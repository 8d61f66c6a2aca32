// Overlay: which bytes of a file this mount's uncommitted operations decide, and which of them
// decides each.
//
// A map of disjoint file ranges, each the newest operation that covers it: its data, or a hole it
// made. What no range covers is the owner's. Pure: knows operations by number only. O(log n) a
// call, beside the ranges a call replaces. Not thread-safe: lives under its inode's latch.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>

namespace shoal::client {

class Overlay {
 public:
  static constexpr uint64_t kNoEnd = std::numeric_limits<uint64_t>::max();

  struct Piece {
    uint64_t offset = 0;
    uint64_t length = 0;
    uint64_t operation = 0;
    bool hole = false;
    uint64_t end() const { return offset + length; }
    bool operator==(const Piece&) const = default;
  };

  // [offset, offset+length) now comes from the data of `operation`, which must be the newest.
  // length > 0.
  void lay_data(uint64_t operation, uint64_t offset, uint64_t length) {
    lay(operation, offset, offset + length, false);
  }
  // … is now a hole. To cut a file at a size: [size, kNoEnd).
  void lay_hole(uint64_t operation, uint64_t offset, uint64_t end) {
    lay(operation, offset, end, true);
  }

  // The operation is committed (the owner answers for it now) or dropped: its pieces within
  // [offset, end) go.
  void forget(uint64_t operation, uint64_t offset, uint64_t end);
  void clear();

  bool empty() const { return ranges_.empty(); }
  size_t pieces() const { return ranges_.size(); }
  uint64_t data_bytes() const { return data_bytes_; }  // covered by data

  // The piece that covers `position`, else the next one behind it. Not clipped.
  std::optional<Piece> at_or_after(uint64_t position) const;

  // Calls visit(piece) for every piece within [offset, end), clipped to it, ascending.
  template <typename Visit>
  void visit(uint64_t offset, uint64_t end, Visit&& visit) const {
    for (auto it = first_ending_behind(offset); it != ranges_.end() && it->first < end; ++it) {
      const uint64_t from = it->first < offset ? offset : it->first;
      const uint64_t to = it->second.end < end ? it->second.end : end;
      visit(Piece{from, to - from, it->second.operation, it->second.hole});
    }
  }

 private:
  struct Range {
    uint64_t end;
    uint64_t operation;
    bool hole;
  };
  using Ranges = std::map<uint64_t, Range>;  // by first byte

  void lay(uint64_t operation, uint64_t offset, uint64_t end, bool hole);
  Ranges::const_iterator first_ending_behind(uint64_t position) const;
  // No range crosses `position` afterwards.
  void split(uint64_t position);
  void erase(Ranges::iterator first, Ranges::iterator last);

  Ranges ranges_;
  uint64_t data_bytes_ = 0;
};

}  // namespace shoal::client
