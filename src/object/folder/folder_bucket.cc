#include "object/folder/folder_bucket.h"

#include <algorithm>

#include "base/log.h"
#include "object/folder/key_path.h"

namespace shoal::object {
namespace {

constexpr int kNumbersMax = 1000;  // processes on one folder

// The inode number makes a new version's tag differ even within one clock tick.
std::string etag_of(const FileInfo& info) {
  return fmt::format("{:x}-{:x}-{:x}.{:09}", info.inode, info.size, info.modified.seconds,
                     info.modified.nanoseconds);
}

bool is_absent(const Error& error) { return error.is(ENOENT) || error.is(ENOTDIR); }

}  // namespace

Result<std::unique_ptr<FolderBucket>> FolderBucket::open(LocalFs& fs, const Path& root) {
  Result<FileInfo> info = fs.stat(root);
  if (info.code() == ENOENT)
    return error(ENXIO, "bucket folder {} is not there; mount what it lies on, or make it", root);
  if (!info.ok()) return info.error().in(fmt::format("bucket folder {}", root));
  if (!info->is_directory) return error(ENOTDIR, "bucket folder {} is not a directory", root);
  std::unique_ptr<FolderBucket> bucket(new FolderBucket(fs, root));
  TRY(bucket->take_number());
  bucket->remove_old_uploads();
  return bucket;
}

Status FolderBucket::take_number() {
  for (int number = 1; number <= kNumbersMax; ++number) {
    Result<std::unique_ptr<FileLock>> lock = fs_.lock(join(root_, fmt::format(".lock-{}", number)));
    if (lock.ok()) {
      number_ = number;
      number_lock_ = std::move(*lock);
      return {};
    }
    if (lock.error().is(EROFS) || lock.error().is(EACCES) || lock.error().is(EPERM))
      return {};  // read-only: no writes
    if (!lock.error().is(EWOULDBLOCK)) return lock.error().in("bucket folder " + root_);
  }
  return error(EUSERS, "bucket folder {} is used by {} processes already", root_, kNumbersMax);
}

Path FolderBucket::path_of(const std::string& key) const { return join(root_, key_to_path(key)); }

Error FolderBucket::missing(const std::string& key) {
  if (!fs_.stat(root_).ok()) return error(ENXIO, "the bucket folder {} is gone", root_);
  return error(ENOENT, "no object {} in {}", key, root_);
}

Status FolderBucket::make_folders(const Path& folder) {
  // From the root down: a directory is durable only when all above it are.
  for (size_t at = root_.size(); at != std::string::npos && at < folder.size();) {
    at = folder.find('/', at + 1);
    const Path path = folder.substr(0, at);
    {
      MutexLock lock(mutex_);
      if (durable_folders_.contains(path)) continue;
    }
    const Status made = fs_.make_dir(path);
    if (!made.ok() && !made.error().is(EEXIST)) {
      if (made.error().is(ENOENT)) return missing(path);
      return made;
    }
    TRY(fs_.sync_dir(parent_of(path)));
    MutexLock lock(mutex_);
    durable_folders_.insert(path);
  }
  return {};
}

Path FolderBucket::new_temporary(const Path& folder) {
  Path path = join(folder, fmt::format(".tmp-{}-{}", number_, next_++));
  MutexLock lock(mutex_);
  temporaries_.insert(path);
  return path;
}

void FolderBucket::forget_temporary(const Path& temporary) {
  MutexLock lock(mutex_);
  temporaries_.erase(temporary);
}

Result<std::string> FolderBucket::publish(const Path& temporary, const Path& path, bool if_absent) {
  TRY_ASSIGN(const FileInfo info, fs_.stat(temporary));
  if (if_absent) {
    TRY(fs_.link(temporary, path));
    fs_.remove(temporary).ignore("its second name is the object; a list removes the first later");
  } else {
    TRY(fs_.rename(temporary, path));
  }
  TRY(fs_.sync_dir(parent_of(path)));
  return etag_of(info);
}

Result<std::string> FolderBucket::write_object(const std::string& key, const Fill& fill,
                                               bool if_absent) {
  if (number_ == 0) return error(EROFS, "the bucket folder {} is read-only", root_);
  const Path path = path_of(key), folder = parent_of(path);
  TRY(make_folders(folder));
  const Path temporary = new_temporary(folder);
  const auto write = [&]() -> Result<std::string> {
    // Emptied, not exclusive: a dead process that had our number may have left one of this name.
    TRY_ASSIGN(std::unique_ptr<File> file, fs_.open(temporary, OpenMode::kTruncate));
    TRY(fill(*file));
    TRY(file->sync());
    file.reset();
    return publish(temporary, path, if_absent);
  };
  Result<std::string> etag = write();
  if (!etag.ok()) {
    fs_.remove(temporary).ignore("the write's own error is the one to report");
    if (etag.error().is(ENOENT)) {
      // Somebody removed the directories behind our back; the next write makes them again.
      MutexLock lock(mutex_);
      durable_folders_.clear();
    }
  }
  forget_temporary(temporary);
  if (etag.ok()) return etag;
  if (etag.error().is(EEXIST)) return error(EEXIST, "object {} is there already", key);
  if (etag.error().is(ENOENT) && !fs_.stat(root_).ok()) return missing(key);
  return etag.error().in(fmt::format("put {}", key));
}

Result<std::string> FolderBucket::put(const std::string& key, std::span<const ByteView> spans,
                                      bool if_absent) {
  return write_object(
      key, [&](File& file) { return file.write_spans_at(0, spans); }, if_absent);
}

Result<GetResult> FolderBucket::get(const std::string& key, uint64_t offset, MutableBytes into,
                                    const std::string& if_match) {
  const Path path = path_of(key);
  // The etag and the bytes must be of one version: the name pointed at the same file before and
  // after it was opened.
  for (int tries = 0; tries < 100; ++tries) {
    Result<FileInfo> before = fs_.stat(path);
    if (!before.ok()) {
      if (is_absent(before.error())) return missing(key);
      return before.error();
    }
    Result<std::unique_ptr<File>> file = fs_.open(path, OpenMode::kRead);
    if (!file.ok()) {
      if (is_absent(file.error())) continue;
      return file.error();
    }
    const Result<FileInfo> after = fs_.stat(path);
    if (!after.ok() || etag_of(*after) != etag_of(*before)) continue;
    GetResult result{0, before->size, etag_of(*before)};
    if (!if_match.empty() && if_match != result.etag) {
      return error(ESTALE, "object {} is no longer the one with etag {}", key, if_match);
    }
    if (offset < result.object_size && !into.empty()) {
      TRY_ASSIGN(result.bytes, (*file)->read_at(offset, into));
    }
    return result;
  }
  return error(EIO, "object {} was replaced faster than it could be read", key);
}

Result<ObjectInfo> FolderBucket::head(const std::string& key) {
  Result<FileInfo> info = fs_.stat(path_of(key));
  if (!info.ok()) {
    if (is_absent(info.error())) return missing(key);
    return info.error();
  }
  return ObjectInfo{key, info->size, etag_of(*info), info->modified};
}

Result<std::vector<std::string>> FolderBucket::remove_many(const std::vector<std::string>& keys) {
  std::vector<std::string> kept;
  std::set<Path> changed;
  for (const std::string& key : keys) {
    const Path path = path_of(key);
    const Status removed = fs_.remove(path);
    if (removed.ok()) {
      changed.insert(parent_of(path));
    } else if (!is_absent(removed.error())) {
      log(LogLevel::kWarn, "remove {}: {}", path, removed.error().text());
      kept.push_back(key);
    }
  }
  // An object that a power cut brings back would be an orphan that nobody looks for.
  for (const Path& folder : changed) TRY(fs_.sync_dir(folder));
  return kept;
}

Result<ListPage> FolderBucket::list(const std::string& prefix, const ListOptions& options) {
  PageBuilder page(prefix, options);
  const Status visited = visit(root_, "", page);
  if (!visited.ok()) {
    if (is_absent(visited.error())) return missing(prefix);
    return visited.error();
  }
  return page.finish();
}

Status FolderBucket::visit(const Path& folder, const std::string& key_prefix, PageBuilder& page) {
  TRY_ASSIGN(const std::vector<std::string> names, fs_.list(folder));
  struct Child {
    std::string key;  // whole for objects, else what all keys below begin with
    const std::string* name;
    bool is_object;
  };
  std::vector<Child> children;
  for (const std::string& name : names) {
    const std::optional<DecodedName> decoded = decode_name(name);
    if (!decoded.has_value()) {
      remove_if_stale(folder, name);
      continue;
    }
    std::string key = key_prefix + decoded->text;
    if (decoded->kind == DecodedName::Kind::kFolder) key += '/';
    children.push_back({std::move(key), &name, decoded->kind == DecodedName::Kind::kObject});
  }
  // Near the order of keys, so that a full page soon cuts off the rest.
  std::sort(children.begin(), children.end(),
            [](const Child& a, const Child& b) { return a.key < b.key; });
  for (const Child& child : children) {
    const Path path = join(folder, *child.name);
    if (!child.is_object) {
      if (!page.wants_below(child.key)) continue;
      const Status visited = visit(path, child.key, page);
      if (!visited.ok() && !is_absent(visited.error()))
        return visited;  // ENOTDIR: a stranger's file
    } else if (page.would_take(child.key)) {
      const Result<FileInfo> info = fs_.stat(path);
      if (!info.ok()) {
        if (is_absent(info.error())) continue;  // removed meanwhile
        return info.error();
      }
      page.add({child.key, info->size, etag_of(*info), info->modified});
    }
  }
  return {};
}

void FolderBucket::remove_if_stale(const Path& folder, const std::string& name) {
  if (number_ == 0 || !name.starts_with(fmt::format(".tmp-{}-", number_))) return;
  const Path path = join(folder, name);
  {
    // A live temporary is in the set from before it is made until after it is gone.
    MutexLock lock(mutex_);
    if (temporaries_.contains(path)) return;
  }
  fs_.remove(path).ignore("the next list tries again");
}

}  // namespace shoal::object
