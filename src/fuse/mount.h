// Mounting and unmounting: mount(2) as root, the setuid helper fusermount3 for everybody else.
//
// The caller has done chdir("/") and holds no descriptor below the mount point: a daemon that keeps
// its own mount open cannot die in peace. Every descriptor made here is close-on-exec.
#pragma once

#include <cerrno>
#include <memory>
#include <string>

#include "base/error.h"
#include "fuse/options.h"

namespace shoal::fuse {

enum class UnmountMode {
  kNormal,  // EBUSY while files are open below
  kLazy,    // leaves the name space now, ends when the last file is closed
  kForce,   // aborts what is under way, and detaches
};

class Mount {
 public:
  // Mounts at the directory `path`. A dead mount of ours there (its process is gone) is detached
  // first. Errors name the thing and the remedy: EBUSY something else is mounted there, ENOTDIR,
  // ENOENT, EPERM, ENODEV no /dev/fuse.
  static Result<std::unique_ptr<Mount>> attach(const std::string& path,
                                               const MountOptions& options);
  // Unmounts unless release() was called or it is gone: kNormal, then kLazy.
  ~Mount();
  Mount(const Mount&) = delete;
  Mount& operator=(const Mount&) = delete;

  // The descriptor of /dev/fuse, for DevTransport, which owns it from now on. Once.
  int take_fd();
  // Canonical.
  const std::string& path() const { return path_; }
  // How much the kernel reads ahead. After INIT was answered, which would lower it again. Needs
  // root.
  Status set_read_ahead(unsigned kib);
  Status unmount(UnmountMode mode);

 private:
  Mount(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  std::string path_;
  std::string device_;
  int fd_;
  bool mounted_ = true;
};

// By any process. EINVAL: nothing is mounted there.
Status unmount(const std::string& path, UnmountMode mode);

// Whether an errno of stat(2) says that the process behind a mount is gone, or going: ECONNABORTED
// is what requests get that were under way when it went.
inline bool is_dead_mount(int code) { return code == ENOTCONN || code == ECONNABORTED; }

// Absolute and without symlinks; also below a dead mount, as long as `path` itself is the dead one.
Result<std::string> canonical_mount_point(const std::string& path);

// The type that mount(8), df and /proc/mounts show.
inline constexpr const char* kMountType = "fuse.shoal";

}  // namespace shoal::fuse
