#include "meta/acl.h"

#include <algorithm>

#include "base/coding.h"

namespace shoal::meta {
namespace {

constexpr uint32_t kXattrVersion = 2;

int rank(uint16_t tag) {
  switch (tag) {
    case AclEntry::kUserObj:
      return 0;
    case AclEntry::kUser:
      return 1;
    case AclEntry::kGroupObj:
      return 2;
    case AclEntry::kGroup:
      return 3;
    case AclEntry::kMask:
      return 4;
    case AclEntry::kOther:
      return 5;
    default:
      return -1;
  }
}

bool named(const AclEntry& entry) {
  return entry.tag == AclEntry::kUser || entry.tag == AclEntry::kGroup;
}

size_t count(const Acl& acl, uint16_t tag) {
  return static_cast<size_t>(std::count_if(acl.entries.begin(), acl.entries.end(),
                                           [tag](const AclEntry& e) { return e.tag == tag; }));
}

AclEntry* find(Acl& acl, uint16_t tag) {
  for (AclEntry& entry : acl.entries) {
    if (entry.tag == tag) return &entry;
  }
  return nullptr;
}
const AclEntry* find(const Acl& acl, uint16_t tag) { return find(const_cast<Acl&>(acl), tag); }

uint16_t permissions_of(const Acl& acl, uint16_t tag) {
  const AclEntry* entry = find(acl, tag);
  return entry == nullptr ? 0 : entry->permissions;
}

Status check(const Acl& acl) {
  bool any_named = false;
  for (size_t i = 0; i < acl.entries.size(); ++i) {
    const AclEntry& entry = acl.entries[i];
    if (rank(entry.tag) < 0) return error(EINVAL, "ACL entry of unknown tag {:#x}", entry.tag);
    if (entry.permissions > 7) return error(EINVAL, "ACL permissions {:#x}", entry.permissions);
    if (named(entry) && entry.id == ~0u) return error(EINVAL, "ACL entry for the id -1");
    any_named = any_named || named(entry);
    if (i == 0) continue;
    const AclEntry& before = acl.entries[i - 1];
    if (before.tag == entry.tag && before.id == entry.id)
      return error(EINVAL, "two ACL entries for the id {}", entry.id);
  }
  for (const uint16_t tag : {AclEntry::kUserObj, AclEntry::kGroupObj, AclEntry::kOther}) {
    if (count(acl, tag) != 1)
      return error(EINVAL, "ACL with {} entries of tag {:#x}", count(acl, tag), tag);
  }
  const size_t masks = count(acl, AclEntry::kMask);
  if (masks > 1 || (any_named && masks == 0)) return error(EINVAL, "ACL with {} masks", masks);
  return {};
}

}  // namespace

Result<Acl> decode_acl(std::string_view xattr) {
  Decoder in(xattr);
  const uint32_t version = in.le32();
  if (!in.ok()) return error(EINVAL, "an ACL of {} bytes", xattr.size());
  if (version != kXattrVersion) return error(EOPNOTSUPP, "ACL version {}", version);
  if (in.remaining() % 8 != 0 || in.remaining() / 8 > kAclEntriesMax) {
    return error(EINVAL, "an ACL of {} bytes", xattr.size());
  }
  Acl acl;
  while (in.remaining() > 0) {
    AclEntry entry;
    entry.tag = in.le16();
    entry.permissions = in.le16();
    entry.id = in.le32();
    if (!named(entry)) entry.id = ~0u;
    acl.entries.push_back(entry);
  }
  if (acl.empty()) return acl;
  std::sort(acl.entries.begin(), acl.entries.end(), [](const AclEntry& a, const AclEntry& b) {
    return std::pair(rank(a.tag), a.id) < std::pair(rank(b.tag), b.id);
  });
  TRY(check(acl));
  return acl;
}

std::string encode_acl(const Acl& acl) {
  std::string bytes;
  Encoder out(bytes);
  out.le32(kXattrVersion);
  for (const AclEntry& entry : acl.entries) {
    out.le16(entry.tag);
    out.le16(entry.permissions);
    out.le32(entry.id);
  }
  return bytes;
}

std::optional<uint32_t> equivalent_mode(const Acl& acl) {
  if (acl.entries.size() != 3) return std::nullopt;
  return shown_mode(acl);
}

uint32_t shown_mode(const Acl& acl) {
  const AclEntry* mask = find(acl, AclEntry::kMask);
  const uint32_t group =
      mask != nullptr ? mask->permissions : permissions_of(acl, AclEntry::kGroupObj);
  return static_cast<uint32_t>(permissions_of(acl, AclEntry::kUserObj)) << 6 | group << 3 |
         permissions_of(acl, AclEntry::kOther);
}

Acl after_chmod(Acl acl, uint32_t mode) {
  find(acl, AclEntry::kUserObj)->permissions = mode >> 6 & 7;
  AclEntry* mask = find(acl, AclEntry::kMask);
  (mask != nullptr ? mask : find(acl, AclEntry::kGroupObj))->permissions = mode >> 3 & 7;
  find(acl, AclEntry::kOther)->permissions = mode & 7;
  return acl;
}

Acl inherit_access(const Acl& default_acl, uint32_t& mode) {
  Acl acl = default_acl;
  AclEntry* user = find(acl, AclEntry::kUserObj);
  AclEntry* group = find(acl, AclEntry::kMask);
  if (group == nullptr) group = find(acl, AclEntry::kGroupObj);
  AclEntry* other = find(acl, AclEntry::kOther);
  user->permissions &= mode >> 6 & 7;
  group->permissions &= mode >> 3 & 7;
  other->permissions &= mode & 7;
  mode = (mode & ~0777u) | shown_mode(acl);
  if (equivalent_mode(acl)) return {};
  return acl;
}

bool AclSubject::in_group(uint32_t wanted) const {
  return gid == wanted || std::find(groups.begin(), groups.end(), wanted) != groups.end();
}

bool acl_permits(const Acl& acl, const AclSubject& subject, uint32_t owner, uint32_t group,
                 unsigned want) {
  const AclEntry* mask = find(acl, AclEntry::kMask);
  const unsigned masked = mask != nullptr ? mask->permissions : 7u;
  if (subject.uid == owner) return (permissions_of(acl, AclEntry::kUserObj) & want) == want;
  for (const AclEntry& entry : acl.entries) {
    if (entry.tag == AclEntry::kUser && entry.id == subject.uid)
      return (entry.permissions & masked & want) == want;
  }
  bool in_a_group = false;
  for (const AclEntry& entry : acl.entries) {
    const bool mine = (entry.tag == AclEntry::kGroupObj && subject.in_group(group)) ||
                      (entry.tag == AclEntry::kGroup && subject.in_group(entry.id));
    if (!mine) continue;
    in_a_group = true;
    if ((entry.permissions & masked & want) == want) return true;
  }
  if (in_a_group) return false;
  return (permissions_of(acl, AclEntry::kOther) & want) == want;
}

bool mode_permits(uint32_t mode, const AclSubject& subject, uint32_t owner, uint32_t group,
                  unsigned want) {
  unsigned granted = mode & 7;
  if (subject.uid == owner) {
    granted = mode >> 6 & 7;
  } else if (subject.in_group(group)) {
    granted = mode >> 3 & 7;
  }
  return (granted & want) == want;
}

}  // namespace shoal::meta
