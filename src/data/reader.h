// Reader: extents → verified bytes (design §6.3, I3, I4). Staging, memory, disk cache, store, in
// that order; single-flight per block; read-ahead for streams; every frame's CRC is checked on its
// way out.
//
// Thread-safe; nothing on this path takes a global lock.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "cache/block_cache.h"
#include "data/staging.h"
#include "format/extent.h"
#include "object/object_store.h"

namespace shoal::data {

struct ReaderOptions {
  uint64_t memory_bytes = 64 << 20;          // blocks kept in memory
  uint64_t read_ahead_bytes_max = 32 << 20;  // window per stream
  uint64_t ahead_bytes_max = 48 << 20;       // read ahead over all streams and not yet asked for
  uint64_t fill_bytes_max = 64 << 20;        // fetched and on their way to the disk cache
  std::chrono::milliseconds deadline{30'000};
};

// Remembers how one open file is being read: as a stream or at random. One per handle; thread-safe.
class ReadPattern;

// kStream: what lies around will be wanted too, so whole blocks are fetched and kept for it.
enum class ReadMode { kRandom, kStream };

struct ReadStats {
  uint64_t staged_bytes = 0, memory_bytes = 0, disk_bytes = 0, store_bytes = 0;
  uint64_t store_gets = 0, crc_errors = 0, retries = 0;
  uint64_t holder_bytes = 0;  // from other mounts
};

class Holders;

class Reader {
 public:
  struct Seams {
    object::ObjectStore& store;
    cache::BlockCache& cache;
    Executor& executor;
    const Clock& clock;
    Uuid volume;
    Holders* holders = nullptr;  // null: nobody else has staged anything
  };
  static std::unique_ptr<Reader> make(const Seams& seams, Staging* staging,
                                      const ReaderOptions& options);
  virtual ~Reader() = default;

  virtual std::shared_ptr<ReadPattern> make_pattern() = 0;  // shared with read-ahead in flight

  // A program reads [offset, offset + length) of a file: tells how its pieces should be read, and
  // starts reading ahead. `extents`: some of the file's, ascending, from the one at `offset` on.
  virtual ReadMode begin(ReadPattern& pattern, uint64_t offset, uint64_t length,
                         std::span<const format::Extent> extents) = 0;
  // Fills `into` with bytes [first, first + into.size()) of the slice. ENOENT: the segment is gone
  // (the caller fetches extents again, once); EIO: everything was tried; the message names segment
  // and range.
  virtual Status read(const format::Target& target, uint64_t first, MutableBytes into,
                      ReadMode mode) = 0;

  virtual ReadStats stats() const = 0;
  virtual void forget(const SegmentId& id) = 0;  // freed: drop what is cached of it
};

}  // namespace shoal::data
