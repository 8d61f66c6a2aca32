// chmod(2), chown(2), utimensat(2) and the flags of chattr(1). Source of the rules: POSIX.1-2017,
// Linux notify_change.
#include <sys/stat.h>

#include <algorithm>

#include "meta/owner_impl.h"

namespace shoal::meta {
namespace {

constexpr uint32_t kUserFlags =
    format::kFlagImmutable | format::kFlagAppendOnly | format::kFlagNoDump | format::kFlagNoAtime;
constexpr uint32_t kFixedFlags = format::kFlagImmutable | format::kFlagAppendOnly;

bool is_explicit(const std::optional<SetAttr::SetTime>& time) { return time && !time->now; }

// What only the owner (or root) may ask for. The kernel checked it when it checks.
Status check_ownership(const Caller& who, const format::Inode& inode, const SetAttr& change) {
  if (who.kernel_checked || who.uid == 0) return {};
  const bool owns = who.uid == inode.uid;
  if (change.mode && !owns) return Error(EPERM);
  if (change.uid && (!owns || *change.uid != inode.uid)) return Error(EPERM);
  if (change.gid && (!owns || (*change.gid != inode.gid && !in_group(who, *change.gid)))) {
    return Error(EPERM);
  }
  if (change.flags) {
    if (!owns) return Error(EPERM);
    if (((*change.flags ^ inode.flags) & kFixedFlags) != 0) return Error(EPERM);
  }
  if ((is_explicit(change.atime) || is_explicit(change.mtime)) && !owns) return Error(EPERM);
  return {};
}

// Flags bind everybody, root too, so they are checked whoever checked the rest.
Status check_flags(const format::Inode& inode, const SetAttr& change) {
  const bool strong = change.mode || change.uid || change.gid || is_explicit(change.atime) ||
                      is_explicit(change.mtime);
  if (strong && (inode.flags & kFixedFlags) != 0) return Error(EPERM);
  if ((change.atime || change.mtime) && (inode.flags & format::kFlagImmutable) != 0) {
    return Error(EPERM);
  }
  return {};
}

// Those of directories mean something else and stay, even when the kernel asks: a chown(2) that
// changes neither owner nor group arrives as a SETATTR without anything to set, as a privilege kill
// does.
void kill_privileges(format::Inode& inode) {
  if (inode.is_directory()) return;
  inode.mode &= ~static_cast<uint32_t>(S_ISUID);
  if ((inode.mode & S_IXGRP) != 0) inode.mode &= ~static_cast<uint32_t>(S_ISGID);
  std::erase_if(inode.xattrs,
                [](const auto& xattr) { return xattr.first == "security.capability"; });
}

}  // namespace

// Even a kernel that checks has not checked this. It does not tell supplementary groups: who may
// write by one of these takes the privileges away with the write itself.
bool Owner::may_kill_privileges(const Caller& who, const format::Inode& inode) {
  if (who.uid == 0 || who.uid == inode.uid) return true;
  Caller unchecked = who;
  unchecked.kernel_checked = false;
  return check_access(unchecked, inode, 2).ok();
}

Result<Attr> Owner::setattr(const Request& request, Ino ino, const SetAttr& change_wanted) {
  TRY(healthy());
  const SetAttr& wanted = change_wanted;
  const Caller& who = request.caller;
  const Latches latch(latches_, {exclusive(ino)});
  TRY_ASSIGN(const InodeRef ref, inode_latched(ino));
  TRY(check_flags(ref->inode, wanted));
  TRY(check_ownership(who, ref->inode, wanted));
  const bool times_now = (wanted.atime && wanted.atime->now) || (wanted.mtime && wanted.mtime->now);
  if (times_now && who.uid != ref->inode.uid) TRY(check_access(who, ref->inode, 2));

  Change change(stamps_);
  format::Inode& inode = change.edit(ino, ref);
  const Time time = now();
  if (wanted.uid) inode.uid = *wanted.uid;
  if (wanted.gid) inode.gid = *wanted.gid;
  const bool kill = wanted.kill_privileges && may_kill_privileges(who, ref->inode);
  if (wanted.uid || wanted.gid || kill) kill_privileges(inode);
  if (wanted.mode) {
    inode.mode = (inode.mode & S_IFMT) | (*wanted.mode & 07777);
    if (!may_override(who) && !in_group(who, inode.gid)) {
      inode.mode &= ~static_cast<uint32_t>(S_ISGID);
    }
    TRY(chmod_acl(change, inode));
  }
  if (wanted.atime) inode.atime = wanted.atime->now ? time : wanted.atime->time;
  if (wanted.mtime) inode.mtime = wanted.mtime->now ? time : wanted.mtime->time;
  if (wanted.flags) inode.flags = (inode.flags & ~kUserFlags) | (*wanted.flags & kUserFlags);
  inode.ctime = time;
  TRY(commit(change));
  return attr_of(ino, change.result(ino));
}

}  // namespace shoal::meta
