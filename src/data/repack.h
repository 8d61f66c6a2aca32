// repack: copies what is alive out of thin segments, sorted by directory, so that gc can free them
// (design §6.4).
#pragma once

#include <cstdint>
#include <functional>

#include "base/error.h"
#include "data/reader.h"
#include "data/staging.h"
#include "meta/maintenance.h"
#include "meta/metadata.h"
#include "object/object_store.h"

namespace shoal::data {

struct RepackReport {
  uint64_t segments = 0;  // rewritten
  uint64_t bytes_moved = 0;
  uint64_t extents_moved = 0;
};

// Segments ≤ 50 % live, and short ones when together they fill 16 MiB. An extent that changed
// meanwhile stays.
Result<RepackReport> repack(meta::Metadata& metadata, meta::Maintenance& maintenance,
                            object::ObjectStore& store, Reader& reader, Staging& staging,
                            const Uuid& volume,
                            const std::function<void(uint64_t segments)>& progress);

}  // namespace shoal::data
