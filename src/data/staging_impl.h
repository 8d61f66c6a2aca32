// The one implementation of Staging. Its parts, by file:
//
//   staging.cc          open, append, sealing, the two streams, status
//   staging_large.cc    large writers and their segments
//   staging_recover.cc  what earlier processes left: reading it at open
//   recover_large.cc    … of large writers' segments
//   replay.cc           offering it to the owner
//   staging_journals.cc making journals ready ahead of need, free files, recycling
//   staging_sync.cc     group fdatasync, poisoned journals
//   staging_read.cc     serving staged slices
//   uploader.cc         sealed journals → bucket → `B`
//   staging_store.cc    store_inode, store_all
//
// Locks, in this order: a large writer's, a stream's, the registry's, a journal's (of two, that of
// the large writer's segment first); then, never two at once, dirty_mutex_, pairs_mutex_,
// sync_mutex_, mutex_, places_mutex_. No I/O under any but a large writer's and a stream's (one
// pwrite each; and a journal made inline when none is ready).
//
// Large writers. The bytes are written first, then the record that names them; both files are
// synced before the record's position is. A record in a journal may be whole while its bytes are
// torn: recovery checks them by the CRCs in the record, and a record whose bytes fail is never
// offered, so that it ends its inode's prefix. A journal is kept until every large segment that its
// records name is stored and `B` says so, synced: only its records know their frames till then.
//
// Why nothing is lost on the way to a free file: the rename of a recycled journal to free-N is
// durable before the file is written again; a new journal's header is durable before it gets its
// name, the name before `B` is inserted, `B` before a record. So every file with a journal's name
// has a valid header, and every `B` staging here has a file.
#pragma once

#include <array>
#include <atomic>
#include <deque>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "data/journal.h"
#include "data/sequential_streams.h"
#include "data/staging.h"
#include "data/staging_folder.h"
#include "sys/executor.h"
#include "sys/gate.h"
#include "sys/mutex.h"

namespace shoal::data {

struct Upload;

class StagingImpl final : public Staging {
 public:
  StagingImpl(const StagingSeams& seams, const StagingIdentity& identity,
              const StagingOptions& options, std::unique_ptr<StoreFolder> folder);
  ~StagingImpl() override;
  Status recover();

  Uuid uuid() const override { return folder_->identity().store; }
  uint64_t nonce() const override { return folder_->nonce(); }
  Path folder() const override { return folder_->path(); }
  Result<ReplayReport> replay(meta::Metadata& metadata, uint32_t store_number) override;
  Result<Journaled> append(const DataOperation& operation, std::span<const ByteView> data) override;
  Status sync() override;
  uint64_t synced_position() const override {
    return synced_position_.load(std::memory_order_acquire);
  }
  std::vector<uint64_t> lost_positions() const override;
  void forget_lost(uint64_t position) override;
  void committed(const Journaled& record, Stamp stamp) override;
  Status store_inode(Ino ino) override;
  Status store_all(const std::function<void(const StagingStatus&)>& progress) override;
  bool holds(const SegmentId& id) const override;
  Status read(const SegmentId& id, uint64_t offset, MutableBytes into) override;
  bool upload_soon(const SegmentId& id) override;
  void will_need(const SegmentId& id, uint64_t begin, uint64_t end) override;
  Result<std::vector<uint32_t>> frame_crcs(const SegmentId& id, uint64_t offset) override;
  StagingStatus status() const override;
  void engine_synced(Stamp stamp) override;
  uint32_t number() const override { return store_number_; }
  SegmentId draw_segment_id() override { return {nonce(), ++last_segment_}; }

 private:
  friend class Replay;

  struct Stream {  // one of the two open small-file journals
    Mutex mutex;
    JournalPtr open GUARDED_BY(mutex);
    uint64_t tail GUARDED_BY(mutex) = 0;  // where the next record goes
  };
  enum JournalKind { kSmall, kExternal };  // records; the bytes of a large writer
  struct Standby {
    JournalPtr journal;
    bool preparing = false;
    bool wanted = false;  // not from store_all() to the next append
  };
  struct LargeWriter {
    Mutex mutex;
    JournalPtr open GUARDED_BY(mutex);
    Ino ino GUARDED_BY(mutex) = 0;        // of `open`
    uint64_t tail GUARDED_BY(mutex) = 0;  // where its next piece goes
  };
  struct Place {  // who has the large writer of the same index
    Ino ino = 0;
    std::chrono::nanoseconds used_at{0};
  };
  static constexpr size_t kLargeWritersMax = 8;
  struct Pair {  // the two files of an external record
    JournalPtr journal, bytes;
  };
  struct ExternalRecord {  // found by recovery
    JournalPtr journal;
    format::RecordHeader header;
    format::ExternalPlace place;
  };
  class Pin;

