// StagedAhead: the ranges of journals that a stream will read soon, put together to few large ones.
// A file written in small pieces all over lies all over its journal; read piece by piece from a
// cold disk, each would be a disk read of its own.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/ids.h"

namespace shoal::data {

class StagedAhead {
 public:
  static constexpr uint64_t kGapMax = 64 << 10;  // read over rather than begun anew behind

  struct Range {
    SegmentId segment;
    uint64_t begin = 0;
    uint64_t end = 0;
  };

  void add(const SegmentId& segment, uint64_t begin, uint64_t end) {
    ranges_.push_back({segment, begin, end});
  }

  // In the order of the journals' bytes.
  std::vector<Range> merged() {
    std::sort(ranges_.begin(), ranges_.end(), [](const Range& a, const Range& b) {
      return a.segment != b.segment ? a.segment < b.segment : a.begin < b.begin;
    });
    std::vector<Range> large;
    for (const Range& range : ranges_) {
      if (!large.empty() && large.back().segment == range.segment &&
          range.begin <= large.back().end + kGapMax) {
        large.back().end = std::max(large.back().end, range.end);
      } else {
        large.push_back(range);
      }
    }
    return large;
  }

 private:
  std::vector<Range> ranges_;
};

}  // namespace shoal::data
