// ReadPlan: where each byte of one read comes from, drawn up under the inode's latch and carried
// out without it. Everything it points to is immutable or kept alive by it, so that a read sees one
// state of the file, whole.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "client/inode_table.h"

namespace shoal::client {

struct ReadPlan {
  struct Piece {
    enum class From { kHole, kMemory, kSlice } from = From::kHole;
    size_t at = 0;  // in the reader's buffer
    size_t length = 0;
    ChunkPtr chunk;         // kMemory
    format::Target target;  // kSlice
    uint64_t first = 0;     // byte of the chunk or slice
  };
  size_t bytes = 0;
  std::vector<Piece> pieces;
  // The owner's extents from the first that is read on, for read-ahead; in `page`.
  std::span<const format::Extent> extents;
  ExtentCache::PagePtr page;
};

enum class Planned { kReady, kExtentsMissing };

// kExtentsMissing: `missing_from` is a file offset whose extents have to be fetched first.
Planned plan_read(const InodeState& inode, uint64_t offset, size_t length, ReadPlan& plan,
                  uint64_t& missing_from) REQUIRES(inode.latch);

// The first byte ≥ offset that is data (or a hole: the end of the file counts as one), as lseek(2).
struct Sought {
  enum class Outcome { kFound, kNone, kExtentsMissing } outcome = Outcome::kNone;
  uint64_t offset = 0;  // kFound; kExtentsMissing: what is missing
};
Sought plan_seek(const InodeState& inode, uint64_t offset, bool data) REQUIRES(inode.latch);

}  // namespace shoal::client
