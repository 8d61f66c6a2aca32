#include "engine/rocksdb/local_env.h"

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <algorithm>
#include <atomic>
#include <limits>

#include "engine/rocksdb/log_end.h"
#include "engine/rocksdb/manifest_redo.h"
#include "sys/mutex.h"

namespace shoal::engine {
namespace {

using rocksdb::FileOptions;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

// The classes of error that RocksDB acts upon; everything else is an IOError with our text.
IOStatus to_rocksdb(const Error& failure, const std::string& path) {
  const std::string text = failure.text();
  switch (failure.code()) {
    case ENOENT:
      return IOStatus::PathNotFound(path, text);
    case ENOSPC:
    case EDQUOT:
      return IOStatus::NoSpace(path, text);
    case EWOULDBLOCK:
    case EBUSY:
      return IOStatus::Busy(path, text);
    default:
      return IOStatus::IOError(path, text);
  }
}

IOStatus to_rocksdb(const Status& status, const std::string& path) {
  return status.ok() ? IOStatus::OK() : to_rocksdb(status.error(), path);
}

bool is_log(std::string_view path) { return path.ends_with(".log"); }
bool is_manifest(std::string_view name) { return name.starts_with("MANIFEST-"); }

ByteView bytes_of(const Slice& slice) { return as_bytes({slice.data(), slice.size()}); }

MutableBytes bytes_at(char* scratch, size_t n) {
  return {reinterpret_cast<std::byte*>(scratch), n};
}

constexpr uint64_t kNoEnd = std::numeric_limits<uint64_t>::max();

class SequentialFile final : public rocksdb::FSSequentialFile {
 public:
  // What lies at `end` and behind is not read.
  SequentialFile(std::string path, std::unique_ptr<File> file, uint64_t end)
      : path_(std::move(path)), file_(std::move(file)), end_(end) {}

  IOStatus Read(size_t n, const IOOptions&, Slice* result, char* scratch,
                IODebugContext*) override {
    n = std::min<uint64_t>(n, end_ - offset_);
    const Result<size_t> got = file_->read_at(offset_, bytes_at(scratch, n));
    if (!got.ok()) return to_rocksdb(got.error(), path_);
    offset_ += *got;
    *result = Slice(scratch, *got);
    return IOStatus::OK();
  }

  IOStatus Skip(uint64_t n) override {
    const Result<uint64_t> size = file_->size();
    if (!size.ok()) return to_rocksdb(size.error(), path_);
    offset_ = std::min({*size, offset_ + n, end_});
    return IOStatus::OK();
  }

 private:
  const std::string path_;
  const std::unique_ptr<File> file_;
  const uint64_t end_;
  uint64_t offset_ = 0;
};

class RandomAccessFile final : public rocksdb::FSRandomAccessFile {
 public:
  RandomAccessFile(std::string path, std::unique_ptr<File> file)
      : path_(std::move(path)), file_(std::move(file)) {}

  IOStatus Read(uint64_t offset, size_t n, const IOOptions&, Slice* result, char* scratch,
                IODebugContext*) const override {
    const Result<size_t> got = file_->read_at(offset, bytes_at(scratch, n));
    if (!got.ok()) return to_rocksdb(got.error(), path_);
    *result = Slice(scratch, *got);
    return IOStatus::OK();
  }

 private:
  const std::string path_;
  const std::unique_ptr<File> file_;
};

// Keeps the write-ahead logs in order: a log gets its first byte only after everything in its
// predecessor is durable.
//
// RocksDB itself leaves the predecessor to later syncs. A power cut could then cut the older log
// short at the end of some record, or lose it, and keep the newer one: recovery would see two whole
// logs and replay both, with a hole between them. This way only the newest log can lose its tail.
class LogOrder {
 public:
  explicit LogOrder(LocalFs& fs) : fs_(fs) {}

  // Makes the predecessor of `log` durable, name and bytes, and `log` the one that the next has to
  // wait for. An error is a failed sync.
  Status begin(const std::string& path, std::shared_ptr<File> log) {
    MutexLock lock(mutex_);
    if (newest_ != nullptr) {
      TRY(newest_->sync_data());
      TRY(fs_.sync_dir(parent_of(path)));
    }
    newest_ = std::move(log);
    return {};
  }

 private:
  LocalFs& fs_;
  Mutex mutex_;
  // Shared with the WritableFile, which RocksDB may close before the next log begins.
  std::shared_ptr<File> newest_ GUARDED_BY(mutex_);
};

class WritableFile final : public rocksdb::FSWritableFile {
 public:
  // `order` is null for what is no log.
  WritableFile(std::string path, std::unique_ptr<File> file, const FileOptions& options,
               uint64_t size, LogOrder* order)
      : FSWritableFile(options),
        path_(std::move(path)),
        file_(std::move(file)),
        size_(size),
        order_(order) {}

