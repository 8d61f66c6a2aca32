// The rules that a kernel with default_permissions has applied before it asks; every other caller meets them here.
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
  unsigned granted = inode.mode & 7;
  if (in_group(who, inode.gid)) granted = (inode.mode >> 3) & 7;
  if (who.uid == inode.uid) granted = (inode.mode >> 6) & 7;
  if ((granted & rwx) != rwx) return Error(EACCES);
  return {};
}

Status Owner::check_sticky(const Caller& who, const format::Inode& directory,
                           const format::Inode& child) {
  if (may_override(who) || (directory.mode & 01000) == 0) return {};
  if (who.uid == child.uid || who.uid == directory.uid) return {};
  return Error(EPERM);
}

Status Owner::inherit_mode(Change& /*change*/, const Caller& who, const format::Inode& /*parent*/,
                           format::Inode& child) {
  child.mode &= ~(who.umask & 0777);
  return {};
}

Status Owner::chmod_acl(Change& /*change*/, format::Inode& /*inode*/) { return {}; }

}  // namespace shoal::meta
