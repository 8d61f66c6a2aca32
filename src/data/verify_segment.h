// Reads a stored segment from one end to the other and compares every frame with its checksum: what
// `fsck --data` does with each. Needs the bucket alone.
#pragma once

#include <vector>

#include "base/ids.h"
#include "object/object_store.h"

namespace shoal::data {

struct ByteRange {  // of an object: [begin, end)
  uint64_t begin = 0;
  uint64_t end = 0;
};

// Ascending ranges whose bytes are not what was written; the whole object when its footer is
// damaged, for nothing can be verified then. Errors are the store's.
Result<std::vector<ByteRange>> damaged_ranges(object::ObjectStore& store, const Uuid& volume,
                                              const SegmentId& id, uint64_t object_bytes);

}  // namespace shoal::data
