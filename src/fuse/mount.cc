#include "fuse/mount.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/log.h"
#include "fuse/fusermount.h"
#include "fuse/mount_table.h"

namespace shoal::fuse {
namespace {

// 0 or the errno of stat(2), asked from the file system itself: with long timeouts the kernel
// answers a plain stat of a dead mount from its cache.
int stat_code(const std::string& path, struct stat& info) {
  struct statx asked;
  if (::statx(AT_FDCWD, path.c_str(), AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &asked) != 0)
    return errno;
  info = {};
  info.st_mode = asked.stx_mode;
  return 0;
}

Result<std::string> real_path(const std::string& path) {
  char* const found = ::realpath(path.c_str(), nullptr);
  if (found == nullptr) return Error(errno);
  std::string text(found);
  std::free(found);
  return text;
}

// Detaches our own dead mounts at `path`, one above the other.
Status clear_dead_mounts(const std::string& path) {
  constexpr int kStackedMax = 16;
  for (int i = 0; i < kStackedMax; ++i) {
    struct stat info;
    if (!is_dead_mount(stat_code(path, info))) return {};
    TRY_ASSIGN(const std::vector<MountEntry> table, read_mount_table());
    const std::optional<MountEntry> entry = find_mount(table, path);
    if (!entry.has_value())
      return error(ENOTCONN, "{} lies below a dead mount; unmount that first", path);
    if (entry->type != kMountType) {
      return error(ENOTCONN, "{} is a dead mount of type {}; unmount it with: umount -l {}", path,
                   entry->type, path);
    }
    log(LogLevel::kWarn, "detaching a dead mount of {} at {}", entry->source, path);
    TRY(unmount(path, UnmountMode::kLazy));
  }
  return error(EBUSY, "{} is covered by more than {} dead mounts", path, kStackedMax);
}

Status check_mount_point(const std::string& path) {
  struct stat info;
  if (const int code = stat_code(path, info); code != 0) {
    return error(code, "mount point {}: {}", path, std::strerror(code));
  }
  if (!S_ISDIR(info.st_mode)) return error(ENOTDIR, "mount point {} is not a directory", path);
  TRY_ASSIGN(const std::vector<MountEntry> table, read_mount_table());
  const std::optional<MountEntry> entry = find_mount(table, path);
  if (!entry.has_value()) return {};
  return error(EBUSY,
               "mount point {} is in use: {} ({}) is mounted there; unmount it or choose another "
               "directory",
               path, entry->source, entry->type);
}

Result<int> mount_as_root(const std::string& path, const MountOptions& options) {
  const int fd = ::open("/dev/fuse", O_RDWR | O_CLOEXEC);
  if (fd < 0) {
    return error(errno,
                 "cannot open /dev/fuse ({}): load the kernel module fuse, or give the container "
                 "the device",
                 std::strerror(errno));
  }
  std::string data =
      fmt::format("fd={},rootmode=40000,user_id=0,group_id=0,default_permissions", fd);
  if (options.allow_other) data += ",allow_other";
  for (const std::string& word : options.kernel_options) data += "," + word;
  if (::mount(options.source.c_str(), path.c_str(), kMountType, options.flags, data.c_str()) != 0) {
    const int code = errno;
    ::close(fd);
    const char* const hint = code == EPERM    ? "; it needs CAP_SYS_ADMIN"
                             : code == ENODEV ? "; the kernel has no FUSE"
                                              : "";
    return error(code, "mounting at {}: {}{}", path, std::strerror(code), hint);
  }
  return fd;
}

}  // namespace

Result<std::string> canonical_mount_point(const std::string& path) {
  Result<std::string> whole = real_path(path);
  if (whole.ok()) return whole;
  if (!is_dead_mount(whole.code())) {
    return error(whole.code(), "mount point {}: {}", path, std::strerror(whole.code()));
  }
  std::string trimmed = path;
  while (trimmed.size() > 1 && trimmed.back() == '/') trimmed.pop_back();
  const size_t slash = trimmed.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : trimmed.substr(0, slash + 1);
  const std::string name = slash == std::string::npos ? trimmed : trimmed.substr(slash + 1);
  Result<std::string> parent = real_path(folder);
  if (!parent.ok())
    return error(parent.code(), "mount point {}: {}", path, std::strerror(parent.code()));
  return *parent == "/" ? "/" + name : *parent + "/" + name;
}

Result<std::unique_ptr<Mount>> Mount::attach(const std::string& path, const MountOptions& options) {
  TRY_ASSIGN(const std::string canonical, canonical_mount_point(path));
  TRY(clear_dead_mounts(canonical));
  TRY(check_mount_point(canonical));
  const bool root = ::geteuid() == 0;
  TRY_ASSIGN(const int fd,
             root ? mount_as_root(canonical, options) : fusermount(canonical, options));
  std::unique_ptr<Mount> mount(new Mount(canonical, fd));
  // Remembered now: later the table may show somebody else's mount on top.
  TRY_ASSIGN(const std::vector<MountEntry> table, read_mount_table());
  if (const auto entry = find_mount(table, canonical); entry.has_value())
    mount->device_ = entry->device;
  return mount;
}

Mount::~Mount() {
  if (fd_ >= 0) ::close(fd_);
  if (!mounted_) return;
  if (!unmount(UnmountMode::kNormal).ok()) {
    unmount(UnmountMode::kLazy).ignore("somebody else unmounted it");
  }
}

int Mount::take_fd() { return std::exchange(fd_, -1); }

Status Mount::set_read_ahead(unsigned kib) {
  const std::string path = "/sys/class/bdi/" + device_ + "/read_ahead_kb";
  const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0)
    return error(errno, "cannot set the read-ahead in {}: {}", path, std::strerror(errno));
  const std::string text = std::to_string(kib);
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const int code = errno;
  ::close(fd);
  if (!written)
    return error(code, "cannot set the read-ahead in {}: {}", path, std::strerror(code));
  return {};
}

Status Mount::unmount(UnmountMode mode) {
  if (!mounted_) return {};
  // Unmounted already, by umount(8) perhaps, and something else may be mounted here by now.
  TRY_ASSIGN(const std::vector<MountEntry> table, read_mount_table());
  const std::optional<MountEntry> entry = find_mount(table, path_);
  if (entry.has_value() && entry->device == device_) TRY(fuse::unmount(path_, mode));
  mounted_ = false;
  return {};
}

Status unmount(const std::string& path, UnmountMode mode) {
  TRY_ASSIGN(const std::string canonical, canonical_mount_point(path));
  if (::geteuid() != 0) return fusermount_unmount(canonical, mode != UnmountMode::kNormal);
  const int flags = mode == UnmountMode::kNormal ? 0
                    : mode == UnmountMode::kLazy ? MNT_DETACH
                                                 : MNT_FORCE | MNT_DETACH;
  if (::umount2(canonical.c_str(), UMOUNT_NOFOLLOW | flags) == 0) return {};
  const int code = errno;
  const char* const hint = code == EBUSY    ? ": files below it are open"
                           : code == EINVAL ? ": nothing is mounted there"
                                            : "";
  return error(code, "cannot unmount {}: {}{}", canonical, std::strerror(code), hint);
}

}  // namespace shoal::fuse
