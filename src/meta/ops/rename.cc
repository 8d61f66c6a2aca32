// rename(2) with RENAME_NOREPLACE and RENAME_EXCHANGE. Source of the order of errors: Linux
// vfs_rename, renameat2(2).
#include <dirent.h>

#include "meta/owner_impl.h"

namespace shoal::meta {

struct Owner::RenameCall {
  const Request& request;
  Ino parent;
  std::string_view name;
  Ino new_parent;
  std::string_view new_name;
  RenameMode mode;

  CachedEntry from, to;  // as found under the latches
  InodeRef directory, new_directory;
  InodeRef source, target;  // target null: the new name is free

  bool source_is_directory() const { return source->inode.is_directory(); }
  bool target_is_directory() const { return target != nullptr && target->inode.is_directory(); }
  bool across() const { return parent != new_parent; }
};

Result<Metadata::Renamed> Owner::rename(const Request& request, Ino parent, std::string_view name,
                                        Ino new_parent, std::string_view new_name,
                                        RenameMode mode) {
  TRY(healthy());
  TRY(check_name(name));
  TRY(check_name(new_name));
  for (;;) {
    TRY_ASSIGN(const CachedEntry from, entry_of(parent, name));
    TRY_ASSIGN(const CachedEntry to, entry_of(new_parent, new_name));
    // Only moves of directories between parents can make a circle; one at a time, the walk to the
    // root is stable.
    const bool moves_directory =
        parent != new_parent &&
        (from.type == DT_DIR || (mode == RenameMode::kExchange && to.type == DT_DIR));
    std::optional<MutexLock> moving;
    if (moves_directory) moving.emplace(rename_mutex_);
    const Latches latches(latches_, {exclusive(parent), exclusive(new_parent), exclusive(from.ino),
                                     exclusive(to.ino)});
    RenameCall call{request, parent, name, new_parent, new_name, mode, {}, {}, {}, {}, {}, {}};
    TRY_ASSIGN(call.directory, directory_latched(parent));
    TRY_ASSIGN(call.new_directory, directory_latched(new_parent));
    TRY_ASSIGN(call.from, entry_latched(parent, name));
    TRY_ASSIGN(call.to, entry_latched(new_parent, new_name));
    if (call.from.ino != from.ino || call.to.ino != to.ino) continue;
    return rename_latched(call);
  }
}

Result<Metadata::Renamed> Owner::rename_latched(RenameCall& call) {
  if (!call.from.exists()) return Error(ENOENT);
  if (call.to.exists() && call.mode == RenameMode::kNoReplace) return Error(EEXIST);
  if (!call.to.exists() && call.mode == RenameMode::kExchange) return Error(ENOENT);
  TRY_ASSIGN(call.source, inode_latched(call.from.ino));
  if (call.to.exists()) {
    TRY_ASSIGN(call.target, inode_latched(call.to.ino));
  }
  // Two names of one file: POSIX has nothing happen.
  if (call.from.ino == call.to.ino) return Renamed{attr_of(call.from.ino, call.source), {}};
  TRY(check_rename(call));

  Change change(stamps_);
  TRY(call.mode == RenameMode::kExchange ? exchange_names(change, call) : move_name(change, call));
  TRY(commit(change));
  Renamed renamed{attr_of(call.from.ino, change.result(call.from.ino)), {}};
  if (call.target != nullptr) {
    renamed.replaced = attr_of(call.to.ino, change.result(call.to.ino));
    if (renamed.replaced->nlink == 0) forget_run(call.to.ino);
  }
  return renamed;
}

// Walks up without latches: the rename mutex keeps every directory above under its parent.
Result<bool> Owner::is_ancestor(Ino ancestor, Ino of) {
  for (Ino ino = of;;) {
    if (ino == ancestor) return true;
    if (ino == kRootIno) return false;
    TRY_ASSIGN(const InodeRef ref, inode_peek(ino));
    ino = ref->inode.parent;
  }
}

Status Owner::check_rename(const RenameCall& call) {
  const Caller& who = call.request.caller;
  const bool exchange = call.mode == RenameMode::kExchange;
  TRY(check_access(who, call.directory->inode, 1));
  TRY(check_access(who, call.new_directory->inode, 1));
  if (call.across() && call.source_is_directory()) {
    TRY_ASSIGN(const bool circle, is_ancestor(call.from.ino, call.new_parent));
    if (circle) return Error(EINVAL);
  }
  if (call.across() && call.target_is_directory()) {
    // Without exchange the target, above the source, cannot be empty.
    if (exchange) {
      TRY_ASSIGN(const bool circle, is_ancestor(call.to.ino, call.parent));
      if (circle) return Error(EINVAL);
    } else if (call.to.ino == call.parent) {
      return Error(ENOTEMPTY);
    }
  }
  TRY(may_remove(who, call.directory->inode, call.source->inode));
  if (call.target == nullptr) {
    TRY(may_add(who, call.new_directory->inode));
  } else {
    TRY(may_remove(who, call.new_directory->inode, call.target->inode));
    if (!exchange) {
      if (call.source_is_directory() && !call.target_is_directory()) return Error(ENOTDIR);
      if (!call.source_is_directory() && call.target_is_directory()) return Error(EISDIR);
    }
  }
  // ".." of a moved directory changes, which is a write to it.
  if (call.across() && call.source_is_directory()) TRY(check_access(who, call.source->inode, 2));
  if (call.across() && exchange && call.target_is_directory()) {
    TRY(check_access(who, call.target->inode, 2));
  }
  if (!exchange && call.target_is_directory() && call.target->inode.entries != 0) {
    return Error(ENOTEMPTY);
  }
  if (call.across() && call.new_directory->inode.nlink >= kLinksMax) return Error(EMLINK);
  return {};
}

Status Owner::move_name(Change& change, RenameCall& call) {
  const Time time = now();
  const format::Entry entry{call.from.type, call.from.ino};
  change.erase_entry(call.parent, call.name, call.from.stamp);
  if (call.to.stamp != 0) {
    change.update_entry(call.new_parent, call.new_name, entry, call.to.stamp);
  } else {
    change.insert_entry(call.new_parent, call.new_name, entry);
  }
  format::Inode& directory = change.edit(call.parent, call.directory);
  format::Inode& new_directory = change.edit(call.new_parent, call.new_directory);
  touch_directory(directory, -1, time);
  touch_directory(new_directory, call.target == nullptr ? 1 : 0, time);
  format::Inode& source = change.edit(call.from.ino, call.source);
  source.ctime = time;
  if (source.is_directory()) {
    source.parent = call.new_parent;
    directory.nlink -= 1;
    new_directory.nlink += 1;
  } else if (call.across()) {
    TRY(count_names(change, call.from.ino, source, source.nlink,
                    {{call.parent, -1}, {call.new_parent, +1}}));
  }
  if (call.target == nullptr) return {};
  const LastName name{call.new_parent, call.new_name};
  if (!call.target_is_directory()) return drop_name(change, call.to.ino, call.target, name);
  new_directory.nlink -= 1;
  return drop_inode(change, call.to.ino, call.target, name);
}

Status Owner::exchange_names(Change& change, RenameCall& call) {
  const Time time = now();
  change.update_entry(call.parent, call.name, {call.to.type, call.to.ino}, call.from.stamp);
  change.update_entry(call.new_parent, call.new_name, {call.from.type, call.from.ino},
                      call.to.stamp);
  format::Inode& directory = change.edit(call.parent, call.directory);
  format::Inode& new_directory = change.edit(call.new_parent, call.new_directory);
  touch_directory(directory, 0, time);
  touch_directory(new_directory, 0, time);
  const auto move = [&](Ino ino, const InodeRef& ref, format::Inode& old_above, Ino old_parent,
                        format::Inode& new_above, Ino new_parent) -> Status {
    format::Inode& inode = change.edit(ino, ref);
    inode.ctime = time;
    if (!inode.is_directory()) {
      if (!call.across()) return {};
      return count_names(change, ino, inode, inode.nlink, {{old_parent, -1}, {new_parent, +1}});
    }
    inode.parent = new_parent;
    old_above.nlink -= 1;
    new_above.nlink += 1;
    return {};
  };
  TRY(move(call.from.ino, call.source, directory, call.parent, new_directory, call.new_parent));
  return move(call.to.ino, call.target, new_directory, call.new_parent, directory, call.parent);
}

}  // namespace shoal::meta