  using FSWritableFile::Append;
  IOStatus Append(const Slice& data, const IOOptions&, IODebugContext*) override {
    if (order_ != nullptr) {
      const Status begun = order_->begin(path_, file_);
      // Never NoSpace: what a failed sync lost is not to be had back by freeing space.
      if (!begun.ok()) return IOStatus::IOError(path_, begun.error().text());
      order_ = nullptr;
    }
    const Status written = file_->write_at(size_, bytes_of(data));
    if (!written.ok()) return take_back(to_rocksdb(written, path_));
    size_ += data.size();
    return IOStatus::OK();
  }

  IOStatus Truncate(uint64_t size, const IOOptions&, IODebugContext*) override {
    const Status status = file_->truncate(size);
    if (status.ok()) size_ = size;
    return to_rocksdb(status, path_);
  }

  IOStatus Close(const IOOptions&, IODebugContext*) override {
    file_.reset();
    return IOStatus::OK();
  }

  IOStatus Flush(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }

  IOStatus Sync(const IOOptions&, IODebugContext*) override {
    return to_rocksdb(file_->sync_data(), path_);
  }
  IOStatus Fsync(const IOOptions&, IODebugContext*) override {
    return to_rocksdb(file_->sync(), path_);
  }
  bool IsSyncThreadSafe() const override { return true; }  // as every File is

  uint64_t GetFileSize(const IOOptions&, IODebugContext*) override { return size_; }

 private:
  // A full disk is the one failure a program may go on after, so it has to be sure that nothing of
  // the record can come back, not even after a power cut. When that can not be had the failure is
  // an ordinary IOError.
  IOStatus take_back(IOStatus failure) {
    if (!failure.IsNoSpace()) return failure;
    Status status = file_->truncate(size_);
    if (status.ok()) status = file_->sync_data();
    return status.ok() ? failure : IOStatus::IOError(path_, "full, and not to be cut back");
  }

  const std::string path_;
  std::shared_ptr<File> file_;  // shared with LogOrder
  uint64_t size_;
  LogOrder* order_;  // until the first byte
};

// Holds back what is appended until it is synced, and then lets it happen as a whole
// (manifest_redo.h).
class ManifestFile final : public rocksdb::FSWritableFile {
 public:
  ManifestFile(std::string path, std::unique_ptr<File> file, const FileOptions& options,
               uint64_t size, ManifestRedo& redo, std::atomic<bool>& undecided)
      : FSWritableFile(options),
        path_(std::move(path)),
        file_(std::move(file)),
        durable_size_(size),
        redo_(redo),
        undecided_(undecided) {}

  using FSWritableFile::Append;
  IOStatus Append(const Slice& data, const IOOptions&, IODebugContext*) override {
    pending_.append(data.data(), data.size());
    return IOStatus::OK();
  }
  IOStatus Flush(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus Sync(const IOOptions&, IODebugContext*) override {
    return to_rocksdb(write_pending(), path_);
  }
  IOStatus Close(const IOOptions&, IODebugContext*) override {
    const Status written = write_pending();
    file_.reset();
    return to_rocksdb(written, path_);
  }
  bool IsSyncThreadSafe() const override { return false; }
  uint64_t GetFileSize(const IOOptions&, IODebugContext*) override {
    return durable_size_ + pending_.size();
  }

 private:
  Status write_pending() {
    if (pending_.empty()) return {};
    const Status status = write_through();
    if (status.ok()) {
      durable_size_ += pending_.size();
    } else if (durable_size_ > 0 && !undo().ok()) {
      undecided_ = true;
    }
    pending_.clear();  // RocksDB is told once and does not try again
    return status;
  }

  Status write_through() {
    // A new MANIFEST counts only when CURRENT names it, which is after its first sync.
    if (durable_size_ > 0) TRY(redo_.note(base_name(path_), durable_size_, pending_));
    TRY(file_->write_at(durable_size_, as_bytes(pending_)));
    return file_->sync_data();
  }

  // RocksDB takes a failed edit for one that did not happen and removes the files it was about.
  Status undo() {
    TRY(file_->truncate(durable_size_));
    TRY(file_->sync_data());
    return redo_.revoke();
  }

  const std::string path_;
  std::unique_ptr<File> file_;
  uint64_t durable_size_;
  std::string pending_;
  ManifestRedo& redo_;
  std::atomic<bool>& undecided_;
};

class Directory final : public rocksdb::FSDirectory {
 public:
  Directory(LocalFs& fs, std::string path) : fs_(fs), path_(std::move(path)) {}
  IOStatus Fsync(const IOOptions&, IODebugContext*) override {
    return to_rocksdb(fs_.sync_dir(path_), path_);
  }

