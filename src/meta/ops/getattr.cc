// getattr, for one inode or many.
#include "meta/owner_impl.h"

namespace shoal::meta {

Result<Attr> Owner::getattr(const Request& /*request*/, Ino ino) {
  TRY(healthy());
  TRY_ASSIGN(const InodeRef ref, inode_of(ino));
  // Without a name it lives as long as somebody holds it open or the trash keeps it; after that it
  // only awaits G.
  if (ref->inode.nlink == 0 && (ref->inode.flags & format::kFlagTrashed) == 0 &&
      !opens_.is_open(ino)) {
    return Error(ENOENT);
  }
  return attr_of(ino, ref);
}

std::vector<Result<Attr>> Owner::getattr_many(const Request& request,
                                              const std::vector<Ino>& inos) {
  std::vector<Result<Attr>> attrs;
  attrs.reserve(inos.size());
  for (const Ino ino : inos) attrs.push_back(getattr(request, ino));
  return attrs;
}

}  // namespace shoal::meta
