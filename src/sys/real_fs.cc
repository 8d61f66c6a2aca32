// RealFs: LocalFs by system calls. Every descriptor is close-on-exec; every error names the path
// and, where there is something to do about it, what.
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <utility>

#include "sys/local_fs.h"
#include "sys/unique_fd.h"

namespace shoal {

namespace {

using sys_internal::UniqueFd;

constexpr mode_t kFileMode = 0600;
constexpr mode_t kFolderMode = 0700;
constexpr size_t kSpansPerCall = IOV_MAX;  // 1024 on Linux

const char* advice(int code) {
  switch (code) {
    case ENOSPC:
    case EDQUOT:
      return "; free space there or use another disk";
    case EACCES:
    case EPERM:
      return "; check its permissions and the user this process runs as";
    case EROFS:
      return "; the file system is mounted read-only";
    case EMFILE:
      return "; raise this process's limit of open files (ulimit -n)";
    case ENFILE:
      return "; raise the machine's limit of open files (fs.file-max)";
    case EIO:
      return "; the disk failed, see the kernel log";
    case EOPNOTSUPP:
      return "; its file system cannot do that, use ext4, xfs or btrfs";
    default:
      return "";
  }
}

// The error of the call that just set errno.
Error failed(const char* what, const Path& path, const char* file = __builtin_FILE(),
             int line = __builtin_LINE()) {
  const int code = errno;
  const char* description = strerrordesc_np(code);
  return Error(code,
               fmt::format("{} {}: {}{}", what, path,
                           description != nullptr ? description : "unknown error", advice(code)),
               file, line);
}

template <typename Call>
auto retry_interrupted(Call call) {
  decltype(call()) result;
  do {
    result = call();
  } while (result < 0 && errno == EINTR);
  return result;
}

constexpr size_t kDirectAlignment = 4096;

class RealFile final : public File {
 public:
  RealFile(UniqueFd fd, Path path, bool direct)
      : fd_(std::move(fd)), path_(std::move(path)), direct_(direct) {}

  Result<size_t> read_at(uint64_t offset, MutableBytes into) override;
  Status write_at(uint64_t offset, ByteView bytes) override;
  Status write_spans_at(uint64_t offset, std::span<const ByteView> spans) override;
  Status sync_data() override {
    return synced(retry_interrupted([this] { return ::fdatasync(fd_.get()); }));
  }
  Status sync() override {
    return synced(retry_interrupted([this] { return ::fsync(fd_.get()); }));
  }
  Result<uint64_t> size() const override;
  Status truncate(uint64_t size) override;
  Status allocate(uint64_t offset, uint64_t length) override {
    return reserve("allocate in", 0, offset, length);
  }
  void will_need(uint64_t offset, uint64_t length) override {
    // What it answers makes no difference.
    (void)::posix_fadvise(fd_.get(), static_cast<off_t>(offset), static_cast<off_t>(length),
                          POSIX_FADV_WILLNEED);
  }
  Status punch(uint64_t offset, uint64_t length) override {
    return reserve("punch a hole in", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length);
  }

 private:
  Status check_aligned(uint64_t offset, const void* memory, size_t length) const;
  Status synced(int result);
  Status reserve(const char* what, int mode, uint64_t offset, uint64_t length);
  Status write_vectors(uint64_t offset, std::span<iovec> vectors);

