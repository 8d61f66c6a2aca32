// What the operations on names share.
#include <sys/stat.h>

#include "format/keys.h"
#include "meta/owner_impl.h"

namespace shoal::meta {

Status check_name(std::string_view name) {
  if (name.size() > kNameBytesMax) return Error(ENAMETOOLONG);
  if (name.empty() || name == "." || name == "..") return Error(EINVAL);
  for (const char c : name) {
    if (c == '/' || c == '\0') return Error(EINVAL);
  }
  return {};
}

uint8_t entry_type(uint32_t mode) { return static_cast<uint8_t>((mode & S_IFMT) >> 12); }

Attr attr_of(Ino ino, const format::Inode& inode) {
  Attr attr;
  attr.ino = ino;
  attr.mode = inode.mode;
  attr.uid = inode.uid;
  attr.gid = inode.gid;
  attr.nlink = inode.nlink;
  attr.size = inode.is_directory() ? 4096 : inode.size;  // programs expect a directory to have one
  attr.allocated = inode.allocated;
  attr.atime = inode.atime;
  attr.mtime = inode.mtime;
  attr.ctime = inode.ctime;
  attr.btime = inode.btime;
  attr.rdev = inode.rdev;
  attr.flags = inode.flags;
  attr.parent = inode.parent;
  attr.generation = inode.generation;
  attr.entries = inode.entries;
  attr.data_version = inode.data_version;
  attr.has_acl = inode.acl_access != 0 || inode.acl_default != 0;
  for (const auto& [name, value] : inode.xattrs) {
    if (name == "security.capability") attr.has_capability = true;
  }
  return attr;
}

Status Owner::may_add(const Caller& who, const format::Inode& directory) {
  if ((directory.flags & format::kFlagImmutable) != 0) return Error(EPERM);
  return check_access(who, directory, 3);
}

Status Owner::may_remove(const Caller& who, const format::Inode& directory,
                         const format::Inode& child) {
  TRY(check_access(who, directory, 3));
  constexpr uint32_t kFixed = format::kFlagImmutable | format::kFlagAppendOnly;
  if (((directory.flags | child.flags) & kFixed) != 0) return Error(EPERM);
  return check_sticky(who, directory, child);
}

void Owner::put_entry(Change& change, Ino parent, std::string_view name, const CachedEntry& old,
                      const format::Entry& entry) {
  if (old.stamp != 0) {
    change.update_entry(parent, name, entry, old.stamp);
  } else {
    change.insert_entry(parent, name, entry);
  }
}

void Owner::touch_directory(format::Inode& directory, int entries_delta, const Time& time) {
  directory.entries =
      static_cast<uint64_t>(static_cast<int64_t>(directory.entries) + entries_delta);
  directory.mtime = time;
  directory.ctime = time;
}

Result<Ino> Owner::add_inode(Change& change, const Request& request, Ino parent,
                             const InodeRef& directory, std::string_view name,
                             const NewInode& fresh) {
  const Caller& who = request.caller;
  TRY_ASSIGN(const Ino ino, new_ino(parent));
  const Time time = now();
  const bool is_directory = (fresh.mode & S_IFMT) == S_IFDIR;
  format::Inode& inode = change.create(ino);
  inode.mode = fresh.mode;
  inode.uid = who.uid;
  inode.gid = who.gid;
  inode.nlink = is_directory ? 2 : name.empty() ? 0 : 1;
  inode.atime = inode.mtime = inode.ctime = inode.btime = time;
  inode.rdev = fresh.rdev;
  inode.parent = parent;
  inode.generation = new_generation();
  if ((directory->inode.mode & S_ISGID) != 0) {
    inode.gid = directory->inode.gid;
    if (is_directory) {
      inode.mode |= S_ISGID;
    } else if (!may_override(who) && (inode.mode & S_ISGID) != 0 && !in_group(who, inode.gid)) {
      inode.mode &= ~static_cast<uint32_t>(S_ISGID);
    }
  }
  if (!fresh.symlink.empty()) {
    inode.content = format::Content::kSymlink;
    inode.symlink = fresh.symlink;
    inode.size = fresh.symlink.size();
  } else {
    TRY(inherit_mode(change, who, directory->inode, inode));
  }
  change.usage(kInodes, 1);
  if (name.empty()) return ino;
  format::Inode& above = change.edit(parent, directory);
  touch_directory(above, 1, time);
  if (is_directory) {
    if (above.nlink >= kLinksMax) return Error(EMLINK);
    above.nlink += 1;
  }
  return ino;
}

Result<Attr> Owner::make(const Request& request, Ino parent, std::string_view name,
                         const NewInode& fresh) {
  TRY(healthy());
  TRY(check_name(name));
  TRY(ensure_inodes(1));
  const Latches latches(latches_, {exclusive(parent)});
  TRY_ASSIGN(const InodeRef directory, directory_latched(parent));
  TRY(check_access(request.caller, directory->inode, 1));
  TRY_ASSIGN(const CachedEntry old, entry_latched(parent, name));
  if (old.exists()) return Error(EEXIST);
  TRY(may_add(request.caller, directory->inode));
  Change change(stamps_);
  TRY_ASSIGN(const Ino ino, add_inode(change, request, parent, directory, name, fresh));
  put_entry(change, parent, name, old, {entry_type(fresh.mode), ino});
  TRY(commit(change));
  return attr_of(ino, change.result(ino));
}

}  // namespace shoal::meta
