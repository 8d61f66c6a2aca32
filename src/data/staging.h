// Staging: this machine's journal of data operations and the segments being written, not yet in the
// bucket (design §6.1, §6.2, §6.5). One Staging = one store = one folder `stores/<uuid>/`, locked
// while open.
//
// A journal file is a segment byte for byte: header, records, and at the seal the footer; it is
// uploaded as it lies. So is the file of a large writer's segment, whose bytes are described by
// records in a journal (external_segment.h). What append() returned survives a SIGKILL of this
// process; once sync() covered it, a power cut (I1, I9). A journal is recycled only when nobody can
// need it any more: every record in it committed (or dropped) and that commit synced in the engine,
// its segment stored and `B` says so, synced. Until then it also serves reads.
//
// Staging decides segment ids, sequences, what is durable, sealing, upload and recycling; it never
// writes metadata but by the three calls segment_open, segment_stored and segment_discard of
// meta::Metadata.
//
// Thread-safe. Bounded: append() blocks while more than Options::bytes_max lie in staging (and
// returns EIO after store_timeout, when set); ENOSPC when the disk is full, before any byte was
// taken.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"
#include "format/segment.h"
#include "meta/metadata.h"
#include "object/object_store.h"
#include "sys/clock.h"
#include "sys/executor.h"
#include "sys/local_fs.h"
#include "sys/random.h"

