// The embedded engine: one RocksDB folder per volume, plain DB with own latches and WriteBatch,
// every file through a LocalFs so that tests can cut the power.
#pragma once

#include <memory>

#include "engine/engine.h"
#include "sys/local_fs.h"

namespace shoal::engine {

struct RocksdbOptions {
  bool create_if_missing = false;  // false and absent: ENOENT
  bool read_only = false;
  uint64_t block_cache_bytes = 64 << 20;
  uint64_t write_buffer_bytes = 32 << 20;
};

// EBUSY when another process has it open, EBADMSG when it is corrupt, ENOENT when there is none.
// `fs` outlives it.
Result<std::unique_ptr<KvEngine>> open_rocksdb(LocalFs& fs, const Path& folder,
                                               RocksdbOptions options);

}  // namespace shoal::engine