  const UniqueFd fd_;
  const Path path_;
  const bool direct_;
  std::atomic<bool> sync_failed_ = false;
};

// Checked by us, so that a caller who breaks the rule learns it on every file system, not only
// where O_DIRECT works.
Status RealFile::check_aligned(uint64_t offset, const void* memory, size_t length) const {
  if (!direct_) return {};
  const uint64_t all = offset | length | reinterpret_cast<uintptr_t>(memory);
  if (all % kDirectAlignment == 0) return {};
  return error(EINVAL,
               "{}: direct access at {} of {} bytes is not aligned to {} bytes in file and memory",
               path_, offset, length, kDirectAlignment);
}

Result<size_t> RealFile::read_at(uint64_t offset, MutableBytes into) {
  TRY(check_aligned(offset, into.data(), into.size()));
  size_t done = 0;
  while (done < into.size()) {
    const ssize_t n = retry_interrupted([&] {
      return ::pread(fd_.get(), into.data() + done, into.size() - done,
                     static_cast<off_t>(offset + done));
    });
    if (n < 0) return failed("read", path_);
    done += static_cast<size_t>(n);
    // A direct read that stops off the grid stopped at the end; asking again from there would be
    // EINVAL.
    if (n == 0 || (direct_ && done % kDirectAlignment != 0)) break;
  }
  return done;
}

Status RealFile::write_at(uint64_t offset, ByteView bytes) {
  TRY(check_aligned(offset, bytes.data(), bytes.size()));
  while (!bytes.empty()) {
    const ssize_t n = retry_interrupted([&] {
      return ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    });
    if (n < 0) return failed("write", path_);
    if (n == 0) return error(EIO, "write {}: the kernel took no byte at offset {}", path_, offset);
    bytes = bytes.subspan(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
  return {};
}

Status RealFile::write_spans_at(uint64_t offset, std::span<const ByteView> spans) {
  std::vector<iovec> vectors;
  vectors.reserve(std::min(spans.size(), kSpansPerCall));
  while (!spans.empty()) {
    vectors.clear();
    uint64_t length = 0;
    const size_t count = std::min(spans.size(), kSpansPerCall);
    for (const ByteView span : spans.first(count)) {
      TRY(check_aligned(offset + length, span.data(), span.size()));
      if (span.empty()) continue;
      vectors.push_back({const_cast<std::byte*>(span.data()), span.size()});  // pwritev only reads
      length += span.size();
    }
    TRY(write_vectors(offset, vectors));
    offset += length;
    spans = spans.subspan(count);
  }
  return {};
}

Status RealFile::write_vectors(uint64_t offset, std::span<iovec> vectors) {
  while (!vectors.empty()) {
    const ssize_t n = retry_interrupted([&] {
      return ::pwritev(fd_.get(), vectors.data(), static_cast<int>(vectors.size()),
                       static_cast<off_t>(offset));
    });
    if (n < 0) return failed("write", path_);
    if (n == 0) return error(EIO, "write {}: the kernel took no byte at offset {}", path_, offset);
    offset += static_cast<uint64_t>(n);
    size_t written = static_cast<size_t>(n);
    while (!vectors.empty() && written >= vectors.front().iov_len) {
      written -= vectors.front().iov_len;
      vectors = vectors.subspan(1);
    }
    if (written > 0) {
      vectors.front().iov_base = static_cast<std::byte*>(vectors.front().iov_base) + written;
      vectors.front().iov_len -= written;
    }
  }
  return {};
}

// A failed sync may have dropped the dirty pages, and the kernel reports that once: a second call
// could succeed without the bytes. So failure sticks to the handle.
Status RealFile::synced(int result) {
  if (result < 0) {
    sync_failed_ = true;
    return failed("sync", path_);
  }
  if (sync_failed_) {
    return error(EIO, "sync {}: an earlier sync failed, what was written before it may be lost",
                 path_);
  }
  return {};
}

Result<uint64_t> RealFile::size() const {
  struct stat st {};
  if (::fstat(fd_.get(), &st) < 0) return failed("stat", path_);
  return static_cast<uint64_t>(st.st_size);
}

Status RealFile::truncate(uint64_t size) {
  if (retry_interrupted([&] { return ::ftruncate(fd_.get(), static_cast<off_t>(size)); }) < 0) {
    return failed("truncate", path_);
  }
  return {};
}

Status RealFile::reserve(const char* what, int mode, uint64_t offset, uint64_t length) {
  if (length == 0) return {};
  if (retry_interrupted([&] {
        return ::fallocate(fd_.get(), mode, static_cast<off_t>(offset), static_cast<off_t>(length));
      }) < 0) {
    return failed(what, path_);
  }
  return {};
}

class RealLock final : public FileLock {
 public:
  explicit RealLock(UniqueFd fd) : fd_(std::move(fd)) {}

 private:
  const UniqueFd fd_;  // closing it releases the lock
};

int open_flags(OpenMode mode) {
  switch (mode) {
    case OpenMode::kRead:
      return O_RDONLY;
    case OpenMode::kReadWrite:
      return O_RDWR;
    case OpenMode::kCreate:
      return O_RDWR | O_CREAT;
    case OpenMode::kCreateExclusive:
      return O_RDWR | O_CREAT | O_EXCL;
    case OpenMode::kTruncate:
      return O_RDWR | O_CREAT | O_TRUNC;
    case OpenMode::kReadDirect:
      return O_RDONLY | O_DIRECT;
    case OpenMode::kReadWriteDirect:
      return O_RDWR | O_CREAT | O_DIRECT;
  }
  return O_RDONLY;
}

int open_retrying(const Path& path, int flags) {
  return retry_interrupted([&] { return ::open(path.c_str(), flags | O_CLOEXEC, kFileMode); });
}

}  // namespace

Result<std::unique_ptr<File>> RealFs::open(const Path& path, OpenMode mode) {
  const int flags = open_flags(mode);
  const bool direct = (flags & O_DIRECT) != 0;
  int fd = open_retrying(path, flags);
  if (fd < 0 && errno == EINVAL && direct) fd = open_retrying(path, flags & ~O_DIRECT);
  if (fd < 0) return failed("open", path);
  UniqueFd owned(fd);
  if ((flags & O_ACCMODE) == O_RDONLY) {  // the kernel lets directories be opened for reading
    struct stat st {};
    if (::fstat(fd, &st) < 0) return failed("stat", path);
    if (S_ISDIR(st.st_mode)) return error(EISDIR, "open {}: it is a directory", path);
  }
  return std::unique_ptr<File>(std::make_unique<RealFile>(std::move(owned), path, direct));
}

Status RealFs::make_dir(const Path& path) {
  if (::mkdir(path.c_str(), kFolderMode) < 0) return failed("make the directory", path);
  return {};
}

Status RealFs::remove(const Path& path) {
  if (::unlink(path.c_str()) < 0) return failed("remove", path);
  return {};
}

Status RealFs::remove_dir(const Path& path) {
  if (::rmdir(path.c_str()) == 0) return {};
  if (errno == EEXIST) errno = ENOTEMPTY;  // POSIX allows both
  return failed("remove the directory", path);
}

Status RealFs::rename(const Path& from, const Path& to) {
  if (::rename(from.c_str(), to.c_str()) < 0)
    return failed("rename", fmt::format("{} to {}", from, to));
  return {};
}

Status RealFs::link(const Path& from, const Path& to) {
  if (::link(from.c_str(), to.c_str()) < 0)
    return failed("link", fmt::format("{} to {}", from, to));
  return {};
}

Result<std::vector<std::string>> RealFs::list(const Path& folder) {
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::opendir(folder.c_str()),
                                                   ::closedir);  // close-on-exec by glibc
  if (stream == nullptr) return failed("list", folder);
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* entry =
        ::readdir(stream.get());  // NOLINT(concurrency-mt-unsafe): the stream is ours alone
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  if (errno != 0) return failed("list", folder);
  std::sort(names.begin(), names.end());
  return names;
}

Result<FileInfo> RealFs::stat(const Path& path) {
  struct stat st {};
  if (::stat(path.c_str(), &st) < 0) return failed("stat", path);
  FileInfo info;
  info.is_directory = S_ISDIR(st.st_mode);
  info.size = static_cast<uint64_t>(st.st_size);
  info.allocated_bytes = static_cast<uint64_t>(st.st_blocks) * 512;
  info.modified = {st.st_mtim.tv_sec, static_cast<uint32_t>(st.st_mtim.tv_nsec)};
  info.inode = st.st_ino;
  return info;
}

Status RealFs::sync_dir(const Path& folder) {
  const UniqueFd fd(open_retrying(folder, O_RDONLY | O_DIRECTORY));
  if (!fd.valid()) return failed("open the directory", folder);
  if (retry_interrupted([&] { return ::fsync(fd.get()); }) < 0)
    return failed("sync the directory", folder);
  return {};
}

Result<DiskSpace> RealFs::space(const Path& path) {
  struct statvfs st {};
  if (retry_interrupted([&] { return ::statvfs(path.c_str(), &st); }) < 0)
    return failed("statvfs", path);
  const uint64_t unit = st.f_frsize;
  return DiskSpace{unit * st.f_blocks, unit * st.f_bavail};
}

Result<std::unique_ptr<FileLock>> RealFs::lock(const Path& path) {
  UniqueFd fd(open_retrying(path, O_RDWR | O_CREAT));
  if (!fd.valid()) return failed("open", path);
  // An OFD lock, because a plain POSIX lock would be lost when any other descriptor of the file is
  // closed, and would not exclude a second holder in this process.
  struct flock whole {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  if (::fcntl(fd.get(), F_OFD_SETLK, &whole) < 0) {
    if (errno != EAGAIN && errno != EACCES) return failed("lock", path);
    return error(EWOULDBLOCK, "another process holds the lock on {}; stop it or use another folder",
                 path);
  }
  return std::unique_ptr<FileLock>(std::make_unique<RealLock>(std::move(fd)));
}

}  // namespace shoal
