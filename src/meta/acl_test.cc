#include "meta/acl.h"

#include <gtest/gtest.h>

namespace shoal::meta {
namespace {

Acl acl_of(std::vector<AclEntry> entries) {
  return decode_acl(encode_acl(Acl{std::move(entries)})).value();
}

const AclEntry kUser{AclEntry::kUserObj, 7, ~0u};
const AclEntry kGroup{AclEntry::kGroupObj, 5, ~0u};
const AclEntry kOther{AclEntry::kOther, 4, ~0u};

TEST(Acl, xattr_form_round_trips_and_is_put_in_order) {
  const Acl acl =
      acl_of({kOther, {AclEntry::kUser, 6, 1001}, kUser, {AclEntry::kMask, 7, ~0u}, kGroup});
  EXPECT_EQ(acl.entries.front(), kUser);
  EXPECT_EQ(acl.entries.back(), kOther);
  EXPECT_EQ(decode_acl(encode_acl(acl)).value(), acl);
  EXPECT_EQ(shown_mode(acl), 0774u);
  EXPECT_FALSE(equivalent_mode(acl).has_value());
  EXPECT_EQ(equivalent_mode(acl_of({kUser, kGroup, kOther})).value(), 0754u);
}

TEST(Acl, invalid_ones_are_refused) {
  auto code = [](std::vector<AclEntry> entries) {
    return decode_acl(encode_acl(Acl{std::move(entries)})).code();
  };
  EXPECT_EQ(code({kUser, kGroup}), EINVAL);  // no other
  EXPECT_EQ(code({kUser, kUser, kGroup, kOther}), EINVAL);
  EXPECT_EQ(code({kUser, {AclEntry::kUser, 7, 5}, kGroup, kOther}), EINVAL);  // named without mask
  EXPECT_EQ(code({kUser,
                  {AclEntry::kUser, 7, 5},
                  {AclEntry::kUser, 6, 5},
                  kGroup,
                  {AclEntry::kMask, 7, ~0u},
                  kOther}),
            EINVAL);
  EXPECT_EQ(code({kUser, kGroup, {0x40, 7, ~0u}, kOther}), EINVAL);
  EXPECT_EQ(code({{AclEntry::kUserObj, 9, ~0u}, kGroup, kOther}), EINVAL);
  EXPECT_EQ(decode_acl("").code(), EINVAL);
  EXPECT_EQ(decode_acl(std::string("\x03\0\0\0", 4)).code(), EOPNOTSUPP);
  EXPECT_TRUE(decode_acl(std::string("\x02\0\0\0", 4)).value().empty());
}

TEST(Acl, chmod_sets_the_mask_where_there_is_one_else_the_group) {
  const Acl plain = after_chmod(acl_of({kUser, kGroup, kOther}), 0640);
  EXPECT_EQ(shown_mode(plain), 0640u);
  const Acl masked = after_chmod(
      acl_of({kUser, {AclEntry::kUser, 7, 5}, kGroup, {AclEntry::kMask, 7, ~0u}, kOther}), 0620);
  EXPECT_EQ(shown_mode(masked), 0620u);
  EXPECT_EQ(masked.entries[2].permissions, 5);  // the group entry itself is untouched
}

TEST(Acl, a_new_file_gets_the_default_acl_cut_down_by_its_mode_and_no_umask) {
  const Acl defaults =
      acl_of({kUser, {AclEntry::kUser, 7, 5}, kGroup, {AclEntry::kMask, 7, ~0u}, kOther});
  for (uint32_t asked = 0; asked < 01000; ++asked) {
    uint32_t mode = 0100000 | asked;
    const Acl access = inherit_access(defaults, mode);
    EXPECT_EQ(mode >> 6 & 7, 7 & asked >> 6);
    EXPECT_EQ(mode >> 3 & 7, 7 & asked >> 3);
    EXPECT_EQ(mode & 7, 4 & asked);
    EXPECT_EQ(shown_mode(access), mode & 0777);
    EXPECT_EQ(mode & ~0777u, 0100000u);
  }
  uint32_t mode = 0666;
  EXPECT_TRUE(inherit_access(acl_of({kUser, kGroup, kOther}), mode).empty());
  EXPECT_EQ(mode, 0644u);
}

TEST(Acl, checks_follow_the_order_owner_named_user_groups_other) {
  const Acl acl = acl_of({{AclEntry::kUserObj, 4, ~0u},
                          {AclEntry::kUser, 7, 10},
                          {AclEntry::kGroupObj, 4, ~0u},
                          {AclEntry::kGroup, 2, 30},
                          {AclEntry::kMask, 6, ~0u},
                          {AclEntry::kOther, 1, ~0u}});
  const uint32_t groups[] = {30};
  auto may = [&](uint32_t uid, uint32_t gid, std::span<const uint32_t> more, unsigned want) {
    return acl_permits(acl, {uid, gid, more}, 1, 20, want);
  };
  EXPECT_TRUE(may(1, 99, {}, 4));
  EXPECT_FALSE(may(1, 99, {}, 2));  // the owner gets only the owner's entry
  EXPECT_TRUE(may(10, 99, {}, 6));
  EXPECT_FALSE(may(10, 99, {}, 1));  // cut by the mask
  EXPECT_TRUE(may(11, 20, {}, 4));
  EXPECT_FALSE(may(11, 20, {}, 1));  // in a group: other does not count
  EXPECT_TRUE(may(11, 20, groups, 2));
  EXPECT_FALSE(may(11, 20, groups, 6));  // no single entry grants both
  EXPECT_TRUE(may(11, 99, {}, 1));
  EXPECT_TRUE(mode_permits(0754, {1, 9, {}}, 1, 20, 7));
  EXPECT_FALSE(mode_permits(0754, {2, 20, {}}, 1, 20, 2));
  EXPECT_TRUE(mode_permits(0754, {2, 9, {}}, 1, 20, 4));
}

}  // namespace
}  // namespace shoal::meta
