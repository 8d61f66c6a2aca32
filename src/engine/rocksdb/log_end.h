// Where a write-ahead log of RocksDB ends after a power cut.
//
// The format (RocksDB wiki, "Write Ahead Log File Format"): blocks of 32 KiB, in each of them
// records with a header of u32 checksum, u16 length, u8 type, little-endian; only what is too short
// for a header is left zero at the end of a block. Sectors that never reached the disk read as
// zeros. RocksDB takes a header of zeros for preallocated space, says nothing, and goes on with the
// next block: commits would be missing before others that are there. So the log has to end for it
// at the first such header. Every other damage has a wrong checksum, which RocksDB stops at itself.
//
// Logs are never recycled (options.cc), whose records would have longer headers.
#pragma once

#include <cstdint>

#include "base/error.h"
#include "sys/local_fs.h"

namespace shoal::engine {

// The offset of the first header of zeros, or the size of the log when there is none.
Result<uint64_t> log_end(File& log);

}  // namespace shoal::engine
