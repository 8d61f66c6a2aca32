// POSIX ACLs as pure values: Linux's xattr form, validity, and how they interplay with mode bits
// (chmod, umask, inheritance, permission checks). Source: POSIX.1e draft 17 §23, acl(5), Linux
// xattr form version 2.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace shoal::meta {

inline constexpr std::string_view kAclAccessXattr = "system.posix_acl_access";
inline constexpr std::string_view kAclDefaultXattr = "system.posix_acl_default";
inline constexpr size_t kAclEntriesMax = 500;  // fits an xattr of 4 KiB, as ext4 allows

struct AclEntry {
  enum Tag : uint16_t {
    kUserObj = 0x01,
    kUser = 0x02,
    kGroupObj = 0x04,
    kGroup = 0x08,
    kMask = 0x10,
    kOther = 0x20
  };
  uint16_t tag = 0;
  uint16_t permissions = 0;  // 4 read, 2 write, 1 execute
  uint32_t id = ~0u;         // of kUser and kGroup
  bool operator==(const AclEntry&) const = default;
};

// In canonical order: kUserObj, kUser by id, kGroupObj, kGroup by id, kMask, kOther. Valid, or
// empty (no ACL).
struct Acl {
  std::vector<AclEntry> entries;
  bool empty() const { return entries.empty(); }
  bool operator==(const Acl&) const = default;
};

// EINVAL when it is not a valid ACL; EOPNOTSUPP on another version. An xattr without entries is an
// empty Acl.
Result<Acl> decode_acl(std::string_view xattr);
std::string encode_acl(const Acl& acl);

// The mode bits 0777 that say the same, if only the three base entries exist.
std::optional<uint32_t> equivalent_mode(const Acl& acl);
// Mode bits 0777 that an access ACL shows: the mask (or the group entry) in the place of the group.
uint32_t shown_mode(const Acl& acl);
// What chmod(2) makes of an access ACL. REQUIRES !acl.empty().
Acl after_chmod(Acl acl, uint32_t mode);
// A new inode below a directory with this default ACL: its access ACL, and `mode` (0777 bits of
// create's argument, without umask) cut down to what the ACL allows. Empty when mode bits say it
// all. REQUIRES !default_acl.empty().
Acl inherit_access(const Acl& default_acl, uint32_t& mode);

struct AclSubject {
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::span<const uint32_t> groups;
  bool in_group(uint32_t gid) const;
};
// Whether the ACL lets the subject do all of `want` (4 read, 2 write, 1 execute) on what `owner`
// and `group` own.
bool acl_permits(const Acl& acl, const AclSubject& subject, uint32_t owner, uint32_t group,
                 unsigned want);
// The same by mode bits alone.
bool mode_permits(uint32_t mode, const AclSubject& subject, uint32_t owner, uint32_t group,
                  unsigned want);

}  // namespace shoal::meta