 private:
  LocalFs& fs_;
  const std::string path_;
};

class HeldLock final : public rocksdb::FileLock {
 public:
  explicit HeldLock(std::unique_ptr<shoal::FileLock> held) : held_(std::move(held)) {}

 private:
  const std::unique_ptr<shoal::FileLock> held_;
};

class LocalFileSystem final : public rocksdb::FileSystem {
 public:
  explicit LocalFileSystem(LocalFs& fs) : fs_(fs), log_order_(fs) {}
  const char* Name() const override { return "ShoalLocalFs"; }

  IOStatus NewSequentialFile(const std::string& path, const FileOptions&,
                             std::unique_ptr<rocksdb::FSSequentialFile>* result,
                             IODebugContext*) override {
    result->reset();
    Result<std::unique_ptr<File>> file = fs_.open(path, OpenMode::kRead);
    if (!file.ok()) return to_rocksdb(file.error(), path);
    const Result<uint64_t> end = is_log(path) ? log_end(**file) : kNoEnd;
    if (!end.ok()) return to_rocksdb(end.error(), path);
    *result = std::make_unique<SequentialFile>(path, std::move(*file), *end);
    return IOStatus::OK();
  }

  IOStatus NewRandomAccessFile(const std::string& path, const FileOptions&,
                               std::unique_ptr<rocksdb::FSRandomAccessFile>* result,
                               IODebugContext*) override {
    return open<RandomAccessFile>(path, OpenMode::kRead, result);
  }

  IOStatus NewWritableFile(const std::string& path, const FileOptions& options,
                           std::unique_ptr<rocksdb::FSWritableFile>* result,
                           IODebugContext*) override {
    return open_writable(path, OpenMode::kTruncate, options, 0, result);
  }

  IOStatus ReopenWritableFile(const std::string& path, const FileOptions& options,
                              std::unique_ptr<rocksdb::FSWritableFile>* result,
                              IODebugContext*) override {
    const Result<FileInfo> info = fs_.stat(path);
    if (!info.ok() && !info.error().is(ENOENT)) return to_rocksdb(info.error(), path);
    const uint64_t size = info.ok() ? info->size : 0;
    return open_writable(path, OpenMode::kCreate, options, size, result);
  }

  IOStatus NewDirectory(const std::string& path, const IOOptions&,
                        std::unique_ptr<rocksdb::FSDirectory>* result, IODebugContext*) override {
    const Result<FileInfo> info = fs_.stat(path);
    if (!info.ok()) return to_rocksdb(info.error(), path);
    *result = std::make_unique<Directory>(fs_, path);
    return IOStatus::OK();
  }

  IOStatus FileExists(const std::string& path, const IOOptions&, IODebugContext*) override {
    const Result<FileInfo> info = fs_.stat(path);
    if (info.ok()) return IOStatus::OK();
    return info.error().is(ENOENT) ? IOStatus::NotFound() : to_rocksdb(info.error(), path);
  }

  IOStatus GetChildren(const std::string& path, const IOOptions&, std::vector<std::string>* result,
                       IODebugContext*) override {
    result->clear();
    Result<std::vector<std::string>> names = fs_.list(path);
    if (!names.ok()) {
      return names.error().is(ENOENT) ? IOStatus::NotFound(path) : to_rocksdb(names.error(), path);
    }
    *result = std::move(*names);
    return IOStatus::OK();
  }

  IOStatus DeleteFile(const std::string& path, const IOOptions&, IODebugContext*) override {
    if (undecided_) return IOStatus::IOError(path, "kept until the database is opened again");
    return to_rocksdb(fs_.remove(path), path);
  }

  IOStatus Truncate(const std::string& path, size_t size, const IOOptions&,
                    IODebugContext*) override {
    Result<std::unique_ptr<File>> file = fs_.open(path, OpenMode::kReadWrite);
    if (!file.ok()) return to_rocksdb(file.error(), path);
    return to_rocksdb((*file)->truncate(size), path);
  }

  IOStatus CreateDir(const std::string& path, const IOOptions&, IODebugContext*) override {
    return to_rocksdb(fs_.make_dir(path), path);
  }

  IOStatus CreateDirIfMissing(const std::string& path, const IOOptions&, IODebugContext*) override {
    const Status made = fs_.make_dir(path);
    if (made.ok() || !made.error().is(EEXIST)) return to_rocksdb(made, path);
    const Result<FileInfo> info = fs_.stat(path);
    if (!info.ok()) return to_rocksdb(info.error(), path);
    return info->is_directory ? IOStatus::OK() : IOStatus::IOError(path, "is no directory");
  }

  IOStatus DeleteDir(const std::string& path, const IOOptions&, IODebugContext*) override {
    return to_rocksdb(fs_.remove_dir(path), path);
  }

