// The folder store's work, blocking: files, names and syncs. folder_store.cc makes it asynchronous.
//
// Durability: when put() or complete() returned, a power cut keeps the object; when one failed, the
// old object or none is there, never a part. Directories are synced in their parents once per
// process, even those found existing: another process may have made them a moment ago.
//
// In the folder besides objects: `.lock-N` (held while somebody is number N), `.tmp-N-M` (files
// being written by number N, beside their final name), `.uploads/N-M/` (multipart). What a dead
// holder of our number left is removed: uploads at once, temporaries when a list meets them.
//
// Thread-safe.
#pragma once

#include <atomic>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "object/object_store.h"
#include "object/page_builder.h"
#include "sys/local_fs.h"
#include "sys/mutex.h"

namespace shoal::object {

class FolderBucket {
 public:
  static Result<std::unique_ptr<FolderBucket>> open(LocalFs& fs, const Path& root);

  Result<std::string> put(const std::string& key, std::span<const ByteView> spans, bool if_absent);
  Result<GetResult> get(const std::string& key, uint64_t offset, MutableBytes into,
                        const std::string& if_match);
  Result<ObjectInfo> head(const std::string& key);
  Result<std::vector<std::string>> remove_many(const std::vector<std::string>& keys);
  Result<ListPage> list(const std::string& prefix, const ListOptions& options);

  Result<std::string> upload_begin(const std::string& key);
  Result<UploadedPart> upload_part(const std::string& key, const std::string& upload, int number,
                                   std::span<const ByteView> spans);
  Result<std::string> upload_complete(const std::string& key, const std::string& upload,
                                      const std::vector<UploadedPart>& parts, bool if_absent);
  Status upload_abort(const std::string& key, const std::string& upload);

  const Path& root() const { return root_; }

 private:
  // Fills a new file; called with the file open and empty.
  using Fill = std::function<Status(File&)>;

  FolderBucket(LocalFs& fs, Path root) : fs_(fs), root_(std::move(root)) {}

  Status take_number();
  void remove_old_uploads();
  Path path_of(const std::string& key) const;
  // ENXIO when the bucket's folder itself is gone, else `error`.
  Error missing(const std::string& key);
  Status make_folders(const Path& folder) EXCLUDES(mutex_);
  Result<std::string> write_object(const std::string& key, const Fill& fill, bool if_absent);
  Result<std::string> publish(const Path& temporary, const Path& path, bool if_absent);
  Path new_temporary(const Path& folder) EXCLUDES(mutex_);
  void forget_temporary(const Path& temporary) EXCLUDES(mutex_);
  Status visit(const Path& folder, const std::string& key_prefix, PageBuilder& page);
  void remove_if_stale(const Path& folder, const std::string& name) EXCLUDES(mutex_);
  Result<Path> upload_folder(const std::string& key, const std::string& upload);

  LocalFs& fs_;
  const Path root_;
  int number_ = 0;  // 0: the folder is read-only
  std::unique_ptr<FileLock> number_lock_;
  std::atomic<uint64_t> next_{1};
  Mutex mutex_;
  std::set<Path> durable_folders_ GUARDED_BY(mutex_);  // synced in their parents by this process
  std::set<Path> temporaries_ GUARDED_BY(mutex_);      // being written now
};

}  // namespace shoal::object
