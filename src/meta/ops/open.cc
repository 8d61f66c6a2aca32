// open(2) of what exists already.
#include "format/keys.h"
#include "meta/owner_impl.h"

namespace shoal::meta {

Result<Opened> Owner::open(const Request& request, Ino ino, OpenFlags flags) {
  TRY_ASSIGN(Opened opened, open_quietly(request, ino, flags));
  opened.written_by_several = tell_writers(request.session, ino, flags.write);
  return opened;
}

Result<Opened> Owner::open_quietly(const Request& request, Ino ino, OpenFlags flags) {
  TRY(healthy());
  {
    const Latches latch(latches_, {shared(ino)});  // unlink decides by who has it open
    TRY_ASSIGN(const InodeRef ref, inode_latched(ino));
    const format::Inode& inode = ref->inode;
    if (flags.write && inode.is_directory()) return Error(EISDIR);
    if (inode.is_symlink()) return Error(ELOOP);
    TRY(check_access(request.caller, inode, (flags.read ? 4u : 0u) | (flags.write ? 2u : 0u)));
    if (flags.write && (inode.flags & format::kFlagImmutable) != 0) return Error(EPERM);
    const bool nameless = inode.nlink == 0 && (inode.flags & format::kFlagTrashed) == 0;
    if (nameless && !opens_.is_open(ino)) return Error(ENOENT);
    bool needs_orphan = nameless;
    if (nameless) {
      for (const OpenTable::Holder& holder : opens_.holders(ino)) {
        if (holder.session == request.session && holder.orphan != 0) needs_orphan = false;
      }
    }
    if (!needs_orphan) {
      opens_.add(ino, request.session, flags.write);
      Opened opened;
      opened.attr = attr_of(ino, ref);
      opened.extents_known = inode.content != format::Content::kExtents;
      opened.extents = inode.extents;
      return opened;
    }
  }
  return open_nameless(request, ino, flags);
}

// Another session opens what has no name any more: it needs an O record of its own.
Result<Opened> Owner::open_nameless(const Request& request, Ino ino, OpenFlags flags) {
  const Latches latch(latches_, {exclusive(ino)});
  TRY_ASSIGN(const InodeRef ref, inode_latched(ino));
  bool held = false;
  bool mine = false;
  for (const OpenTable::Holder& holder : opens_.holders(ino)) {
    held = held || holder.count > 0;
    mine = mine || (holder.session == request.session && holder.orphan != 0);
  }
  const bool nameless = ref->inode.nlink == 0 && (ref->inode.flags & format::kFlagTrashed) == 0;
  if (nameless && !held) return Error(ENOENT);
  opens_.add(ino, request.session, flags.write);
  if (nameless && !mine) {
    Change change(stamps_);
    change.orphan(request.session, ino);
    if (auto status = commit(change); !status.ok()) {
      opens_.drop(ino, request.session, flags.write);
      return status.error();
    }
  }
  Opened opened;
  opened.attr = attr_of(ino, ref);
  opened.extents_known = ref->inode.content != format::Content::kExtents;
  opened.extents = ref->inode.extents;
  return opened;
}

Status Owner::release(const Request& request, Ino ino, OpenFlags flags) {
  if (opens_.drop(ino, request.session, flags.write)) finish_orphan(ino);
  return healthy();
}

}  // namespace shoal::meta
