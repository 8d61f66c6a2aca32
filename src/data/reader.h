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
  uint64_t memory_bytes = 64 << 20;          // frame tables and blocks kept in memory
  uint64_t read_ahead_bytes_max = 32 << 20;  // window per stream
  uint64_t in_flight_bytes_max = 64 << 20;   // over all streams
  std::chrono::milliseconds deadline{30'000};
};

// Remembers how one open file is being read: sequential, strided, random. One per handle;
// thread-safe.
class ReadPattern;

struct ReadStats {
  uint64_t staged_bytes = 0, memory_bytes = 0, disk_bytes = 0, store_bytes = 0;
  uint64_t store_gets = 0, crc_errors = 0, retries = 0;
};

class Reader {
 public:
  struct Seams {
    object::ObjectStore& store;
    cache::BlockCache& cache;
    Executor& executor;
    const Clock& clock;
    Uuid volume;
  };
  static std::unique_ptr<Reader> make(const Seams& seams, Staging* staging,
                                      const ReaderOptions& options);
  virtual ~Reader() = default;

  virtual std::shared_ptr<ReadPattern> make_pattern() = 0;  // shared with read-ahead in flight

  // Fills `into` with bytes [first, first + into.size()) of the slice. `extents_ahead`: what lies
  // behind in the file, for read-ahead (may be empty). ENOENT: the segment is gone (the caller
  // fetches extents again, once); EIO: everything was tried; the message names segment and range.
  virtual Status read(const format::Target& target, uint64_t first, MutableBytes into,
                      ReadPattern* pattern, std::span<const format::Extent> extents_ahead) = 0;

  virtual ReadStats stats() const = 0;
  virtual void forget(const SegmentId& id) = 0;  // freed: drop what is cached of it
};

}  // namespace shoal::data
