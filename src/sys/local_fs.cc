// Paths and the conveniences over any LocalFs. RealFs is in real_fs.cc.
#include "sys/local_fs.h"

#include <algorithm>
#include <utility>

namespace shoal {

namespace {

std::string_view without_trailing_slashes(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  return path;
}

// Makes `path` and what is missing above it.
Status make_missing_dirs(LocalFs& fs, const Path& path) {
  const Path parent = parent_of(path);
  const auto info = fs.stat(path);
  if (info.ok()) {
    if (!info->is_directory) {
      return error(ENOTDIR, "{} exists and is not a directory; move it away or name another folder",
                   path);
    }
    // An earlier process may have died between making this one and syncing it. That its parent may
    // be closed to us means that somebody else made it.
    if (parent == path) return {};
    const Status synced = fs.sync_dir(parent);
    return synced.code() == EACCES ? Status() : synced;
  }
  if (info.code() != ENOENT) return info.error();
  if (parent != path) TRY(make_missing_dirs(fs, parent));
  const Status made = fs.make_dir(path);
  if (!made.ok() && made.code() != EEXIST) return made;  // EEXIST: another thread was faster
  return fs.sync_dir(parent);
}

Status write_and_sync(LocalFs& fs, const Path& path, ByteView bytes) {
  TRY_ASSIGN(auto file, fs.open(path, OpenMode::kTruncate));
  TRY(file->write_at(0, bytes));
  return file->sync_data();
}

}  // namespace

Path parent_of(std::string_view path) {
  path = without_trailing_slashes(path);
  const size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return ".";
  return Path(without_trailing_slashes(path.substr(0, std::max<size_t>(slash, 1))));
}

std::string_view base_name(std::string_view path) {
  path = without_trailing_slashes(path);
  const size_t slash = path.rfind('/');
  if (slash == std::string_view::npos || path.size() == 1) return path;
  return path.substr(slash + 1);
}

Result<bool> exists(LocalFs& fs, const Path& path) {
  const auto info = fs.stat(path);
  if (info.ok()) return true;
  if (info.code() == ENOENT) return false;
  return info.error();
}

Status make_dirs(LocalFs& fs, const Path& path) { return make_missing_dirs(fs, path); }

Result<std::string> read_file(LocalFs& fs, const Path& path, uint64_t bytes_max) {
  TRY_ASSIGN(auto file, fs.open(path, OpenMode::kRead));
  TRY_ASSIGN(const uint64_t size, file->size());
  // One more than the size: a file that grew, or one of /proc that says 0, shows itself by filling
  // the buffer.
  std::string text;
  uint64_t room = size + 1;
  for (;;) {
    const size_t have = text.size();
    if (have > bytes_max || size > bytes_max) {
      return error(EFBIG, "{} is larger than the {} bytes expected there; is it the right file?",
                   path, bytes_max);
    }
    text.resize(have + room);
    TRY_ASSIGN(const size_t n, file->read_at(have, as_mutable_bytes(text).subspan(have)));
    text.resize(have + n);
    if (n < room) break;
    room = std::max<uint64_t>(64 * 1024, text.size());
  }
  if (text.size() > bytes_max) {
    return error(EFBIG, "{} is larger than the {} bytes expected there; is it the right file?",
                 path, bytes_max);
  }
  return text;
}

Status write_file_atomically(LocalFs& fs, const Path& path, ByteView bytes) {
  const Path temporary = path + ".tmp";
  Status done = write_and_sync(fs, temporary, bytes);
  if (done.ok()) done = fs.rename(temporary, path);
  if (!done.ok()) {
    fs.remove(temporary).ignore(
        "the first error is the one to report; the next write truncates what is left");
    return done;
  }
  return fs.sync_dir(parent_of(path));
}

Status remove_tree(LocalFs& fs, const Path& path) {
  // Unlink first and look afterwards: a symbolic link to a directory must lose the link, not what
  // it points to.
  Status removed = fs.remove(path);
  if (removed.ok() || removed.code() == ENOENT) return {};
  if (removed.code() != EISDIR) return removed;
  TRY_ASSIGN(const auto names, fs.list(path));
  for (const std::string& name : names) TRY(remove_tree(fs, join(path, name)));
  removed = fs.remove_dir(path);
  return removed.code() == ENOENT ? Status() : removed;
}

}  // namespace shoal
