// symlink(2) and readlink(2).
#include <sys/stat.h>

#include "meta/owner_impl.h"

namespace shoal::meta {

Result<Attr> Owner::symlink(const Request& request, Ino parent, std::string_view name,
                            std::string_view target) {
  if (target.empty()) return Error(ENOENT);
  if (target.size() > kSymlinkBytesMax) return Error(ENAMETOOLONG);
  if (target.find('\0') != std::string_view::npos) return Error(EINVAL);
  return make(request, parent, name, {.mode = S_IFLNK | 0777, .symlink = target});
}

Result<std::string> Owner::readlink(const Request& /*request*/, Ino ino) {
  TRY(healthy());
  TRY_ASSIGN(const InodeRef ref, inode_of(ino));
  if (!ref->inode.is_symlink()) return Error(EINVAL);
  return ref->inode.symlink;
}

}  // namespace shoal::meta
