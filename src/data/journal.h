// One journal file = one segment on this machine's disk, and what staging knows about it. Who may
// do what in which state is decided by staging (staging_impl.h); this file holds the accounting.
//
//   kOpen      appended to (or kept ready for it)
//   kSealed    no record will follow; waits for an upload
//   kUploading read, its footer written, its PUT under way
//   kUploaded  the bucket has it; the owner is to be told
//   kStored    `B` says stored, or the segment was discarded; waits until nobody can need it any
//   more
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/ids.h"
#include "data/staging_folder.h"
#include "format/segment.h"
#include "sys/local_fs.h"
#include "sys/mutex.h"

namespace shoal::data {

// Frame CRCs of the slices that have more than one frame; those of small ones are in their record
// headers.
class FrameIndex {
 public:
  void add(uint64_t slice_offset, std::vector<uint32_t> crcs);         // offsets ascend
  void extend(uint64_t slice_offset, std::span<const uint32_t> crcs);  // of the last slice
  const std::vector<uint32_t>* find(uint64_t slice_offset) const;

 private:
  struct Slice {
    uint64_t offset;
    std::vector<uint32_t> crcs;
  };
  std::vector<Slice> slices_;
};

struct Journal {
  enum class State { kOpen, kSealed, kUploading, kUploaded, kStored };

  Journal(JournalName file_name, std::unique_ptr<File> file_, const format::SegmentHeader& header_)
      : ticket(file_name.number),
        segment(header_.segment),
        header(header_),
        file(std::move(file_)),
        name(file_name),
        end(begin()),
        synced_end(begin()) {}

  // Where records, or the slice of a large writer, begin.
  uint64_t begin() const {
    return header.external ? format::kExternalSliceAt : format::kSegmentHeaderBytes;
  }

  const uint64_t ticket;
  const SegmentId segment;
  const format::SegmentHeader header;
  const std::unique_ptr<File> file;
  std::atomic<int> pins{
      0};  // readers; taken under the registry's lock, so that none comes once it left the registry

  Mutex mutex;  // taken after a stream's lock and the registry's, before staging's leaf locks
  JournalName name GUARDED_BY(mutex);
  State state GUARDED_BY(mutex) = State::kOpen;
  bool poisoned GUARDED_BY(mutex) = false;  // a sync failed: never written or synced again
  bool marked GUARDED_BY(mutex) = false;    // poisoned, and the file's name says so, durably
  bool dirty GUARDED_BY(mutex) = false;     // among those that the next sync looks at
  // Found so by recovery: a record behind `end`, or bytes of a large writer, are not whole.
  bool torn GUARDED_BY(mutex) = false;
  bool discard GUARDED_BY(mutex) = false;  // nobody names it: `B` is removed instead of an upload
  bool keep GUARDED_BY(mutex) = false;     // uploaded even without a record: an extent names it
  bool telling GUARDED_BY(mutex) = false;  // somebody is talking to the owner about it
  bool complete_told GUARDED_BY(mutex) = false;
  uint64_t end GUARDED_BY(mutex);               // behind the last whole record
  uint64_t synced_end GUARDED_BY(mutex);        // likewise, of what is durable
  uint64_t object_bytes GUARDED_BY(mutex) = 0;  // 0: the footer is not in the file yet
  uint64_t records GUARDED_BY(mutex) = 0;
  uint64_t uncommitted GUARDED_BY(mutex) = 0;
  Stamp commit_stamp GUARDED_BY(mutex) = 0;  // highest of the commits of its records
  Stamp told_stamp GUARDED_BY(mutex) = 0;    // `B` says so no later than this
  std::vector<uint64_t> unsynced
      GUARDED_BY(mutex);  // positions appended since the last sync began; ascending
  std::vector<uint64_t> syncing
      GUARDED_BY(mutex);                         // positions the sync under way covers; ascending
  std::vector<uint64_t> lost GUARDED_BY(mutex);  // poisoned: positions that are gone; ascending
  std::vector<Ino> inos GUARDED_BY(mutex);       // of its records; sorted once it is sealed
  FrameIndex frames GUARDED_BY(mutex);
  // Segments of large writers that its records name: it outlives them here, since without its
  // records nobody knows their frames.
  std::vector<std::shared_ptr<Journal>> needs GUARDED_BY(mutex);
  // External: frames whose bytes were found not to be what their record says; ascending.
  std::vector<uint32_t> damaged_frames GUARDED_BY(mutex);
  std::chrono::nanoseconds first_record_at GUARDED_BY(mutex){0};
  std::chrono::nanoseconds retry_at GUARDED_BY(mutex){0};  // no upload before
  int failures GUARDED_BY(mutex) = 0;

  void note_ino(Ino ino) REQUIRES(mutex) {
    if (inos.empty() || inos.back() != ino) inos.push_back(ino);
  }
  // One more record, which leaves the end of what counts at `new_end`.
  void note_record(Ino ino, uint64_t new_end, std::chrono::nanoseconds now) REQUIRES(mutex);
  // Its last record was committed after the owner had been told that it is stored.
  bool finished() const REQUIRES(mutex) {
    return uncommitted == 0 && state == State::kStored && !complete_told;
  }
  // `B` says that it is stored and complete, or is gone, and that is durable.
  bool told(Stamp synced) const REQUIRES(mutex) {
    return state == State::kStored && complete_told && told_stamp <= synced;
  }
  void sort_inos() REQUIRES(mutex);
  bool holds_ino(Ino ino) REQUIRES(mutex) {
    return std::find(inos.begin(), inos.end(), ino) != inos.end();
  }
};
using JournalPtr =
    std::shared_ptr<Journal>;  // shared: readers and uploads outlive its place in the registry

// What a walk over a journal's records found.
struct Scan {
  uint64_t end = format::kSegmentHeaderBytes;  // behind the last whole record
  uint64_t records = 0;
  uint64_t object_bytes = 0;  // > 0: a whole footer follows, this is the segment's length
  bool torn = false;          // a record began at `end` whose bytes are not all there
  uint64_t sequence_max = 0;
};
// Yields up to `n` bytes at `position`; fewer only at the end. The view lives until the next call.
using ByteSource = std::function<Result<ByteView>(uint64_t position, size_t n)>;
using RecordVisitor =
    std::function<Status(uint64_t position, const format::RecordHeader&, ByteView payload)>;

// Walks from behind the segment header to the first thing that is no whole record below `limit`.
// Every CRC is checked. ENOTSUP: a newer program wrote there.
Result<Scan> scan_records(const ByteSource& source, const SegmentId& segment, uint64_t limit,
                          const RecordVisitor& visit);
ByteSource file_source(File& file);  // reads ahead by a megabyte
ByteSource memory_source(ByteView bytes);

// Bytes behind the last record: the end record and its footer.
std::string encode_end(const format::Footer& footer, uint64_t end, const SegmentId& segment);
// An end record without footer: closes a journal whose last append failed.
std::string encode_bare_end(const SegmentId& segment);

// Reads the record header whose slice begins at `slice_offset` of the journal.
Result<format::RecordHeader> read_record_header(File& file, const SegmentId& segment,
                                                uint64_t position);

}  // namespace shoal::data
