// The rules that a kernel with default_permissions has applied before it asks; every other caller
// meets them here.
#include "meta/owner_impl.h"

namespace shoal::meta {

bool in_group(const Caller& who, uint32_t gid) {
  if (who.gid == gid) return true;
  for (const uint32_t group : who.groups) {
    if (group == gid) return true;
  }
  return false;
}

Status Owner::check_access(const Caller& who, const format::Inode& inode, unsigned rwx) {
  if (who.kernel_checked) return {};
  const bool executable = (inode.mode & 0111) != 0;
  if (who.uid == 0 && ((rwx & 1) == 0 || inode.is_directory() || executable)) return {};
  const AclSubject subject{who.uid, who.gid, who.groups};
  bool may = false;
  if (inode.acl_access != 0) {
    TRY_ASSIGN(const Acl acl, acl_of(inode.acl_access));
    may = acl_permits(acl, subject, inode.uid, inode.gid, rwx);
  } else {
    may = mode_permits(inode.mode, subject, inode.uid, inode.gid, rwx);
  }
  return may ? Status() : Status(Error(EACCES));
}

Status Owner::check_sticky(const Caller& who, const format::Inode& directory,
                           const format::Inode& child) {
  if (may_override(who) || (directory.mode & 01000) == 0) return {};
  if (who.uid == child.uid || who.uid == directory.uid) return {};
  return Error(EPERM);
}

}  // namespace shoal::meta
