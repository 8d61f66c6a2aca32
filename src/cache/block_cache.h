// BlockCache: pieces of immutable objects on this node's disks. Not state: any trouble is a miss,
// counted; it never fails a read and never returns a byte whose CRC did not match (unless the
// caller checks that itself).
//
// A *chunk* is what one slot holds: up to kBlockBytes that share a 128-bit key. Today a chunk is a
// whole block (4 MiB- aligned piece of a segment or imported object); the group's erasure-coded
// chunks will be others under the same calls. Thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/error.h"
#include "base/ids.h"
#include "sys/clock.h"
#include "sys/local_fs.h"

namespace shoal::cache {

struct ChunkKey {
  uint64_t high = 0;
  uint64_t low = 0;
  auto operator<=>(const ChunkKey&) const = default;
};
// Key of block number `block` of a segment; of an imported object's version.
ChunkKey segment_block_key(const SegmentId& id, uint64_t block);
ChunkKey object_block_key(std::string_view source, std::string_view key, std::string_view etag,
                          uint64_t block);

struct CacheStats {
  uint64_t capacity_bytes = 0, used_bytes = 0;
  uint64_t hits = 0, misses = 0, fills = 0, evictions = 0;
  uint64_t crc_errors = 0, io_errors = 0;
  bool degraded = false;  // the disk failed so often that it is left alone for a while
};

// Who compares what was read with a CRC. kByCaller: the caller has CRCs of its own, knows that a
// cached copy can be torn, and forgets the chunk when they differ.
enum class Verify { kHere, kByCaller };

class BlockCache {
 public:
  virtual ~BlockCache() = default;
  // True when all of [offset, offset+into.size()) of the chunk is here and its CRCs match; else
  // nothing useful is in `into`. Counts as a hit or miss and as a use for eviction.
  virtual bool read(const ChunkKey& key, uint32_t offset, MutableBytes into,
                    Verify verify = Verify::kHere) = 0;
  // Keeps the bytes (offset a multiple of 4 KiB; a length that is not one must end the chunk:
  // `chunk_bytes`). May decline silently. `chunk_bytes` is the chunk's true length (the last block
  // of an object is short).
  virtual void write(const ChunkKey& key, uint32_t offset, ByteView bytes,
                     uint32_t chunk_bytes) = 0;
  // Whether the part of the range that the chunk has is here, as far as known without reading it. A
  // range may go beyond the end of a chunk but must not begin there.
  virtual bool contains(const ChunkKey& key, uint32_t offset, uint32_t length) const = 0;
  // The chunk's length when all of it is here, as far as known without reading it; else 0.
  virtual uint32_t whole(const ChunkKey& key) const = 0;
  virtual void forget(const ChunkKey& key) = 0;
  virtual CacheStats stats() const = 0;
};

// The disk cache of design §6.5: slab, index, validity bitmaps, CRC per 4 KiB, SIEVE; disk_cache.h
// describes it. Opens what is there (restart reads the index only); a corrupt index is dropped and
// begun anew with a log line. Capacity may differ from last time. Space is counted per 64 KiB of
// which something is here. Calls do disk I/O on the caller's thread. Errors name the folder and say
// that the mount goes on without a disk cache: EWOULDBLOCK when another process has it, EACCES,
// EROFS, ENOSPC and what else the disk may answer. `fs` and `clock` outlive the cache.
struct DiskCacheOptions {
  uint64_t capacity_bytes = uint64_t{100} << 30;
  uint64_t free_bytes_min = uint64_t{1} << 30;  // left free on the disk whatever the capacity says
};
Result<std::unique_ptr<BlockCache>> open_disk_cache(LocalFs& fs, const Clock& clock,
                                                    const Path& folder, DiskCacheOptions options);
// Always misses; for mounts without a cache disk.
std::unique_ptr<BlockCache> make_null_cache();

}  // namespace shoal::cache
