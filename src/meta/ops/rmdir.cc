// rmdir(2). The count of entries is exact under the directory's latch, so no scan is needed to know
// it is empty.
#include "meta/owner_impl.h"

namespace shoal::meta {

Result<Attr> Owner::rmdir(const Request& request, Ino parent, std::string_view name) {
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
    if (!ref->inode.is_directory()) return Error(ENOTDIR);
    if (ref->inode.entries != 0) return Error(ENOTEMPTY);

    Change change(stamps_);
    change.erase_entry(parent, name, entry.stamp);
    format::Inode& above = change.edit(parent, directory);
    touch_directory(above, -1, now());
    above.nlink -= 1;
    TRY(drop_inode(change, entry.ino, ref, {parent, name}));
    TRY(commit(change));
    forget_run(entry.ino);
    return attr_of(entry.ino, change.result(entry.ino));
  }
}

}  // namespace shoal::meta
