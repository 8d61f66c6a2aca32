// What fsck has learnt so far: a small summary per inode and the live bytes per segment. Private to
// fsck.
#pragma once

#include <map>
#include <unordered_map>
#include <vector>

#include "engine/engine.h"
#include "format/inode.h"
#include "format/volume.h"
#include "meta/fsck.h"

namespace shoal::meta {

struct InodeSummary {
  uint32_t mode = 0;
  uint32_t nlink = 0;
  uint32_t flags = 0;
  uint32_t names = 0;  // D records that point here
  uint32_t subdirectories = 0;
  Ino parent = 0;
  Ino named_in = 0;      // the parent of the first name seen
  uint64_t entries = 0;  // as the record says
  uint64_t entries_seen = 0;
  uint64_t size = 0;
  uint64_t allocated = 0;  // as the record says
  uint64_t allocated_seen = 0;
  uint64_t extents_end = 0;  // end of the last extent seen
  uint64_t acl_access = 0;
  uint64_t acl_default = 0;
  format::Content content = format::Content::kNone;
  bool big_xattrs = false;
  bool big_xattrs_seen = false;
  bool extent_records_seen = false;
  bool open_unlinked = false;  // O
  bool reclaim = false;        // G of the whole inode
  bool range_reclaim = false;  // G of a range
  bool trashed = false;        // T
  bool is_directory() const { return (mode & 0170000) == 0040000; }
  bool is_regular() const { return (mode & 0170000) == 0100000; }
};

struct SegmentSummary {
  bool known = false;  // has a B record
  format::Segment record;
  int64_t live_seen = 0;
  int64_t live = 0;  // W
};

class FsckState {
 public:
  FsckState(engine::KvEngine& checked, const FsckOptions& wanted)
      : engine(checked), options(wanted) {}

  engine::KvEngine& engine;
  const FsckOptions& options;
  std::unique_ptr<engine::ReadToken> token;
  FsckReport report;
  std::unordered_map<Ino, InodeSummary> inodes;
  std::unordered_map<SegmentId, SegmentSummary> segments;
  std::map<std::pair<Ino, Ino>, uint32_t>
      names_in;                             // (inode, parent) of inodes with more than one name
  std::unordered_map<uint64_t, bool> acls;  // id → referenced

  // Calls `visit` for every item whose key begins with `prefix`.
  Status each(std::string_view prefix, const std::function<Status(const engine::Item&)>& visit);
  void problem(std::string what) { add({std::move(what), false, false}); }
  // Something that --repair mends by writing `value` (nullopt: by erasing) under `key`.
  void repairable(std::string what, std::string key, std::optional<std::string> value);
  // Writes the repairs collected; marks their problems.
  Status repair();

 private:
  struct Repair {
    std::string key;
    std::optional<std::string> value;
    size_t problem = 0;
  };
  void add(FsckProblem found);
  std::vector<Repair> repairs_;
  uint64_t keys_read_ = 0;
};

Status fsck_inodes(FsckState& state);   // I: reads all, sums inline extents
Status fsck_names(FsckState& state);    // D, L, cycles, link counts
Status fsck_data(FsckState& state);     // E, X, A, B, W, R
Status fsck_waiting(FsckState& state);  // O, G, T
Status fsck_usage(FsckState& state);    // U, letters nobody knows
// One extent of an inode: inside its slice and the file, behind the last one; counts it.
void fsck_extent(FsckState& state, Ino ino, InodeSummary& inode, const format::Extent& extent);

}  // namespace shoal::meta
