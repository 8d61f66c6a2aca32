#include "posix_model.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

namespace shoal::model {

PosixModel::PosixModel(bool keeps_trash, Time now)
    : keeps_trash_(keeps_trash), now_(now), root_(std::make_shared<Node>()) {
  root_->ino = kRootIno;
  root_->mode = S_IFDIR | 0755;
  root_->nlink = 2;
  root_->parent = root_.get();
  touch(*root_);
}

// --- names ---

int PosixModel::lookup(const Node& directory, std::string_view name, NodePtr* found) const {
  if (!directory.is_directory()) return ENOTDIR;
  const auto it = directory.names.find(std::string(name));
  if (it == directory.names.end()) return ENOENT;
  *found = it->second;
  return 0;
}

// POSIX open(2): the group may be that of the directory; Linux: it is when the directory has
// S_ISGID, and then a new directory has it too. S_ISGID of an executable file needs CAP_FSETID or
// membership of the group (inode_init_owner).
NodePtr PosixModel::new_node(const Node& directory, uint32_t mode, const Who& who) {
  auto node = std::make_shared<Node>();
  node->mode = mode & ~who.umask;
  if (S_ISLNK(mode)) node->mode = mode;
  node->uid = who.uid;
  node->gid = who.gid;
  if ((directory.mode & S_ISGID) != 0) {
    node->gid = directory.gid;
    if (S_ISDIR(mode)) {
      node->mode |= S_ISGID;
    } else if ((node->mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && who.uid != 0 &&
               who.gid != node->gid) {
      node->mode &= ~static_cast<uint32_t>(S_ISGID);
    }
  }
  touch(*node);
  return node;
}

void PosixModel::add_name(const NodePtr& directory, std::string_view name, const NodePtr& node) {
  directory->names[std::string(name)] = node;
  if (node->is_directory()) {
    node->parent = directory.get();
    ++directory->nlink;
  }
  touch(*directory);
}

void PosixModel::take_name(const NodePtr& directory, std::string_view name) {
  const auto it = directory->names.find(std::string(name));
  if (it->second->is_directory()) --directory->nlink;
  directory->names.erase(it);
  touch(*directory);
}

int PosixModel::make(const NodePtr& directory, std::string_view name, uint32_t mode, const Who& who,
                     NodePtr* made) {
  if (directory->names.contains(std::string(name))) return EEXIST;
  if (directory->is_removed()) return ENOENT;
  if (S_ISDIR(mode)) mode &= S_IFMT | 01777;
  const NodePtr node = new_node(*directory, mode, who);
  node->nlink = node->is_directory() ? 2 : 1;
  add_name(directory, name, node);
  *made = node;
  return 0;
}

int PosixModel::make_unnamed(const NodePtr& directory, uint32_t mode, const Who& who,
                             NodePtr* made) {
  if (directory->is_removed()) return ENOENT;
  *made = new_node(*directory, mode, who);
  (*made)->linkable = true;
  return 0;
}

int PosixModel::link(const NodePtr& node, const NodePtr& directory, std::string_view name) {
  if (directory->names.contains(std::string(name))) return EEXIST;
  if (directory->is_removed()) return ENOENT;
  if (node->is_directory()) return EPERM;
  if (node->nlink == 0 && !node->linkable) return ENOENT;
  node->linkable = false;
  ++node->nlink;
  node->ctime = now_;
  add_name(directory, name, node);
  return 0;
}

void PosixModel::lost_name(const NodePtr& node, const NodePtr& directory, std::string_view name) {
  node->nlink = node->is_directory() ? 0 : node->nlink - 1;
  node->ctime = now_;
  if (node->nlink == 0 && keeps_trash_)
    trash_.push_back({node, directory.get(), directory, std::string(name)});
}

int PosixModel::unlink(const NodePtr& directory, std::string_view name) {
  NodePtr node;
  if (const int code = lookup(*directory, name, &node); code != 0) return code;
  if (node->is_directory()) return EISDIR;
  take_name(directory, name);
  lost_name(node, directory, name);
  return 0;
}

int PosixModel::rmdir(const NodePtr& directory, std::string_view name) {
  NodePtr node;
  if (const int code = lookup(*directory, name, &node); code != 0) return code;
  if (!node->is_directory()) return ENOTDIR;
  if (!node->names.empty()) return ENOTEMPTY;
  take_name(directory, name);
  lost_name(node, directory, name);
  return 0;
}

bool PosixModel::is_above(const Node& above, const Node& below) {
  for (const Node* node = &below;; node = node->parent) {
    if (node == &above) return true;
    if (node->parent == node || node->is_removed()) return false;
  }
}

// The order of the errors is Linux's: do_renameat2, then vfs_rename and may_delete.
int PosixModel::rename(const NodePtr& from, std::string_view name, const NodePtr& to,
                       std::string_view new_name, Move move) {
  NodePtr node;
  NodePtr target;
  if (lookup(*from, name, &node) != 0) return ENOENT;
  const bool replaces = lookup(*to, new_name, &target) == 0;
  if (replaces && move == Move::kNoReplace) return EEXIST;
  if (!replaces && move == Move::kExchange) return ENOENT;
  if (node->is_directory() && is_above(*node, *to)) return EINVAL;
  if (replaces && target->is_directory() && target != node && is_above(*target, *from)) {
    return move == Move::kExchange ? EINVAL : ENOTEMPTY;
  }
  if (to->is_removed()) return ENOENT;
  if (node == target) return 0;
  if (move == Move::kExchange) {
    take_name(from, name);
    take_name(to, new_name);
    add_name(to, new_name, node);
    add_name(from, name, target);
    node->ctime = target->ctime = now_;
    return 0;
  }
  if (replaces) {
    if (node->is_directory() && !target->is_directory()) return ENOTDIR;
    if (!node->is_directory() && target->is_directory()) return EISDIR;
    if (!target->names.empty()) return ENOTEMPTY;
    take_name(to, new_name);
    lost_name(target, to, new_name);
  }
  take_name(from, name);
  add_name(to, new_name, node);
  node->ctime = now_;
  return 0;
}

// --- attributes ---

void PosixModel::chmod(Node& node, uint32_t mode) {
  node.mode = (node.mode & S_IFMT) | (mode & 07777);
  node.ctime = now_;
}

void PosixModel::chown(Node& node, uint32_t uid, uint32_t gid) {
  node.uid = uid;
  node.gid = gid;
  node.ctime = now_;
  if (node.is_directory()) return;
  node.mode &= ~static_cast<uint32_t>(S_ISUID);
  if ((node.mode & S_IXGRP) != 0) node.mode &= ~static_cast<uint32_t>(S_ISGID);
}

void PosixModel::set_mtime(Node& node, Time time) {
  node.mtime = time;
  node.ctime = now_;
}

int PosixModel::set_xattr(Node& node, const std::string& name, std::string_view value,
                          SetXattr how) {
  const bool there = node.xattrs.contains(name);
  if (there && how == SetXattr::kCreate) return EEXIST;
  if (!there && how == SetXattr::kReplace) return ENODATA;
  node.xattrs[name] = std::string(value);
  node.ctime = now_;
  return 0;
}

int PosixModel::remove_xattr(Node& node, const std::string& name) {
  if (node.xattrs.erase(name) == 0) return ENODATA;
  node.ctime = now_;
  return 0;
}

// --- data ---

void PosixModel::changed(Node& node, bool kill_privileges) {
  touch(node);
  if (!kill_privileges) return;
  node.mode &= ~static_cast<uint32_t>(S_ISUID);
  if ((node.mode & S_IXGRP) != 0) node.mode &= ~static_cast<uint32_t>(S_ISGID);
}

void PosixModel::write(Node& node, uint64_t offset, std::string_view bytes, bool kill_privileges) {
  if (bytes.empty()) return;
  if (node.data.size() < offset + bytes.size()) node.data.resize(offset + bytes.size(), '\0');
  node.data.replace(offset, bytes.size(), bytes);
  changed(node, kill_privileges);
}

void PosixModel::truncate(Node& node, uint64_t size, bool kill_privileges) {
  node.data.resize(size, '\0');
  changed(node, kill_privileges);
}

void PosixModel::punch(Node& node, uint64_t offset, uint64_t length, bool kill_privileges) {
  zero(node, offset, length, true, kill_privileges);
}

void PosixModel::zero(Node& node, uint64_t offset, uint64_t length, bool keep_size,
                      bool kill_privileges) {
  if (!keep_size && node.data.size() < offset + length) node.data.resize(offset + length, '\0');
  const uint64_t end = std::min<uint64_t>(offset + length, node.data.size());
  if (offset < end)
    std::fill(node.data.begin() + static_cast<long>(offset),
              node.data.begin() + static_cast<long>(end), '\0');
  changed(node, kill_privileges);
}

void PosixModel::allocate(Node& node, uint64_t end, bool keep_size, bool kill_privileges) {
  const Time before = node.mtime;
  const bool grows = !keep_size && node.data.size() < end;
  if (grows) node.data.resize(end, '\0');
  changed(node, kill_privileges);
  if (!grows) node.mtime = before;
}

int64_t PosixModel::copy(Node& from, uint64_t from_offset, Node& to, uint64_t to_offset,
                         uint64_t length, bool kill_privileges) {
  if (from_offset >= from.data.size()) return 0;
  length = std::min<uint64_t>(length, from.data.size() - from_offset);
  if (&from == &to && from_offset < to_offset + length && to_offset < from_offset + length)
    return -1;
  const std::string bytes = from.data.substr(from_offset, length);
  write(to, to_offset, bytes, kill_privileges);
  return static_cast<int64_t>(length);
}

// --- trash ---

int PosixModel::restore(size_t which) {
  const Trashed trashed = trash_[which];
  if (trashed.parent->is_removed()) return ENOENT;
  if (trashed.parent->names.contains(trashed.name)) return EEXIST;
  trash_.erase(trash_.begin() + static_cast<long>(which));
  trashed.node->nlink = trashed.node->is_directory() ? 2 : 1;
  trashed.node->ctime = now_;
  add_name(trashed.parent_ref, trashed.name, trashed.node);
  return 0;
}

void PosixModel::empty_trash() { trash_.clear(); }

}  // namespace shoal::model
