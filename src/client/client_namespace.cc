// The namespace: as the owner answers, attributes overlaid, with what renames and unlinks mean for
// uncommitted data.
#include "client/client_impl.h"

namespace shoal::client {

Result<Attr> ClientImpl::lookup(const Caller& who, Ino parent, std::string_view name) {
  const uint64_t before = committer_.changes().now();
  TRY_ASSIGN(Attr attr, metadata().lookup(request(who), parent, name));
  return settled(std::move(attr), before);
}

Result<Attr> ClientImpl::getattr(const Caller& who, Ino ino) {
  const uint64_t before = committer_.changes().now();
  Result<Attr> attr = metadata().getattr(request(who), ino);
  if (!attr.ok()) {
    if (attr.error().is(ENOENT)) {
      if (std::optional<Attr> removed = removed_.find(ino)) return *removed;
    }
    return attr.error();
  }
  return settled(std::move(*attr), before);
}

Result<Attr> ClientImpl::setattr(const Caller& who, Ino ino, const SetAttrRequest& wanted) {
  TRY(may_write());
  meta::SetAttr change = wanted.attr;
  if (wanted.size) {
    if (*wanted.size > kFileBytesMax)
      return error(EFBIG, "files are at most {} bytes", kFileBytesMax);
    TRY(check_truncate(who, ino, wanted.handle));
  }
  TRY_ASSIGN(const InodeRef inode, known_inode(ino));
  if (wanted.size) {
    TRY(kill_privileges(*inode, change.kill_privileges));
    TRY(truncate(*inode, *wanted.size));
  }
  bool dirty = false;
  {
    MutexLock lock(inode->latch);
    dirty = !inode->list.empty();
    if (change.mode || change.uid || change.gid) inode->privileges_possible = true;
  }
  const bool times = change.mtime || change.atime;
  const bool others =
      change.mode || change.uid || change.gid || change.flags || change.kill_privileges;
  // Times behind uncommitted operations go into the list alone, unless the owner has to check who
  // may set them. What binds everybody is checked here then.
  if (times && dirty && who.kernel_checked && !others) TRY(check_times(who, ino, change));
  if (others || (times && !(dirty && who.kernel_checked)))
    TRY(metadata().setattr(request(who), ino, change));
  if (times && dirty) TRY(list_times(*inode, change));
  TRY(commit_if_others_wait(*inode));
  return getattr(who, ino);
}

Status ClientImpl::check_times(const Caller& who, Ino ino, const meta::SetAttr& change) {
  TRY_ASSIGN(const Attr attr, metadata().getattr(request(who), ino));
  if ((attr.flags & format::kFlagImmutable) != 0) return Error(EPERM);
  const bool explicit_times =
      (change.atime && !change.atime->now) || (change.mtime && !change.mtime->now);
  if (explicit_times && (attr.flags & format::kFlagAppendOnly) != 0) return Error(EPERM);
  return {};
}

// Truncation is a data operation, so the owner is not asked about it; what it would check is
// checked here.
Status ClientImpl::check_truncate(const Caller& who, Ino ino, std::optional<HandleId> handle) {
  TRY_ASSIGN(const Attr attr, metadata().getattr(request(who), ino));
  if (attr.is_directory()) return Error(EISDIR);
  if (!attr.is_regular()) return Error(EINVAL);
  if ((attr.flags & (format::kFlagImmutable | format::kFlagAppendOnly)) != 0) return Error(EPERM);
  if (handle) {
    const OpenFilePtr file = handles_.find(*handle);
    if (!file || file->inode->ino != ino) return Error(EBADF);
    if (!file->options.write) return Error(EINVAL);
    return {};
  }
  if (who.kernel_checked) return {};
  // Opening for writing needs the same right.
  constexpr meta::OpenFlags kWrite{false, true};
  TRY(metadata().open(request(who), ino, kWrite));
  return metadata().release(request(who), ino, kWrite);
}

Result<Attr> ClientImpl::mknod(const Caller& who, Ino parent, std::string_view name, uint32_t mode,
                               uint64_t rdev) {
  TRY(may_write());
  return metadata().mknod(request(who), parent, name, mode, rdev);
}

Result<Attr> ClientImpl::mkdir(const Caller& who, Ino parent, std::string_view name,
                               uint32_t mode) {
  TRY(may_write());
  return metadata().mkdir(request(who), parent, name, mode);
}

Result<Attr> ClientImpl::symlink(const Caller& who, Ino parent, std::string_view name,
                                 std::string_view target) {
  TRY(may_write());
  return metadata().symlink(request(who), parent, name, target);
}

Result<Attr> ClientImpl::link(const Caller& who, Ino ino, Ino parent, std::string_view name) {
  TRY(may_write());
  const uint64_t before = committer_.changes().now();
  TRY_ASSIGN(Attr attr, metadata().link(request(who), ino, parent, name));
  if (const InodeRef inode = table_.find(ino)) {
    MutexLock lock(inode->latch);
    inode->unlinked = false;
  }
  return settled(std::move(attr), before);
}

void ClientImpl::lost_a_name(const Attr& attr) {
  if (attr.nlink > 0 || !attr.is_regular()) return;
  const InodeRef inode = table_.find(attr.ino);
  if (!inode) return;
  {
    MutexLock lock(inode->latch);
    inode->unlinked = true;
  }
  drop_if_gone(*inode);
}

Status ClientImpl::unlink(const Caller& who, Ino parent, std::string_view name) {
  TRY(may_write());
  TRY_ASSIGN(const Attr attr, metadata().unlink(request(who), parent, name));
  lost_a_name(attr);
  return {};
}

Status ClientImpl::rmdir(const Caller& who, Ino parent, std::string_view name) {
  TRY(may_write());
  TRY_ASSIGN(const Attr attr, metadata().rmdir(request(who), parent, name));
  removed_.add(attr);
  return {};
}

// I12. True when the name was a file whose data is committed in the class of `class_of` now.
Result<bool> ClientImpl::commit_before_rename(const Caller& who, Ino parent, std::string_view name,
                                              Ino class_of) {
  TRY_ASSIGN(const Attr attr, metadata().lookup(request(who), parent, name));
  if (!attr.is_regular()) return false;
  const format::Durability durability = durability_.of_directory(class_of);
  const InodeRef inode = table_.find(attr.ino);
  if (inode) TRY(committer_.commit(*inode));
  if (durability == format::Durability::kObject) {
    TRY(store(attr.ino));
    TRY(wait_stored_elsewhere(attr.ino));
  }
  return true;
}

// What other mounts wrote into the file is committed, but perhaps staged there.
Status ClientImpl::wait_stored_elsewhere(Ino ino) {
  if (!shared_ || seams_.holders == nullptr) return {};
  SegmentId last;
  uint64_t from = 0;
  for (bool more = true; more;) {
    TRY_ASSIGN(const meta::ExtentPage page,
               metadata().extents(system_request(), ino, from, kPageEntriesMax));
    more = page.more && !page.extents.empty();
    for (const format::Extent& extent : page.extents) {
      from = extent.end();
      const SegmentId& id = extent.target.segment;
      if (extent.target.kind != format::Target::Kind::kSegment || id == last) continue;
      TRY(seams_.holders->wait_stored(id));
      last = id;
    }
  }
  return {};
}

// I12: what takes another's place is committed first. A name that is free is taken only if it still
// is when the owner renames.
Result<meta::Metadata::Renamed> ClientImpl::rename_safely(const Caller& who, Ino parent,
                                                          std::string_view name, Ino new_parent,
                                                          std::string_view new_name,
                                                          meta::RenameMode mode) {
  const auto is_free = [&] {
    const Result<Attr> there = metadata().lookup(request(who), new_parent, new_name);
    return !there.ok() && there.error().is(ENOENT);
  };
  while (mode == meta::RenameMode::kReplace && is_free()) {
    Result<meta::Metadata::Renamed> renamed = metadata().rename(
        request(who), parent, name, new_parent, new_name, meta::RenameMode::kNoReplace);
    if (renamed.ok() || !renamed.error().is(EEXIST)) return renamed;
  }
  if (mode != meta::RenameMode::kNoReplace) {
    TRY(commit_before_rename(who, parent, name, new_parent));
    if (mode == meta::RenameMode::kExchange)
      TRY(commit_before_rename(who, new_parent, new_name, parent));
  }
  return metadata().rename(request(who), parent, name, new_parent, new_name, mode);
}

Status ClientImpl::rename(const Caller& who, Ino parent, std::string_view name, Ino new_parent,
                          std::string_view new_name, meta::RenameMode mode) {
  TRY(may_write());
  const bool exchange = mode == meta::RenameMode::kExchange;
  TRY_ASSIGN(const meta::Metadata::Renamed renamed,
             rename_safely(who, parent, name, new_parent, new_name, mode));
  moved(renamed.moved);
  if (!renamed.replaced) return {};
  if (exchange) {
    moved(*renamed.replaced);
  } else {
    lost_a_name(*renamed.replaced);
    removed_.add(*renamed.replaced);
  }
  return {};
}

void ClientImpl::moved(const Attr& attr) {
  if (attr.is_directory()) return durability_.forget();  // what is below may inherit another class
  const InodeRef inode = table_.find(attr.ino);
  if (!inode) return;
  MutexLock lock(inode->latch);
  inode->parent = attr.parent;
}

// A directory's change time tells whether a kept listing is still right: no program can set it.
Result<OpenedDirectory> ClientImpl::open_directory(const Caller& who, Ino ino) {
  constexpr uint64_t kCachedEntriesMax = 64 << 10;
  TRY_ASSIGN(const Attr attr, metadata().getattr(request(who), ino));
  OpenedDirectory opened;
  if (shared_) return opened;  // others add names to it
  opened.cache = attr.entries <= kCachedEntriesMax;
  const auto version = static_cast<Stamp>(attr.ctime.seconds) * 1'000'000'000 +
                       static_cast<Stamp>(attr.ctime.nanoseconds);
  opened.keep_cache = opened.cache && seen_.get(ino) == version;
  seen_.set(ino, version);
  return opened;
}

Result<std::string> ClientImpl::readlink(const Caller& who, Ino ino) {
  return metadata().readlink(request(who), ino);
}

Result<meta::DirPage> ClientImpl::readdir(const Caller& who, Ino ino, std::string_view after,
                                          size_t limit, bool with_attributes) {
  const uint64_t before = committer_.changes().now();
  Result<meta::DirPage> listed =
      metadata().readdir(request(who), ino, after, limit, with_attributes);
  if (listed.code() == ENOENT && removed_.find(ino)) return meta::DirPage{};
  TRY_ASSIGN(meta::DirPage page, std::move(listed));
  for (meta::DirEntry& entry : page.entries) {
    if (!entry.attr || !entry.attr->is_regular()) continue;
    Result<Attr> attr = settled(std::move(*entry.attr), before);
    if (attr.ok()) {
      entry.attr = std::move(attr).value();
    } else {
      entry.attr.reset();  // removed meanwhile: the kernel will look it up
    }
  }
  return page;
}

Result<std::string> ClientImpl::getxattr(const Caller& who, Ino ino, std::string_view name) {
  Result<std::string> value = metadata().getxattr(request(who), ino, name);
  // The kernel asks for the ACL of a directory before it lets anybody look at it.
  if (value.code() == ENOENT && removed_.find(ino)) return Error(ENODATA);
  return value;
}

Result<std::vector<std::string>> ClientImpl::listxattr(const Caller& who, Ino ino) {
  Result<std::vector<std::string>> names = metadata().listxattr(request(who), ino);
  if (names.code() == ENOENT && removed_.find(ino)) return std::vector<std::string>{};
  return names;
}

Status ClientImpl::setxattr(const Caller& who, Ino ino, std::string_view name,
                            std::string_view value, meta::Metadata::XattrMode mode,
                            bool kill_sgid) {
  TRY(may_write());
  TRY(metadata().setxattr(request(who), ino, name, value, mode, kill_sgid));
  xattr_changed(ino, name);
  return {};
}

Status ClientImpl::removexattr(const Caller& who, Ino ino, std::string_view name) {
  TRY(may_write());
  TRY(metadata().removexattr(request(who), ino, name));
  xattr_changed(ino, name);
  return {};
}

void ClientImpl::xattr_changed(Ino ino, std::string_view name) {
  if (name == kDurabilityXattr) durability_.forget();
  if (const InodeRef inode = table_.find(ino)) {
    MutexLock lock(inode->latch);
    inode->privileges_possible = true;
  }
}

}  // namespace shoal::client