  // --- tasks ---
  void post(std::function<void()> body);
  void post_after(std::chrono::nanoseconds delay, std::function<void()> body);
  void tick();
  void announce();  // something that a waiter may wait for changed

  // --- append (staging.cc) ---
  Status check_operation(const DataOperation& operation, std::span<const ByteView> data) const;
  Status wait_for_room(uint64_t need);
  Stream& stream_of(Ino parent) { return streams_[(parent * 0x9e3779b97f4a7c15ull) >> 63]; }
  Status make_ready(Stream& stream, uint64_t bytes) REQUIRES(stream.mutex);
  Result<uint64_t> write_record(Stream& stream, format::RecordHeader& header,
                                std::span<const ByteView> payload) REQUIRES(stream.mutex);
  Journaled account(const JournalPtr& journal, uint64_t end, const format::RecordHeader& header,
                    std::vector<uint32_t> crcs);
  void mark_dirty(const JournalPtr& journal) REQUIRES(journal->mutex);
  void note_committed(const JournalPtr& journal, uint64_t position, Stamp stamp);
  void append_failed(Stream& stream) REQUIRES(stream.mutex);
  Status roll(Stream& stream) REQUIRES(stream.mutex);
  void seal(const JournalPtr& journal);
  void seal_open_if(const std::function<bool(Journal&)>& wanted);

  // --- large writers (staging_large.cc) ---
  LargeWriter* large_writer(const format::RecordHeader& header);  // null: it is none
  Status make_ready(LargeWriter& writer, Ino ino, uint64_t bytes) REQUIRES(writer.mutex);
  Result<std::optional<Journaled>> append_external(LargeWriter& writer, format::RecordHeader header,
                                                   std::span<const ByteView> data);
  Result<Journaled> describe_external(LargeWriter& writer, format::RecordHeader header,
                                      const format::ExternalPlace& place) REQUIRES(writer.mutex);
  Journaled account_external(const JournalPtr& journal, uint64_t end,
                             const format::RecordHeader& header, const JournalPtr& bytes,
                             const format::ExternalPlace& place);
  std::optional<Pair> take_pair(uint64_t position);
  void lose_other_halves(const JournalPtr& failed, const std::vector<uint64_t>& positions);
  void lose(const JournalPtr& journal, uint64_t position);

  // --- journals (staging_journals.cc) ---
  Result<JournalPtr> take_standby(JournalKind kind);
  Result<JournalPtr> prepare(JournalKind kind);
  Result<std::unique_ptr<File>> open_free_file(uint64_t number, Path& path);
  void prepare_ahead(JournalKind kind);
  void recycle();
  bool recyclable(Journal& journal, Stamp synced) const;
  void free_file(const JournalPtr& journal, bool& renamed);
  void keep_free(std::vector<uint64_t> numbers);
  void enter(const JournalPtr& journal);  // into the registry
  std::vector<JournalPtr> all_journals() const;

  // --- recovery (staging_recover.cc) ---
  Status recover_file(const std::string& name);
  void quarantine(const std::string& name, const std::string& why);
  Status recover_records(const JournalPtr& journal, uint64_t limit);
  // --- … of large writers (recover_large.cc) ---
  Status recover_large();
  Status recover_slice(const JournalPtr& journal, std::vector<ExternalRecord> records);

  // --- sync (staging_sync.cc) ---
  void sync_round();
  Status sync_journal(const JournalPtr& journal);
  void poison(const JournalPtr& journal, const Error& why);
  Status mark_poisoned(const JournalPtr& journal);
  void note_synced(uint64_t covered);
  void publish_synced() REQUIRES(sync_mutex_);

