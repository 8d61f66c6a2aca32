#include <sys/stat.h>

#include "meta/volume_test_util.h"

namespace shoal::meta {
namespace {

constexpr Ino kRoot = kRootIno;

struct OwnedFile : ::testing::Test {
  OwnedFile() {
    f = v.m().mknod(v.as(0, 0), kRoot, "f", S_IFREG | 0644, 0)->ino;
    v.m().setattr(v.request, f, {.uid = 5, .gid = 6}).value();
  }
  uint32_t mode() { return v.attr(f).mode & 07777; }
  TestVolume v;
  Ino f = 0;
};

TEST_F(OwnedFile, chmod_is_the_owners_and_roots) {
  EXPECT_EQ(v.m().setattr(v.as(7, 6), f, {.mode = 0600}).code(), EPERM);
  EXPECT_EQ(v.m().setattr(v.as(5, 9), f, {.mode = 0600}).code(), 0);
  EXPECT_EQ(mode(), 0600u);
  v.m().setattr(v.as(5, 9), f, {.mode = 02755}).value();
  EXPECT_EQ(mode(), 0755u);  // not in the file's group
  v.m().setattr(v.as(5, 6), f, {.mode = 06755}).value();
  EXPECT_EQ(mode(), 06755u);
}

TEST_F(OwnedFile, chown_follows_posix_and_clears_setuid) {
  EXPECT_EQ(v.m().setattr(v.as(5, 6), f, {.uid = 8}).code(), EPERM);
  EXPECT_EQ(v.m().setattr(v.as(5, 6), f, {.gid = 8}).code(), EPERM);
  Request member = v.as(5, 6);
  member.caller.groups = {8};
  v.m().setattr(v.request, f, {.mode = 06755}).value();
  EXPECT_EQ(v.m().setattr(member, f, {.gid = 8})->gid, 8u);
  EXPECT_EQ(mode(), 0755u);
  v.m().setattr(v.request, f, {.mode = 06745}).value();
  EXPECT_EQ(v.m().setattr(v.as(0, 0), f, {.uid = 9})->uid, 9u);
  EXPECT_EQ(mode(), 02745u);  // setgid without group execution is mandatory locking
}

TEST_F(OwnedFile, kill_privileges_clears_setuid) {
  v.m().setattr(v.request, f, {.mode = 06777}).value();
  v.m().setattr(v.request, f, {.kill_privileges = true}).value();
  EXPECT_EQ(mode(), 0777u);
}

TEST_F(OwnedFile, only_who_may_write_takes_privileges_away) {
  Request other = v.as(7, 7);
  other.caller.kernel_checked = true;
  v.m().setattr(v.request, f, {.mode = 06755}).value();
  EXPECT_EQ(v.m().setattr(other, f, {.kill_privileges = true})->mode & 07777, 06755u);
  v.m().setattr(v.request, f, {.mode = 06757}).value();
  EXPECT_EQ(v.m().setattr(other, f, {.kill_privileges = true})->mode & 07777, 0757u);
}

TEST_F(OwnedFile, directories_keep_setgid_whatever_kills_privileges) {
  const Ino d = v.m().mkdir(v.as(0, 0), kRoot, "d", 0755)->ino;
  v.m().setattr(v.request, d, {.mode = 06777}).value();
  v.m().setattr(v.request, d, {.kill_privileges = true}).value();  // chown(-1, -1)
  v.m().setattr(v.request, d, {.uid = 5, .gid = 6}).value();
  EXPECT_EQ(v.attr(d).mode & 07777, 06777u);
}

TEST_F(OwnedFile, removing_an_acl_that_is_not_there_works) {
  EXPECT_EQ(v.m().removexattr(v.as(5, 6), f, "system.posix_acl_access").code(), 0);
  EXPECT_EQ(v.m().removexattr(v.as(5, 6), f, "system.posix_acl_default").code(), 0);
  EXPECT_EQ(v.m().removexattr(v.as(7, 7), f, "system.posix_acl_access").code(), EPERM);
  EXPECT_EQ(v.m().removexattr(v.as(5, 6), f, "user.x").code(), ENODATA);
}

TEST_F(OwnedFile, times_may_be_set_by_the_owner_and_to_now_by_who_may_write) {
  const Time old{-5, 999'999'999};
  using SetTime = SetAttr::SetTime;
  EXPECT_EQ(v.m().setattr(v.as(7, 7), f, {.mtime = SetTime{false, old}}).code(), EPERM);
  EXPECT_EQ(v.m().setattr(v.as(7, 7), f, {.mtime = SetTime{true, {}}}).code(), EACCES);
  v.clock.advance(std::chrono::nanoseconds(1'500'000'001));
  const Attr attr = v.m().setattr(v.as(5, 6), f, {.mtime = SetTime{false, old}}).value();
  EXPECT_EQ(attr.mtime, old);
  EXPECT_EQ(attr.ctime, v.clock.now());
  EXPECT_NE(attr.atime, old);
  v.open();
  EXPECT_EQ(v.attr(f).mtime, old);
  v.m().setattr(v.request, f, {.mode = 0666}).value();
  EXPECT_EQ(v.m().setattr(v.as(7, 7), f, {.atime = SetTime{true, {}}})->atime, v.clock.now());
}

TEST_F(OwnedFile, immutable_and_append_only_bind_root_too) {
  EXPECT_EQ(v.m().setattr(v.as(5, 6), f, {.flags = format::kFlagImmutable}).code(), EPERM);
  v.m().setattr(v.as(0, 0), f, {.flags = format::kFlagImmutable}).value();
  EXPECT_EQ(v.m().setattr(v.request, f, {.mode = 0600}).code(), EPERM);
  EXPECT_EQ(v.m().unlink(v.request, kRoot, "f").code(), EPERM);
  EXPECT_EQ(v.m().link(v.request, f, kRoot, "g").code(), EPERM);
  EXPECT_EQ(v.m().rename(v.request, kRoot, "f", kRoot, "g", RenameMode::kReplace).code(), EPERM);
  EXPECT_EQ(v.m().open(v.request, f, {.write = true}).code(), EPERM);
  v.m().setattr(v.request, f, {.flags = 0}).value();
  const Ino d = v.dir(kRoot, "d");
  v.file(d, "in");
  v.m().setattr(v.request, d, {.flags = format::kFlagAppendOnly}).value();
  EXPECT_EQ(v.m().unlink(v.request, d, "in").code(), EPERM);
  v.file(d, "added");
  v.m().setattr(v.request, d, {.flags = format::kFlagImmutable}).value();
  EXPECT_EQ(v.m().mkdir(v.request, d, "no", 0755).code(), EPERM);
  v.check();
}

TEST_F(OwnedFile, sticky_directories_protect_names_of_others) {
  const Ino d = v.dir(kRoot, "tmp");
  v.m().setattr(v.request, d, {.mode = 01777}).value();
  const Request alice = v.as(100, 100), bob = v.as(200, 200);
  v.m().mknod(alice, d, "a", S_IFREG | 0666, 0).value();
  v.m().mknod(bob, d, "b", S_IFREG | 0666, 0).value();
  EXPECT_EQ(v.m().unlink(bob, d, "a").code(), EPERM);
  EXPECT_EQ(v.m().rename(bob, d, "b", d, "a", RenameMode::kReplace).code(), EPERM);
  EXPECT_EQ(v.m().rename(bob, d, "b", d, "b2", RenameMode::kReplace).code(), 0);
  EXPECT_EQ(v.m().unlink(alice, d, "a").code(), 0);
}

TEST_F(OwnedFile, without_a_checking_kernel_permissions_are_ours) {
  const Ino d = v.m().mkdir(v.as(100, 100), kRoot, "x", 0700).code();
  EXPECT_EQ(d, static_cast<Ino>(EACCES));  // root's directory is 0755
  v.m().setattr(v.request, kRoot, {.mode = 0700}).value();
  EXPECT_EQ(v.m().lookup(v.as(5, 6), kRoot, "f").code(), EACCES);
  v.m().setattr(v.request, f, {.mode = 0400}).value();
  EXPECT_EQ(v.m().open(v.as(5, 6), f, {.write = true}).code(), EACCES);
  EXPECT_EQ(v.m().open(v.as(5, 6), f, {.read = true}).code(), 0);
  EXPECT_EQ(v.m().open(v.as(9, 9), f, {.read = true}).code(), EACCES);
}

}  // namespace
}  // namespace shoal::meta
