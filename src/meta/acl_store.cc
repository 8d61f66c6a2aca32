// ACLs of inodes: bodies are `A id` records that inodes with the same ACL share. The id is a hash
// of the body, so that the same body finds its record again without an index; a record of another
// body under that id moves on to the next.
#include "base/crc32c.h"
#include "format/keys.h"
#include "meta/owner_impl.h"

namespace shoal::meta {
namespace {

constexpr uint8_t kFormat = 1;
constexpr size_t kAclsCached = 4'096;
constexpr int kProbesMax = 16;

uint64_t hash_of(std::string_view body) {
  uint64_t hash = 0xcbf29ce484222325ull;  // FNV-1a
  for (const char c : body) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  hash ^= hash >> 32;
  return hash == 0 ? 1 : hash;
}

Result<Acl> decode_body(std::string_view value, uint64_t id) {
  Decoder in(value);
  if (in.u8() != kFormat) return error(EIO, "ACL {} has an unknown form", id);
  Result<Acl> acl = decode_acl(in.rest());
  if (!acl.ok()) return error(EIO, "ACL {}: {}", id, acl.error().text());
  return acl;
}

}  // namespace

Result<Acl> Owner::acl_of(uint64_t id) {
  if (id == 0) return Acl{};
  {
    MutexLock lock(acl_mutex_);
    const auto it = acls_.find(id);
    if (it != acls_.end()) return it->second;
  }
  TRY_ASSIGN(const auto found, engine_.get(nullptr, format::acl_key(id)));
  if (!found) return error(EIO, "ACL {} is missing; run shoal fsck", id);
  TRY_ASSIGN(Acl acl, decode_body(found->value, id));
  MutexLock lock(acl_mutex_);
  if (acls_.size() >= kAclsCached) acls_.clear();
  acls_.emplace(id, acl);
  return acl;
}

Result<uint64_t> Owner::keep_acl(Change& change, const Acl& acl) {
  if (acl.empty()) return uint64_t{0};
  const std::string body = encode_acl(acl);
  uint64_t id = hash_of(body);
  for (int probe = 0; probe < kProbesMax; ++probe, ++id) {
    if (id == 0) ++id;
    {
      MutexLock lock(acl_mutex_);
      const auto it = acls_.find(id);
      if (it != acls_.end() && it->second == acl) return id;
    }
    TRY_ASSIGN(const auto found, engine_.get(nullptr, format::acl_key(id)));
    if (found) {
      TRY_ASSIGN(const Acl there, decode_body(found->value, id));
      if (there == acl) return id;
      continue;
    }
    std::string value;
    Encoder out(value);
    out.u8(kFormat);
    out.raw(body);
    change.put_once(format::acl_key(id), std::move(value));
    return id;
  }
  return error(EIO, "no free ACL id after {} tries", kProbesMax);
}

Status Owner::inherit_mode(Change& change, const Caller& who, const format::Inode& parent,
                           format::Inode& child) {
  if (parent.acl_default == 0) {
    child.mode &= ~(who.umask & 0777);
    return {};
  }
  TRY_ASSIGN(const Acl defaults, acl_of(parent.acl_default));
  const Acl access = inherit_access(defaults, child.mode);
  TRY_ASSIGN(child.acl_access, keep_acl(change, access));
  if (child.is_directory()) child.acl_default = parent.acl_default;
  return {};
}

Status Owner::chmod_acl(Change& change, format::Inode& inode) {
  if (inode.acl_access == 0) return {};
  TRY_ASSIGN(const Acl acl, acl_of(inode.acl_access));
  TRY_ASSIGN(inode.acl_access, keep_acl(change, after_chmod(acl, inode.mode)));
  return {};
}

Status Owner::set_acl(Change& change, const Caller& who, format::Inode& inode,
                      std::string_view name, std::string_view value, bool kill_sgid) {
  if (!may_override(who) && who.uid != inode.uid) return Error(EPERM);
  if (inode.is_symlink()) return Error(EOPNOTSUPP);
  TRY_ASSIGN(const Acl acl, decode_acl(value));
  if (name == kAclDefaultXattr) {
    if (!inode.is_directory()) return acl.empty() ? Status() : Status(Error(EACCES));
    TRY_ASSIGN(inode.acl_default, keep_acl(change, acl));
    return {};
  }
  if (acl.empty()) {
    inode.acl_access = 0;
    return {};
  }
  inode.mode = (inode.mode & ~0777u) | shown_mode(acl);
  if (kill_sgid || (!may_override(who) && !in_group(who, inode.gid))) inode.mode &= ~02000u;
  TRY_ASSIGN(inode.acl_access, keep_acl(change, equivalent_mode(acl) ? Acl{} : acl));
  return {};
}

Result<std::string> Owner::get_acl(const format::Inode& inode, std::string_view name) {
  const uint64_t id = name == kAclDefaultXattr ? inode.acl_default : inode.acl_access;
  if (id == 0) return Error(ENODATA);
  TRY_ASSIGN(const Acl acl, acl_of(id));
  return encode_acl(acl);
}

}  // namespace shoal::meta
