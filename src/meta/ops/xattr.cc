// Extended attributes: small ones lie in the inode record, big ones under `X`. Source: xattr(7),
// Linux fs/xattr.c.
#include <algorithm>

#include "format/keys.h"
#include "meta/owner_impl.h"

namespace shoal::meta {
namespace {

constexpr std::string_view kCapability = "security.capability";
constexpr size_t kBigXattrsMax = 1'000;  // of one inode

bool is_acl(std::string_view name) { return name == kAclAccessXattr || name == kAclDefaultXattr; }

Status check_xattr_name(std::string_view name) {
  if (name.empty() || name.size() > kXattrNameBytesMax) return Error(ERANGE);
  for (const std::string_view known : {"user.", "trusted.", "security."}) {
    if (name.starts_with(known) && name.size() > known.size()) return {};
  }
  return is_acl(name) ? Status() : Status(Error(EOPNOTSUPP));
}

size_t inline_bytes(const format::Inode& inode) {
  size_t bytes = 0;
  for (const auto& [name, value] : inode.xattrs) bytes += name.size() + value.size() + 4;
  return bytes;
}

auto find_inline(format::Inode& inode, std::string_view name) {
  return std::find_if(inode.xattrs.begin(), inode.xattrs.end(),
                      [name](const auto& x) { return x.first == name; });
}

void set_inline(format::Inode& inode, std::string_view name, std::string_view value) {
  inode.xattrs.emplace_back(name, value);
  std::sort(inode.xattrs.begin(), inode.xattrs.end());
}

}  // namespace

// What the kernel checks before it asks; `write` of user.* needs the inode's write permission.
Status Owner::check_xattr_access(const Caller& who, const format::Inode& inode,
                                 std::string_view name, bool write) {
  if (write && (inode.flags & (format::kFlagImmutable | format::kFlagAppendOnly)) != 0)
    return Error(EPERM);
  if (who.kernel_checked || is_acl(name)) return {};
  if (name.starts_with("trusted."))
    return who.uid == 0 ? Status() : Status(Error(write ? EPERM : ENODATA));
  if (name.starts_with("security."))
    return !write || who.uid == 0 ? Status() : Status(Error(EPERM));
  if (!inode.is_regular() && !inode.is_directory()) return Error(write ? EPERM : ENODATA);
  if (write && inode.is_directory() && (inode.mode & 01000) != 0 && who.uid != 0 &&
      who.uid != inode.uid) {
    return Error(EPERM);
  }
  return check_access(who, inode, write ? 2 : 4);
}

Result<std::string> Owner::getxattr(const Request& request, Ino ino, std::string_view name) {
  TRY(healthy());
  TRY(check_xattr_name(name));
  TRY_ASSIGN(const InodeRef ref, inode_of(ino));
  TRY(check_xattr_access(request.caller, ref->inode, name, false));
  if (is_acl(name)) return get_acl(ref->inode, name);
  for (const auto& [own, value] : ref->inode.xattrs) {
    if (own == name) return value;
  }
  if (!ref->inode.has_big_xattrs) return Error(ENODATA);
  TRY_ASSIGN(const auto found, engine_.get(nullptr, format::xattr_key(ino, name)));
  if (!found) return Error(ENODATA);
  return found->value;
}

Result<std::vector<std::string>> Owner::listxattr(const Request& request, Ino ino) {
  TRY(healthy());
  TRY_ASSIGN(const InodeRef ref, inode_of(ino));
  const bool sees_trusted = may_override(request.caller);
  std::vector<std::string> names;
  const auto add = [&](std::string_view name) {
    if (sees_trusted || !name.starts_with("trusted.")) names.emplace_back(name);
  };
  for (const auto& [name, value] : ref->inode.xattrs) add(name);
  if (ref->inode.has_big_xattrs) {
    const std::string prefix = format::xattr_prefix(ino);
    TRY_ASSIGN(const engine::Page page,
               engine_.scan(nullptr, prefix, engine::prefix_end(prefix), kPageEntriesMax));
    for (const engine::Item& item : page.items) {
      TRY_ASSIGN(const auto key, format::parse_xattr_key(item.key));
      add(key.second);
    }
  }
  if (ref->inode.acl_access != 0) names.emplace_back(kAclAccessXattr);
  if (ref->inode.acl_default != 0) names.emplace_back(kAclDefaultXattr);
  std::sort(names.begin(), names.end());
  return names;
}

Status Owner::setxattr(const Request& request, Ino ino, std::string_view name,
                       std::string_view value, XattrMode mode, bool kill_sgid) {
  TRY(healthy());
  TRY(check_xattr_name(name));
  if (value.size() > kXattrValueBytesMax) {
    return error(E2BIG, "xattr value of {} bytes; at most {} are kept", value.size(),
                 kXattrValueBytesMax);
  }
  const Latches latch(latches_, {exclusive(ino)});
  TRY_ASSIGN(const InodeRef ref, inode_latched(ino));
  TRY(check_xattr_access(request.caller, ref->inode, name, true));
  Change change(stamps_);
  format::Inode& inode = change.edit(ino, ref);
  inode.ctime = now();
  if (is_acl(name)) {
    const bool had = (name == kAclDefaultXattr ? inode.acl_default : inode.acl_access) != 0;
    if (mode == XattrMode::kCreate && had) return Error(EEXIST);
    if (mode == XattrMode::kReplace && !had) return Error(ENODATA);
    TRY(set_acl(change, request.caller, inode, name, value, kill_sgid));
    return commit(change);
  }
  TRY(put_xattr(change, ino, inode, name, value, mode));
  return commit(change);
}

Status Owner::put_xattr(Change& change, Ino ino, format::Inode& inode, std::string_view name,
                        std::string_view value, XattrMode mode) {
  const auto in_inode = find_inline(inode, name);
  const bool inline_had = in_inode != inode.xattrs.end();
  const std::string key = format::xattr_key(ino, name);
  std::optional<engine::Versioned> big;
  if (!inline_had && inode.has_big_xattrs) {
    TRY_ASSIGN(big, engine_.get(nullptr, key));
  }
  if (mode == XattrMode::kCreate && (inline_had || big)) return Error(EEXIST);
  if (mode == XattrMode::kReplace && !inline_had && !big) return Error(ENODATA);
  if (inline_had) inode.xattrs.erase(in_inode);
  // security.capability always lies in the inode: every write has to see it.
  const bool fits = name == kCapability ||
                    inline_bytes(inode) + name.size() + value.size() + 4 <= kInlineXattrBytesMax;
  if (fits && !big) {
    set_inline(inode, name, value);
    return {};
  }
  if (big) {
    change.batch().update(key, std::string(value), big->stamp);
    return {};
  }
  if (inode.has_big_xattrs) {
    const std::string prefix = format::xattr_prefix(ino);
    TRY_ASSIGN(const engine::Page page,
               engine_.scan(nullptr, prefix, engine::prefix_end(prefix), kBigXattrsMax));
    size_t list_bytes = name.size() + 1;
    for (const engine::Item& item : page.items) list_bytes += item.key.size();
    if (page.items.size() >= kBigXattrsMax ||
        list_bytes > kXattrListBytesMax - kInlineXattrBytesMax) {
      return error(ENOSPC, "inode {} has too many extended attributes", ino);
    }
  }
  inode.has_big_xattrs = true;
  change.batch().insert(key, std::string(value));
  return {};
}

Status Owner::removexattr(const Request& request, Ino ino, std::string_view name) {
  TRY(healthy());
  TRY(check_xattr_name(name));
  const Latches latch(latches_, {exclusive(ino)});
  TRY_ASSIGN(const InodeRef ref, inode_latched(ino));
  TRY(check_xattr_access(request.caller, ref->inode, name, true));
  Change change(stamps_);
  format::Inode& inode = change.edit(ino, ref);
  inode.ctime = now();
  if (is_acl(name)) {
    if (!may_override(request.caller) && request.caller.uid != inode.uid) return Error(EPERM);
    uint64_t& id = name == kAclDefaultXattr ? inode.acl_default : inode.acl_access;
    if (id == 0) return {};  // Linux: as setting none, which always works
    id = 0;
    return commit(change);
  }
  const auto in_inode = find_inline(inode, name);
  if (in_inode != inode.xattrs.end()) {
    inode.xattrs.erase(in_inode);
    return commit(change);
  }
  if (!inode.has_big_xattrs) return Error(ENODATA);
  const std::string key = format::xattr_key(ino, name);
  TRY_ASSIGN(const auto found, engine_.get(nullptr, key));
  if (!found) return Error(ENODATA);
  const std::string prefix = format::xattr_prefix(ino);
  TRY_ASSIGN(const engine::Page left, engine_.scan(nullptr, prefix, engine::prefix_end(prefix), 2));
  inode.has_big_xattrs = left.items.size() > 1;
  change.batch().erase(key, found->stamp);
  return commit(change);
}

}  // namespace shoal::meta
