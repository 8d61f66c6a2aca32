// link(2): one more name for a file; the first one for what O_TMPFILE made.
#include <sys/stat.h>

#include "format/keys.h"
#include "meta/owner_impl.h"

namespace shoal::meta {

Result<Attr> Owner::link(const Request& request, Ino ino, Ino parent, std::string_view name) {
  TRY(healthy());
  TRY(check_name(name));
  if (ino == parent) return Error(EPERM);
  const Latches latches(latches_, {exclusive(ino), exclusive(parent)});
  TRY_ASSIGN(const InodeRef directory, directory_latched(parent));
  TRY(check_access(request.caller, directory->inode, 1));
  TRY_ASSIGN(const InodeRef ref, inode_latched(ino));
  TRY_ASSIGN(const CachedEntry old, entry_latched(parent, name));
  if (old.exists()) return Error(EEXIST);
  TRY(may_add(request.caller, directory->inode));
  constexpr uint32_t kFixed = format::kFlagImmutable | format::kFlagAppendOnly;
  if (ref->inode.is_directory() || (ref->inode.flags & kFixed) != 0) return Error(EPERM);
  if (ref->inode.nlink == 0 && !opens_.linkable(ino)) return Error(ENOENT);
  if (ref->inode.nlink >= kLinksMax) return Error(EMLINK);

  Change change(stamps_);
  format::Inode& inode = change.edit(ino, ref);
  const uint32_t before = inode.nlink;
  inode.nlink = before + 1;
  inode.ctime = now();
  TRY(count_names(change, ino, inode, before, {{parent, +1}}));
  std::vector<SessionId> named;
  if (before == 0) {
    for (const OpenTable::Holder& holder : opens_.holders(ino)) {
      if (holder.orphan == 0) continue;
      change.batch().erase(format::open_unlinked_key(holder.session, ino), holder.orphan);
      named.push_back(holder.session);
    }
  }
  touch_directory(change.edit(parent, directory), 1, inode.ctime);
  put_entry(change, parent, name, old, {entry_type(inode.mode), ino});
  TRY(commit(change));
  if (before == 0) opens_.set_linkable(ino, false);  // once without a name again, for good
  for (const SessionId session : named) {
    if (!opens_.set_orphan(ino, session, 0)) opens_.orphan_done(ino, session);
  }
  return attr_of(ino, change.result(ino));
}

}  // namespace shoal::meta
