// A commit: latch its keys, compare stamps, write one WriteBatch to RocksDB's log and memtable,
// release. Nothing here waits for the disk; sync() does, holding no latch (design §5.1).
//
// When the outcome of a write is not known, or a sync failed, the engine is broken: every call
// answers EIO until the process opens the folder again, for only recovery can tell what is there. A
// full disk is no such case: the adapter takes the record back (local_env.cc) and RocksDB is
// resumed when there is room.
#include "engine/rocksdb/rocksdb_engine.h"

#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/sst_file_writer.h>
#include <rocksdb/version.h>

#include <atomic>

#include "base/log.h"
#include "engine/rocksdb/database.h"
#include "engine/rocksdb/group_sync.h"
#include "engine/rocksdb/ingest.h"
#include "engine/rocksdb/latches.h"
#include "engine/rocksdb/stored_value.h"
#include "engine/rules.h"

namespace shoal::engine {
namespace {

using rocksdb::Slice;

Slice slice_of(std::string_view text) { return {text.data(), text.size()}; }
std::string_view view_of(const Slice& slice) { return {slice.data(), slice.size()}; }

class RocksdbEngine final : public KvEngine {
 public:
  RocksdbEngine(LocalFs& fs, Path folder, bool read_only, Database database)
      : fs_(fs),
        folder_(std::move(folder)),
        read_only_(read_only),
        database_(std::move(database)),
        db_(*database_.db),
        group_sync_([this] { return sync_log(); }) {}
  // A token must not outlive its engine.
  ~RocksdbEngine() override { CHECK(live_tokens_ == 0); }

  std::unique_ptr<ReadToken> read_token() override { return std::make_unique<Token>(*this); }
  Result<std::optional<Versioned>> get(const ReadToken* token, std::string_view key) override;
  Result<std::vector<std::optional<Versioned>>> get_many(
      const ReadToken* token, const std::vector<std::string>& keys) override;
  Result<Page> scan(const ReadToken* token, std::string_view begin, std::string_view end,
                    size_t limit) override;
  Result<std::optional<Item>> last(const ReadToken* token, std::string_view begin,
                                   std::string_view end) override;
  Result<CommitResult> commit(const Batch& batch) override;
  Status sync() override;
  Status ingest(const std::vector<Item>& items) override;
  Capabilities capabilities() const override {
    return {.native_merge = true, .durable_on_commit = false, .bulk_ingest = true};
  }
  std::string describe() const override {
    return fmt::format("RocksDB {}.{}.{} in {}", ROCKSDB_MAJOR, ROCKSDB_MINOR, ROCKSDB_PATCH,
                       folder_);
  }
  Result<uint64_t> disk_bytes() override;

 private:
  class Token final : public ReadToken {
   public:
    explicit Token(RocksdbEngine& owner) : engine(owner), snapshot(owner.db_.GetSnapshot()) {
      ++engine.live_tokens_;
    }
    ~Token() override {
      engine.db_.ReleaseSnapshot(snapshot);
      --engine.live_tokens_;
    }
    RocksdbEngine& engine;
    const rocksdb::Snapshot* const snapshot;
  };

  Status alive() const;
  Status writable() const;
  // Nothing is to be had from this engine any more.
  void break_down(std::string_view why);
  Result<rocksdb::ReadOptions> read_options(const ReadToken* token) const;
  Error failed(const rocksdb::Status& status, std::string_view doing) const {
    return to_error(status, doing, folder_);
  }
  Result<std::optional<Versioned>> decode(const rocksdb::Status& status, const Slice& stored) const;
  Result<Item> item_at(const rocksdb::Iterator& at) const;
  Result<bool> holds(const Write& write) const;
  Result<CommitResult> write(const Batch& batch);
  bool full() const { return database_.full->load(std::memory_order_relaxed); }
  void resume_if_full();
  Status sync_logs_ourselves();
  Status sync_log();

