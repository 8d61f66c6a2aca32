// lookup: one component, or a path. What is cached touches no engine and no latch.
#include "meta/owner_impl.h"

namespace shoal::meta {

Result<Attr> Owner::lookup(const Request& request, Ino parent, std::string_view name) {
  TRY(healthy());
  TRY(check_name(name));
  TRY_ASSIGN(const InodeRef directory, inode_of(parent));
  if (!directory->inode.is_directory()) return Error(ENOTDIR);
  TRY(check_access(request.caller, directory->inode, 1));
  for (;;) {
    TRY_ASSIGN(const CachedEntry entry, entry_of(parent, name));
    if (!entry.exists()) return Error(ENOENT);
    auto child = inode_of(entry.ino);
    if (child.ok()) return attr_of(entry.ino, *child);
    if (!child.error().is(ENOENT)) return std::move(child).error();
    // The inode went between the two reads: then the name went with it, or names another one by
    // now.
    TRY_ASSIGN(const CachedEntry again, entry_of(parent, name));
    if (again.ino == entry.ino) {
      return error(EIO, "entry {} of directory {} names inode {}, which is not there: run fsck",
                   name, parent, entry.ino);
    }
  }
}

Result<Attr> Owner::lookup_path(const Request& request, Ino from, std::string_view path) {
  TRY_ASSIGN(Attr attr, getattr(request, from));
  while (!path.empty()) {
    const size_t slash = path.find('/');
    const std::string_view name = path.substr(0, slash);
    path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
    if (name.empty() || name == ".") continue;
    if (!attr.is_directory()) return Error(ENOTDIR);
    if (name == "..") {
      TRY_ASSIGN(attr, getattr(request, attr.parent));
    } else {
      TRY_ASSIGN(attr, lookup(request, attr.ino, name));
    }
  }
  return attr;
}

}  // namespace shoal::meta
