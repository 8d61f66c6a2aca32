// mknod(2): regular files, fifos, sockets, devices. Directories and symlinks have operations of
// their own.
#include <sys/stat.h>

#include "meta/owner_impl.h"

namespace shoal::meta {

Result<Attr> Owner::mknod(const Request& request, Ino parent, std::string_view name, uint32_t mode,
                          uint64_t rdev) {
  NewInode fresh{.mode = mode & (S_IFMT | 07777)};
  switch (mode & S_IFMT) {
    case 0:
      fresh.mode |= S_IFREG;
      break;
    case S_IFREG:
    case S_IFIFO:
    case S_IFSOCK:
      break;
    case S_IFCHR:
    case S_IFBLK:
      if (!may_override(request.caller)) return Error(EPERM);
      fresh.rdev = rdev;
      break;
    case S_IFDIR:
      return Error(EPERM);  // as mknod(2) says
    default:
      return Error(EINVAL);
  }
  return make(request, parent, name, fresh);
}

}  // namespace shoal::meta
