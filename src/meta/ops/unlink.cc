// unlink(2).
#include <dirent.h>

#include "meta/owner_impl.h"

namespace shoal::meta {

Result<Attr> Owner::unlink(const Request& request, Ino parent, std::string_view name) {
  TRY(healthy());
  TRY(check_name(name));
  for (;;) {
    TRY_ASSIGN(const CachedEntry seen, entry_of(parent, name));
    const Latches latches(latches_, {exclusive(parent), exclusive(seen.ino)});
    TRY_ASSIGN(const InodeRef directory, directory_latched(parent));
    TRY(check_access(request.caller, directory->inode, 1));
    TRY_ASSIGN(const CachedEntry entry, entry_latched(parent, name));
    if (entry.ino != seen.ino) continue;
    if (!entry.exists()) return Error(ENOENT);
    TRY_ASSIGN(const InodeRef ref, inode_latched(entry.ino));
    TRY(may_remove(request.caller, directory->inode, ref->inode));
    if (ref->inode.is_directory()) return Error(EISDIR);

    Change change(stamps_);
    const Time time = now();
    change.erase_entry(parent, name, entry.stamp);
    touch_directory(change.edit(parent, directory), -1, time);
    TRY(drop_name(change, entry.ino, ref, {parent, name}));
    TRY(commit(change));
    return attr_of(entry.ino, change.result(entry.ino));
  }
}

Status Owner::drop_name(Change& change, Ino ino, const InodeRef& ref, const LastName& name) {
  format::Inode& inode = change.edit(ino, ref);
  const uint32_t before = inode.nlink;
  if (before <= 1) return drop_inode(change, ino, ref, name);
  inode.nlink = before - 1;
  inode.ctime = now();
  return count_names(change, ino, inode, before, {{name.parent, -1}});
}

}  // namespace shoal::meta
