// Maintenance: what jobs (gc, repack, trash, status) ask of the owner. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "meta/types.h"

namespace shoal::meta {

struct TrashEntry {
  Ino ino = 0;
  uint32_t day = 0;
  Ino parent = 0;
  std::string name;
  std::string path;  // of the parent as it is now, when it still exists; "" otherwise
  uint64_t size = 0;
  bool is_directory = false;
  Time deleted;
};

struct VolumeChange {  // `shoal config`
  std::optional<uint32_t> trash_days;
  std::optional<uint64_t> capacity_bytes;
  std::optional<uint64_t> inodes_max;
  std::optional<format::Durability> durability;
};

class Maintenance {
 public:
  virtual ~Maintenance() = default;

  // --- trash ---
  virtual Result<std::vector<TrashEntry>> trash_list(size_t limit) = 0;  // oldest first
  // Puts it back under its old parent and name (EEXIST when taken, ENOENT when the parent is gone)
  // or where told; returns where.
  virtual Result<std::pair<Ino, std::string>> trash_restore(
      Ino ino, std::optional<std::pair<Ino, std::string>> place) = 0;
  // Frees what was deleted `days` days ago or earlier (0: everything); returns how many inodes.
  virtual Result<uint64_t> trash_empty(uint32_t days) = 0;

  // --- freeing of inodes: what `G` lists. Runs by itself on the Executor; this runs a pass now.
  // ---
  virtual Result<uint64_t> reclaim(size_t inodes_max) = 0;

  // --- segments ---
  virtual Result<std::vector<SegmentInfo>> segments(const SegmentId& after,
                                                    size_t limit) = 0;  // ascending by id
  // Stored and complete with W = 0 → dying by compare-and-commit, then W is read again: not 0 →
  // back to stored and false; 0 → died stamp, synced, true. The caller then deletes the object and
  // calls segment_forget.
  virtual Result<bool> segment_dying(const SegmentId& id) = 0;
  virtual Status segment_forget(const SegmentId& id) = 0;  // deletes B and W of a dying segment
  // A staging segment whose journal is gone for good, as the operator says: what is in it answers
  // EIO from now on, and no mount asks about it again.
  virtual Status segment_lost(const SegmentId& id) = 0;
  // Extents that point into a segment, found through the segment's own records (ino, offset, length
  // as written) and R.
  struct Reference {
    Ino ino = 0;
    Ino parent = 0;
    format::Extent extent;
  };
  virtual Result<std::vector<Reference>> references(const SegmentId& id,
                                                    const std::vector<Ino>& writers) = 0;
  // Repack: replaces each extent's target iff the extent is still the same; returns how many were.
  struct Move {
    Ino ino = 0;
    format::Extent from;
    format::Target to;   // same length
    uint64_t first = 0;  // first byte of the extent in the new slice
  };
  virtual Result<size_t> move_extents(const Request& request, const std::vector<Move>& moves) = 0;

  // --- volume ---
  virtual Status change_volume(const VolumeChange& change) = 0;
  virtual Result<std::string> path_of(Ino ino) = 0;  // one path, for messages; ENOENT
};

}  // namespace shoal::meta
