// fsck: rebuilds every count of a volume's metadata from scratch and compares (I8). Never trusts a
// counter; reads the engine only, in pages. The bucket's side (objects, sizes, footers) is checked
// by data/fsck_bucket.h.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "format/extent.h"

namespace shoal::meta {

struct FsckProblem {
  std::string what;  // one sentence: which key, what it is, what it should be
  bool repaired = false;
  bool repairable = false;
};

struct FsckReport {
  uint64_t inodes = 0, directories = 0, entries = 0, extents = 0, segments = 0;
  uint64_t bytes = 0;                 // Σ extent lengths
  uint64_t reclaimable = 0;           // inodes waiting in G, open-unlinked in O: no fault
  std::vector<FsckProblem> problems;  // the first 1,000
  uint64_t problems_total = 0;
};

struct FsckOptions {
  bool repair = false;  // only what loses nothing: counters, links, missing G records
  std::function<void(uint64_t done)> progress;  // keys read
};

// Reads at one read token, so a live volume may be checked: every operation is one batch, and what
// takes several leaves a state that is sound (a G record, a dying flag). `repair` REQUIRES that
// nobody else has the engine open. Checks: every D names an I and every I but root, O, G and T is
// named; nlink = names (2 + subdirectories); L iff more than one name; parent; no cycle; extents
// ascending, not overlapping, inside size and inside their slices; `allocated`; Content against E
// records; W = Σ lengths per segment, no W without B; B present for every extent, not dying; R
// names a known segment; U = recount; T and O name inodes without a name; X and A references;
// unknown letters.
Result<FsckReport> fsck(engine::KvEngine& engine, const FsckOptions& options);

// Every extent that points into a segment, in no particular order. `visit` must not write.
Status each_extent(engine::KvEngine& engine,
                   const std::function<Status(Ino, const format::Extent&)>& visit);

}  // namespace shoal::meta