  LocalFs& fs_;
  const Path folder_;
  const bool read_only_;
  Database database_;
  rocksdb::DB& db_;
  Latches latches_;
  GroupSync group_sync_;
  std::atomic<bool> broken_ = false;
  std::atomic<int> live_tokens_ = 0;
  Mutex resuming_;
};

Status RocksdbEngine::alive() const {
  if (!broken_.load(std::memory_order_relaxed)) [[likely]]
    return {};
  return error(EIO, "the database in {} failed earlier and has to be opened again; see the log",
               folder_);
}

Status RocksdbEngine::writable() const {
  TRY(alive());
  if (read_only_) return error(EROFS, "{} was opened read-only", folder_);
  return {};
}

void RocksdbEngine::break_down(std::string_view why) {
  if (broken_.exchange(true)) return;
  log(LogLevel::kError, "{}: {}; nothing more is read from or written to it", folder_, why);
}

Result<rocksdb::ReadOptions> RocksdbEngine::read_options(const ReadToken* token) const {
  TRY(alive());
  rocksdb::ReadOptions options;
  if (token != nullptr) {
    const auto* own = dynamic_cast<const Token*>(token);
    if (own == nullptr || &own->engine != this) {
      return error(EINVAL, "a read token of another engine");
    }
    options.snapshot = own->snapshot;
  }
  return options;
}

Result<std::optional<Versioned>> RocksdbEngine::decode(const rocksdb::Status& status,
                                                       const Slice& stored) const {
  if (status.IsNotFound()) return std::optional<Versioned>();
  if (!status.ok()) return failed(status, "reading from");
  TRY_ASSIGN(const StoredView view, decode_stored(view_of(stored)));
  return std::optional<Versioned>({view.stamp, std::string(view.value)});
}

Result<std::optional<Versioned>> RocksdbEngine::get(const ReadToken* token, std::string_view key) {
  TRY_ASSIGN(const rocksdb::ReadOptions options, read_options(token));
  rocksdb::PinnableSlice stored;
  const rocksdb::Status status =
      db_.Get(options, db_.DefaultColumnFamily(), slice_of(key), &stored);
  return decode(status, stored);
}

Result<std::vector<std::optional<Versioned>>> RocksdbEngine::get_many(
    const ReadToken* token, const std::vector<std::string>& keys) {
  TRY_ASSIGN(const rocksdb::ReadOptions options, read_options(token));
  std::vector<std::optional<Versioned>> found(keys.size());
  if (keys.empty()) return found;
  std::vector<Slice> slices(keys.begin(), keys.end());
  std::vector<rocksdb::PinnableSlice> stored(keys.size());
  std::vector<rocksdb::Status> statuses(keys.size());
  db_.MultiGet(options, db_.DefaultColumnFamily(), keys.size(), slices.data(), stored.data(),
               statuses.data());
  for (size_t i = 0; i < keys.size(); ++i) {
    TRY_ASSIGN(found[i], decode(statuses[i], stored[i]));
  }
  return found;
}

Result<Item> RocksdbEngine::item_at(const rocksdb::Iterator& at) const {
  TRY_ASSIGN(const StoredView view, decode_stored(view_of(at.value())));
  return Item{at.key().ToString(), view.stamp, std::string(view.value)};
}

Result<Page> RocksdbEngine::scan(const ReadToken* token, std::string_view begin,
                                 std::string_view end, size_t limit) {
  TRY(check_scan_limit(limit));
  TRY_ASSIGN(rocksdb::ReadOptions options, read_options(token));
  Page page;
  if (!end.empty() && begin >= end) return page;
  const Slice upper = slice_of(end);
  if (!end.empty()) options.iterate_upper_bound = &upper;
  const std::unique_ptr<rocksdb::Iterator> at(db_.NewIterator(options));
  for (at->Seek(slice_of(begin)); at->Valid(); at->Next()) {
    if (page.items.size() == limit) {
      page.more = true;
      return page;
    }
    TRY_ASSIGN(Item item, item_at(*at));
    page.items.push_back(std::move(item));
  }
  if (!at->status().ok()) return failed(at->status(), "scanning");
  return page;
}

Result<std::optional<Item>> RocksdbEngine::last(const ReadToken* token, std::string_view begin,
                                                std::string_view end) {
  TRY_ASSIGN(rocksdb::ReadOptions options, read_options(token));
  if (!end.empty() && begin >= end) return std::optional<Item>();
  const Slice lower = slice_of(begin);
  const Slice upper = slice_of(end);
  if (!begin.empty()) options.iterate_lower_bound = &lower;
  if (!end.empty()) options.iterate_upper_bound = &upper;
  const std::unique_ptr<rocksdb::Iterator> at(db_.NewIterator(options));
  at->SeekToLast();
  if (!at->Valid()) {
    if (!at->status().ok()) return failed(at->status(), "scanning");
    return std::optional<Item>();
  }
  TRY_ASSIGN(Item item, item_at(*at));
  return std::optional<Item>(std::move(item));
}

Result<bool> RocksdbEngine::holds(const Write& write) const {
  rocksdb::PinnableSlice stored;
  const rocksdb::Status status =
      db_.Get(rocksdb::ReadOptions(), db_.DefaultColumnFamily(), slice_of(write.key), &stored);
  if (!status.ok() && !status.IsNotFound()) return failed(status, "reading from");
  if (write.kind == Write::Kind::kInsert) return status.IsNotFound();
  if (status.IsNotFound()) return false;
  TRY_ASSIGN(const StoredView view, decode_stored(view_of(stored)));
  return view.stamp == write.expected;
}

bool is_typed(Write::Kind kind) { return kind == Write::Kind::kInsert || expects_stamp(kind); }

Result<CommitResult> RocksdbEngine::commit(const Batch& batch) {
  TRY(writable());
  TRY(check_batch(batch));
  if (batch.empty()) return CommitResult{};
  if (full()) resume_if_full();
  const Latches::Held held = latches_.hold(batch.writes());
  CommitResult result;
  for (const Write& write : batch.writes()) {
    if (!is_typed(write.kind)) continue;
    TRY_ASSIGN(const bool as_expected, holds(write));
    if (!as_expected) result.conflicts.push_back(write.key);
  }
  if (!result.conflicts.empty()) {
    result.kind = CommitResult::Kind::kConflict;
    return result;
  }
  return write(batch);
}

rocksdb::Status add(rocksdb::WriteBatch& to, const Write& write, const Slice& stamp) {
  const Slice key = slice_of(write.key);
  switch (write.kind) {
    case Write::Kind::kCheck:
      return rocksdb::Status::OK();
    case Write::Kind::kInsert:
    case Write::Kind::kUpdate:
    case Write::Kind::kPut: {
      // The stored form in two pieces, so that the value is copied once.
      const Slice parts[] = {stamp, slice_of(write.value)};
      return to.Put(rocksdb::SliceParts(&key, 1), rocksdb::SliceParts(parts, 2));
    }
    case Write::Kind::kErase:
    case Write::Kind::kRemove:
      return to.Delete(key);
    case Write::Kind::kMergeAdd:
    case Write::Kind::kMergeMax:
      return to.Merge(key, encode_operand(write.kind, write.value));
  }
  return rocksdb::Status::InvalidArgument("kind of write");
}

Result<CommitResult> RocksdbEngine::write(const Batch& batch) {
  rocksdb::WriteBatch writes(batch.bytes() + 16);
  const std::string common = encode_stored(batch.stamp(), {});
  for (const Write& write : batch.writes()) {
    const std::string own = write.stamp != 0 ? encode_stored(write.stamp, {}) : std::string();
    const rocksdb::Status added = add(writes, write, slice_of(own.empty() ? common : own));
    if (!added.ok()) return failed(added, "preparing a write for");
  }
  if (writes.Count() == 0) return CommitResult{};
  rocksdb::WriteOptions options;
  options.no_slowdown = full();  // without compaction it might be slowed down for ever
  const rocksdb::Status status = db_.Write(options, &writes);
  if (status.ok()) [[likely]]
    return CommitResult{};
  if (status.IsNoSpace() || status.IsIncomplete()) {
    *database_.full = true;
    return error(ENOSPC, "the disk of {} is full: {}; free space on it", folder_,
                 status.ToString());
  }
  break_down(status.ToString());
  return CommitResult{CommitResult::Kind::kUnknown, {}};
}

// RocksDB stops its work, and after a failed write all writes, until it is resumed. There has to be
// room for its memtables before that is worth a try; what it allows without goes on.
void RocksdbEngine::resume_if_full() {
  MutexLock lock(resuming_);
  if (!full()) return;
  const Result<DiskSpace> space = fs_.space(folder_);
  if (!space.ok() || space->available_bytes < 2 * database_.options->write_buffer_size) return;
  *database_.full = false;  // before, so that a new error is not overlooked
  const rocksdb::Status status = db_.Resume();
  if (status.ok()) return;
  *database_.full = true;
  log(LogLevel::kWarn, "{}: no resuming after the disk was full: {}", folder_, status.ToString());
}

// While the disk is full RocksDB may have given up its log's writer, and SyncWAL() would run into
// an assertion. What was committed lies in the log files all the same; nothing is written to them
// before RocksDB resumes with a new one.
Status RocksdbEngine::sync_logs_ourselves() {
  TRY_ASSIGN(const std::vector<std::string> names, fs_.list(folder_));
  for (const std::string& name : names) {
    if (!name.ends_with(".log")) continue;
    TRY_ASSIGN(const std::unique_ptr<File> log,
               fs_.open(join(folder_, name), OpenMode::kReadWrite));
    TRY(log->sync_data());
  }
  return {};
}

Status RocksdbEngine::sync_log() {
  if (full()) {
    resume_if_full();
    if (full()) {
      const Status synced = sync_logs_ourselves();
      if (!synced.ok()) break_down(synced.error().text());
      return synced;
    }
  }
  const rocksdb::Status status = db_.SyncWAL();
  if (status.ok()) return {};
  break_down(fmt::format("syncing the log failed: {}", status.ToString()));
  return error(EIO, "syncing the log of {}: {}", folder_, status.ToString());
}

Status RocksdbEngine::sync() {
  TRY(alive());
  if (read_only_) return {};
  return group_sync_.run();
}

Status RocksdbEngine::ingest(const std::vector<Item>& items) {
  TRY(writable());
  TRY(check_ingest(items));
  if (items.empty()) return {};
  TRY_ASSIGN(SstFiles files, SstFiles::write(fs_, folder_, *database_.options, items));
  const Latches::Held held = latches_.hold_all();
  TRY(check_absent(db_, folder_, items));
  // What was committed before must not be missing after a power cut that leaves this.
  TRY(sync());
  const Status moved = files.move_into(db_);
  if (!moved.ok() && !moved.error().is(ENOSPC)) break_down(moved.error().text());
  return moved;
}

Result<uint64_t> RocksdbEngine::disk_bytes() {
  TRY_ASSIGN(const std::vector<std::string> names, fs_.list(folder_));
  uint64_t bytes = 0;
  for (const std::string& name : names) {
    const Result<FileInfo> info = fs_.stat(join(folder_, name));
    if (info.ok()) {
      bytes += info->allocated_bytes;
    } else if (!info.error().is(ENOENT)) {  // a compaction may just have removed it
      return info.error();
    }
  }
  return bytes;
}

}  // namespace

Result<std::unique_ptr<KvEngine>> open_rocksdb_on(LocalFs& fs, const Path& folder,
                                                  const RocksdbOptions& options,
                                                  std::unique_ptr<rocksdb::Env> env) {
  TRY_ASSIGN(Database database, open_database(fs, folder, options, std::move(env)));
  return std::unique_ptr<KvEngine>(
      std::make_unique<RocksdbEngine>(fs, folder, options.read_only, std::move(database)));
}

Result<std::unique_ptr<KvEngine>> open_rocksdb(LocalFs& fs, const Path& folder,
                                               RocksdbOptions options) {
  return open_rocksdb_on(fs, folder, options, nullptr);
}

}  // namespace shoal::engine
