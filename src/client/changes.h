// Changes: which inodes' committed state this mount changed lately. Attributes are fetched from the
// owner without a lock and then overlaid; if the inode's operations were committed in between, the
// answer may lack them and the list does not have them any more either, so it is fetched again:
//
//   const uint64_t before = changes.now();
//   Attr attr = …;   // fetch and overlay
//   if (changes.since(attr.ino, before)) …  // again
//
// A fixed table by hash: a collision costs a second fetch, nothing else. Thread-safe, no locks.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "base/ids.h"

namespace shoal::client {

class Changes {
 public:
  uint64_t now() const { return clock_.load(); }
  // Call while holding what the reader takes afterwards (the inode's latch).
  void note(Ino ino) {
    const uint64_t at = ++clock_;
    std::atomic<uint64_t>& last = slots_[slot(ino)];
    uint64_t before = last.load();
    while (before < at && !last.compare_exchange_weak(before, at)) {
    }
  }
  bool since(Ino ino, uint64_t before) const { return slots_[slot(ino)].load() > before; }

 private:
  static size_t slot(Ino ino) { return (ino * 0x9e3779b97f4a7c15ull) >> 52; }
  std::atomic<uint64_t> clock_ = 0;
  std::array<std::atomic<uint64_t>, 4096> slots_{};
};

}  // namespace shoal::client