namespace shoal::data {

// An inode that got so many bytes one behind the other is a large writer: its further records of
// more than a frame go to segments of their own.
inline constexpr uint64_t kLargeWriterBytes = 4 << 20;

struct StagingOptions {
  uint64_t bytes_max = uint64_t{10} << 30;    // of all journals; writers wait beyond
  uint64_t segment_bytes = kSegmentBytesMax;  // sealed at this size
  std::chrono::milliseconds seal_age_small{
      60'000};  // sealed after, whatever its size (if it has records)
  std::chrono::milliseconds seal_age_large{5'000};  // sealed after, once it holds seal_large_bytes
  uint64_t seal_large_bytes = 8 << 20;
  uint64_t large_writer_bytes = kLargeWriterBytes;
  std::chrono::milliseconds store_timeout{0};  // 0: wait for the bucket for ever
  int uploads_max = 2;                         // at once
  bool uploads_enabled = true;  // false: nothing is uploaded (tests, `umount --force`)
};

// What is journaled for one data operation; sequence, CRCs and sizes are filled in by append().
struct DataOperation {
  format::RecordKind kind = format::RecordKind::kData;
  uint16_t flags = 0;  // format::kRecord* that the caller may set: all but kRecordExternal
  Ino ino = 0;
  uint64_t generation = 0;
  Ino parent =
      0;  // also chooses the journal: a directory always goes to the same of the two open ones
  uint64_t previous_sequence = 0;
  Stamp base_version = 0;
  uint64_t offset = 0;  // kTruncate: the new size
  uint64_t length = 0;  // kPunch, kZero; kData: must be the bytes given
  Time mtime;
  Time atime;
};

// A record in a journal. Value type; `journal` + `sequence` name it for committed().
struct Journaled {
  meta::DataRecord record;  // ready to be offered to the owner
  uint64_t journal = 0;     // ticket of the journal that holds the record
  uint64_t bytes_in = 0;  // … of a large writer's segment that holds the bytes; 0: `journal` does
  uint64_t position =
      0;  // order of appends over all journals: sync() covers every position appended before it
};

struct ReplayReport {
  uint64_t journals = 0, records = 0, applied = 0, already = 0, no_inode = 0, conflicts = 0,
           quarantined_files = 0;
  uint64_t torn_tails = 0;
  std::vector<std::string>
      lines;  // what was not applied and why, for the report file in the store's folder
  // `B` lists them as staging here, but no journal holds them: their bytes are lost. The caller
  // refuses to mount unless --accept-lost-staging. Of those given up before: what holds nothing any
  // more.
  std::vector<meta::SegmentInfo> lost_segments;
};

struct StagingStatus {
  uint64_t bytes = 0;             // in journals that are not free
  uint64_t segments_waiting = 0;  // sealed, not stored
  uint64_t uploads_running = 0;
  uint64_t stored_segments = 0;  // since open
  uint64_t stored_bytes = 0;
  uint64_t large_segments = 0;  // of large writers, begun since open
  std::string upload_error;     // why uploads do not get on; empty when they do
  std::chrono::nanoseconds upload_error_age{0};
  std::chrono::nanoseconds oldest_age{0};  // of the oldest record not stored
};

// What staging needs beside itself. All outlive it.
struct StagingSeams {
  LocalFs& fs;
  const Clock& clock;
  Random& random;
  Executor& executor;  // uploads, timers
  object::ObjectStore& store;
};

struct StagingIdentity {
  Uuid volume;
  uint64_t lineage = 0;
  std::string host;
};

class Staging {
 public:
  // Takes the first unlocked store of this volume below `state_dir`/stores, or makes one. Draws a
  // nonce, notes it in the folder (durable), reads what earlier processes left. Nothing may be
  // appended before replay(). Files of another volume, another store or a newer format are moved to
  // `quarantine/` and reported, never removed.
  static Result<std::unique_ptr<Staging>> open(const StagingSeams& seams, const Path& state_dir,
                                               const StagingIdentity& identity,
                                               const StagingOptions& options);
  // Stops uploads and timers; what is journaled stays for the next start. No other call may be
  // under way; tasks of ours that the executor runs later do nothing.
  virtual ~Staging() = default;

  virtual Uuid uuid() const = 0;
  virtual uint64_t nonce() const = 0;
  virtual Path folder() const = 0;
  virtual uint32_t number() const = 0;  // as given to replay(); 0 before
  virtual SegmentId
  draw_segment_id() = 0;  // a fresh one of this store, for segments that are not journals

  // Offers every record left over to the owner, by sequence, many inodes per call; for each inode
  // it stops at the first record whose predecessor is missing. Then seals and uploads what was
  // left. Discards journals without a living record. `store_number` is what Metadata::store_open
  // gave for uuid(). Call once.
  virtual Result<ReplayReport> replay(meta::Metadata& metadata, uint32_t store_number) = 0;

  // One pwrite through the page cache. `data` is the operation's bytes (kData: 1 … kRecordBytesMax
  // in all; else empty); they are not needed after the call. A new segment is opened with the owner
  // ahead of need.
  virtual Result<Journaled> append(const DataOperation& operation,
                                   std::span<const ByteView> data) = 0;

  // Everything appended before the call is on stable storage. Concurrent calls share fdatasyncs. A
  // failure poisons the journal: the error names it, and it is never written or trusted again. The
  // records in it that no earlier sync had covered are lost_positions(); every sync() that covers
  // one of them fails with EIO, and synced_position() stays below them, until forget_lost(). The
  // caller journals those operations, and the later ones of the same inodes (their chain of
  // previous sequences broke), anew from its buffers, or gives them up, and then forgets them.
  virtual Status sync() = 0;
  virtual uint64_t synced_position() const = 0;  // records with position ≤ this are durable
  virtual std::vector<uint64_t> lost_positions()
      const = 0;  // ascending; without what was dropped before (stamp 0)
  // The lost record is journaled anew or given up. committed() need not (but may) be called for it.
  virtual void forget_lost(uint64_t position) = 0;

  // The record was committed by the owner in a commit with this stamp, or dropped with its inode
  // (stamp 0). Exactly once per record. REQUIRES stamp == 0 or that a sync covered it (I1).
  virtual void committed(const Journaled& record, Stamp stamp) = 0;

  // Class `object`: returns when every segment that holds records appended so far of this inode is
  // stored, complete in `B`, and the engine is synced. Seals what has to be. The records must have
  // been committed before. EINTR when given up (sys/on_behalf.h).
  virtual Status store_inode(Ino ino) = 0;
  // The same for everything (shoal flush, umount). Afterwards `B` lists no segment as staging here
  // until the next append.
  virtual Status store_all(const std::function<void(const StagingStatus&)>& progress) = 0;

  // True when the segment is (still) here. Reads stored bytes [offset, offset+into.size()) of it;
  // no CRC is checked here.
  virtual bool holds(const SegmentId& id) const = 0;
  virtual Status read(const SegmentId& id, uint64_t offset,
                      MutableBytes into) = 0;  // ENOENT: no longer here
  // Seals it, when it is still written, and puts it first in the queue of uploads. False: it is not
  // here.
  virtual bool upload_soon(const SegmentId& id) = 0;
  // A hint that stored bytes [begin, end) of it will be read soon.
  virtual void will_need(const SegmentId& id, uint64_t begin, uint64_t end) = 0;
  // Frame CRCs of the slice whose first stored byte is `offset`; ENOENT as above.
  virtual Result<std::vector<uint32_t>> frame_crcs(const SegmentId& id, uint64_t offset) = 0;

  virtual StagingStatus status() const = 0;
  // The engine has everything with stamp ≤ `stamp` on stable storage: lets journals be recycled.
  // Stamps are those of Metadata::committed_stamp() and commits.
  virtual void engine_synced(Stamp stamp) = 0;
};

}  // namespace shoal::data