  IOStatus GetFileSize(const std::string& path, const IOOptions&, uint64_t* size,
                       IODebugContext*) override {
    *size = 0;
    const Result<FileInfo> info = fs_.stat(path);
    if (!info.ok()) return to_rocksdb(info.error(), path);
    *size = info->size;
    return IOStatus::OK();
  }

  IOStatus GetFileModificationTime(const std::string& path, const IOOptions&, uint64_t* time,
                                   IODebugContext*) override {
    *time = 0;
    const Result<FileInfo> info = fs_.stat(path);
    if (!info.ok()) return to_rocksdb(info.error(), path);
    *time = static_cast<uint64_t>(std::max<int64_t>(0, info->modified.seconds));
    return IOStatus::OK();
  }

  IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions&,
                      IODebugContext*) override {
    return to_rocksdb(fs_.rename(from, to), from);
  }

  IOStatus LinkFile(const std::string& from, const std::string& to, const IOOptions&,
                    IODebugContext*) override {
    return to_rocksdb(fs_.link(from, to), from);
  }

  IOStatus LockFile(const std::string& path, const IOOptions&, rocksdb::FileLock** lock,
                    IODebugContext*) override {
    *lock = nullptr;
    Result<std::unique_ptr<shoal::FileLock>> held = fs_.lock(path);
    if (!held.ok()) return to_rocksdb(held.error(), path);
    // From here on the folder is ours and nothing of it was read yet.
    const Status applied = ManifestRedo::apply(fs_, parent_of(path));
    if (!applied.ok()) return to_rocksdb(applied, path);
    *lock = new HeldLock(std::move(*held));  // RocksDB hands it back to UnlockFile
    return IOStatus::OK();
  }

  IOStatus UnlockFile(rocksdb::FileLock* lock, const IOOptions&, IODebugContext*) override {
    delete lock;
    return IOStatus::OK();
  }

  IOStatus GetTestDirectory(const IOOptions&, std::string*, IODebugContext*) override {
    return IOStatus::NotSupported("no test directory");
  }

  IOStatus GetAbsolutePath(const std::string& path, const IOOptions&, std::string* result,
                           IODebugContext*) override {
    *result = path;  // only ever logged
    return IOStatus::OK();
  }

  IOStatus GetFreeSpace(const std::string& path, const IOOptions&, uint64_t* free,
                        IODebugContext*) override {
    const Result<DiskSpace> space = fs_.space(path);
    if (!space.ok()) return to_rocksdb(space.error(), path);
    *free = space->available_bytes;
    return IOStatus::OK();
  }

  IOStatus IsDirectory(const std::string& path, const IOOptions&, bool* is_directory,
                       IODebugContext*) override {
    const Result<FileInfo> info = fs_.stat(path);
    if (!info.ok()) return to_rocksdb(info.error(), path);
    *is_directory = info->is_directory;
    return IOStatus::OK();
  }

 private:
  template <typename Opened, typename Base, typename... Args>
  IOStatus open(const std::string& path, OpenMode mode, std::unique_ptr<Base>* result,
                Args&&... args) {
    result->reset();
    Result<std::unique_ptr<File>> file = fs_.open(path, mode);
    if (!file.ok()) return to_rocksdb(file.error(), path);
    *result = std::make_unique<Opened>(path, std::move(*file), std::forward<Args>(args)...);
    return IOStatus::OK();
  }

  IOStatus open_writable(const std::string& path, OpenMode mode, const FileOptions& options,
                         uint64_t size, std::unique_ptr<rocksdb::FSWritableFile>* result) {
    if (is_manifest(base_name(path))) {
      if (redo_ == nullptr) redo_ = std::make_unique<ManifestRedo>(fs_, parent_of(path));
      return open<ManifestFile>(path, mode, result, options, size, *redo_, undecided_);
    }
    LogOrder* order = is_log(path) ? &log_order_ : nullptr;
    return open<WritableFile>(path, mode, result, options, size, order);
  }

  LocalFs& fs_;
  LogOrder log_order_;
  std::unique_ptr<ManifestRedo> redo_;
  // An edit of the MANIFEST failed and could not be taken back: the next open may find it done, and
  // then needs the files before and after it. Nothing is removed until then.
  std::atomic<bool> undecided_ = false;
};

}  // namespace

std::shared_ptr<rocksdb::FileSystem> make_rocksdb_file_system(LocalFs& fs) {
  return std::make_shared<LocalFileSystem>(fs);
}

std::unique_ptr<rocksdb::Env> make_rocksdb_env(LocalFs& fs) {
  return rocksdb::NewCompositeEnv(make_rocksdb_file_system(fs));
}

}  // namespace shoal::engine