  // --- upload (uploader.cc) ---
  void enqueue(const JournalPtr& journal, bool first);
  void hurry(const JournalPtr& journal);
  void pump();
  JournalPtr next_upload();
  void upload(const JournalPtr& journal);
  Status load(Upload& upload);
  Status close_with_footer(Upload& upload, const format::Footer& footer);
  void finish_upload(const std::shared_ptr<Upload>& upload, Result<std::string> result);
  void upload_failed(const JournalPtr& journal, const Error& why);
  void release_slot();
  void tell(const JournalPtr& journal);
  void discard_segment(const JournalPtr& journal);
  void told(const JournalPtr& journal);
  void note_upload_error(const std::string& why);

  // --- store (staging_store.cc) ---
  Status wait_stored(const std::vector<JournalPtr>& journals,
                     const std::function<void(const StagingStatus&)>& progress);
  Status sync_engine();
  Error store_timed_out() const;

  const StagingSeams seams_;
  const StagingIdentity identity_;
  const StagingOptions options_;
  const std::unique_ptr<StoreFolder> folder_;
  const std::shared_ptr<Gate> gate_ =
      std::make_shared<Gate>();         // shared with tasks that outlive this
  meta::Metadata* metadata_ = nullptr;  // since replay()
  uint32_t store_number_ = 0;
  std::atomic<bool> replayed_{false};
  std::vector<std::string> recovery_lines_;         // open() only
  std::vector<ExternalRecord> external_records_;    // open() only
  std::unordered_set<uint64_t> bytes_are_missing_;  // open() and replay(): sequences of records

  std::atomic<uint64_t> next_sequence_{0};
  std::atomic<uint64_t> last_position_{0};
  std::atomic<uint64_t> synced_position_{0};
  std::atomic<uint64_t> bytes_{0};         // of records in journals that are not free
  std::atomic<uint64_t> next_number_{1};   // of journal files
  std::atomic<uint64_t> last_segment_{0};  // sequence within our nonce
  std::atomic<Stamp> synced_stamp_{0};
  std::atomic<int> waiting_for_room_{0};

  std::array<Stream, 2> streams_;

  SequentialStreams sequential_;
  std::array<LargeWriter, kLargeWritersMax> large_writers_;
  std::atomic<uint64_t> large_segments_{0};
  Mutex places_mutex_;
  std::array<Place, kLargeWritersMax> places_ GUARDED_BY(places_mutex_);
  Mutex pairs_mutex_;
  std::unordered_map<uint64_t, Pair> pairs_
      GUARDED_BY(pairs_mutex_);  // by position; until committed or lost

  mutable SharedMutex registry_mutex_;
  std::unordered_map<uint64_t, JournalPtr> by_ticket_ GUARDED_BY(registry_mutex_);
  std::unordered_map<SegmentId, JournalPtr> by_segment_ GUARDED_BY(registry_mutex_);

  Mutex dirty_mutex_;
  std::vector<JournalPtr> dirty_ GUARDED_BY(dirty_mutex_);  // with unsynced or syncing positions

  mutable Mutex sync_mutex_;
  CondVar sync_done_;
  bool sync_running_ GUARDED_BY(sync_mutex_) = false;
  uint64_t sync_covered_ GUARDED_BY(sync_mutex_) = 0;  // every position ≤ this is durable or lost
  std::set<uint64_t> lost_ GUARDED_BY(sync_mutex_);
  std::string lost_why_ GUARDED_BY(sync_mutex_);

  mutable Mutex mutex_;
  mutable CondVar changed_;
  uint64_t changes_ GUARDED_BY(mutex_) = 0;
  std::array<Standby, 2> standby_ GUARDED_BY(mutex_);    // by kind
  std::vector<uint64_t> free_ GUARDED_BY(mutex_);        // numbers of free files
  std::deque<JournalPtr> queue_ GUARDED_BY(mutex_);      // sealed, to be uploaded
  std::vector<JournalPtr> finished_ GUARDED_BY(mutex_);  // stored and complete, to be recycled
  int uploads_running_ GUARDED_BY(mutex_) = 0;
  uint64_t stored_segments_ GUARDED_BY(mutex_) = 0;
  uint64_t stored_bytes_ GUARDED_BY(mutex_) = 0;
  std::string upload_error_ GUARDED_BY(mutex_);
  std::chrono::nanoseconds upload_error_since_ GUARDED_BY(mutex_){0};

  std::unique_ptr<Periodic> timer_;
};

}  // namespace shoal::data
