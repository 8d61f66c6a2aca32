// gc: frees segments that nothing references (design §6.4). No listing is needed; --orphans
// compares a listing with B.
#pragma once

#include <cstdint>
#include <functional>

#include "base/error.h"
#include "data/reader.h"
#include "meta/maintenance.h"
#include "meta/metadata.h"
#include "object/object_store.h"
#include "sys/clock.h"

namespace shoal::data {

struct GcOptions {
  bool remove = false;   // false: only count
  bool orphans = false;  // objects under <volume>/seg/ without a B record, older than orphan_age
  std::chrono::seconds orphan_age{7 * 24 * 3600};
  std::function<void(uint64_t done)> progress;
};

struct GcReport {
  uint64_t segments = 0, stored_bytes = 0, live_bytes = 0;
  uint64_t dead_segments = 0, dead_bytes = 0, removed_segments = 0;
  uint64_t orphans = 0, orphan_bytes = 0, removed_orphans = 0;
};

// `reader` may be null; else it forgets what was freed. A failed delete leaves the segment dying:
// the next run goes on.
Result<GcReport> collect_garbage(meta::Metadata& metadata, meta::Maintenance& maintenance,
                                 object::ObjectStore& store, Reader* reader, const Uuid& volume,
                                 const Clock& clock, const GcOptions& options);

}  // namespace shoal::data
