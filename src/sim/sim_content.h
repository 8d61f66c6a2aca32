// The bytes of one simulated file: what programs see now (the page cache), and enough history to
// tell what a power cut may leave of what was not synced. Private to SimFs, which locks; not
// thread-safe.
//
// What a cut may leave. Since the last sync the file went through changes 1 … n. The cut picks
//
// - a version M of the file's metadata (size, holes, allocation): the effect of changes 1 … M, and
//   of no later one;
// - for every 512-byte sector, independently, a version of its bytes: those it had after any change
//   so far.
//
// That is what a journaling file system over a disk with a volatile cache may do: metadata changes
// of one inode are ordered, data is written back in any order and any number of times, a sector is
// written whole or not at all. So a write may be kept, dropped or torn, later ones may survive
// earlier ones, and a size may survive without the data (zeros are read). Bytes written behind a
// truncate that did not survive do not survive either, they went to other blocks. Never invented:
// bytes that nobody wrote there, other than zeros.
//
// Memory: pages of 4 KiB; the pages changed since the last sync are kept in both versions, and the
// bytes of every unsynced write once more.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "sim/seeded_random.h"

namespace shoal::sim {

// What cuts did, so that a test can refuse to count a run in which nothing was at stake.
struct CutReport {
  uint64_t writes_kept = 0;
  uint64_t writes_dropped = 0;
  uint64_t writes_torn = 0;
  uint64_t names_kept = 0;  // creates, renames, removes, links that no sync_dir had made durable
  uint64_t names_dropped = 0;

  CutReport& operator+=(const CutReport& other);
};

class SimContent {
 public:
  static constexpr uint64_t kPageBytes = 4096;
  static constexpr uint64_t kSectorBytes = 512;

  uint64_t size() const { return size_; }
  uint64_t allocated_pages() const { return pages_.size(); }

  size_t read(uint64_t offset, MutableBytes into) const;
  // Takes at most `pages_max` new pages; returns how many bytes were written before they ran out.
  size_t write(uint64_t offset, ByteView bytes, uint64_t pages_max);
  void truncate(uint64_t size);
  // False, and nothing changed, when it would take more than `pages_max` new pages.
  bool allocate(uint64_t offset, uint64_t length, uint64_t pages_max);
  void punch(uint64_t offset, uint64_t length);

  void sync();
  // Replaces the content by one that a power cut may leave, and calls that synced.
  void cut(SeededRandom& random, CutReport& report);

 private:
  using Page = std::array<std::byte, kPageBytes>;
  using PagePtr = std::shared_ptr<Page>;  // shared by the present and the synced version; null:
                                          // allocated, zeros

  enum class Kind { kWrite, kTruncate, kPunch, kAllocate };
  struct Change {
    Kind kind;
    uint64_t offset;
    uint64_t end;  // exclusive
    ByteBuffer data;
    uint64_t size_after;
  };
  // Which sectors of a write reach the disk: the first `whole`, and of the others those that
  // `scatter` picks.
  struct Fate {
    uint64_t whole = 0;
    uint64_t scatter = 0;  // 0: none; else a seed
    bool keeps(uint64_t sector) const;
  };
  struct Plan {
    size_t metadata = 0;      // M
    std::vector<Fate> fates;  // of each change
  };

  void record(Kind kind, uint64_t offset, uint64_t end, ByteView data);
  void remember(uint64_t page);
  Page& writable(uint64_t page);
  void copy_in(uint64_t offset, ByteView bytes);
  void zero(uint64_t offset, uint64_t end);
  void reserve(uint64_t offset, uint64_t end);

  Plan plan_cut(SeededRandom& random) const;
  void report_cut(const Plan& plan, CutReport& report) const;
  void replay(const Plan& plan, const std::vector<Change>& changes);

  std::map<uint64_t, PagePtr> pages_;  // absent: a hole
  uint64_t size_ = 0;

  std::map<uint64_t, std::optional<PagePtr>>
      synced_pages_;  // of those changed since; nullopt: a hole
  uint64_t synced_size_ = 0;
  std::vector<Change> changes_;  // since the last sync
  uint64_t change_bytes_ = 0;
};

}  // namespace shoal::sim
