// Names, attributes and directories as the kernel sees them.
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "format/inode.h"
#include "fuse/fake_kernel_test_util.h"

namespace shoal::fuse {
namespace {

TEST(Names, lookup_gives_the_inode_as_node_and_both_times) {
  SessionOptions options;
  options.times = {std::chrono::milliseconds(1500), std::chrono::seconds(7),
                   std::chrono::seconds(9)};
  FakeKernel kernel(options);
  const uint64_t node = kernel.mkdir(1, "d");
  const FakeReply reply = kernel.call(FUSE_LOOKUP, 1, name("d"));
  const auto entry = as<fuse_entry_out>(reply);
  EXPECT_EQ(entry.nodeid, node);
  EXPECT_EQ(entry.attr.ino, node);
  EXPECT_EQ(entry.attr_valid, 1u);
  EXPECT_EQ(entry.attr_valid_nsec, 500'000'000u);
  EXPECT_EQ(entry.entry_valid, 7u);
  EXPECT_EQ(kernel.client.seen().caller.uid, 1001u);
  EXPECT_EQ(kernel.client.seen().caller.gid, 1002u);
  EXPECT_TRUE(kernel.client.seen().caller.kernel_checked);
  const auto absent = as<fuse_entry_out>(kernel.call(FUSE_LOOKUP, 1, name("absent")));
  EXPECT_EQ(absent.nodeid, 0u);
  EXPECT_EQ(absent.entry_valid, 9u);
}

TEST(Names, negative_answers_that_must_not_be_cached_are_enoent) {
  SessionOptions options;
  options.times.negative = std::chrono::nanoseconds(0);
  FakeKernel kernel(options);
  EXPECT_EQ(kernel.call(FUSE_LOOKUP, 1, name("absent")).error, ENOENT);
  kernel.client.fail_next(EIO);
  EXPECT_EQ(kernel.call(FUSE_LOOKUP, 1, name("absent")).error, EIO);
}

TEST(Names, dot_and_dotdot_are_looked_up_for_nfs) {
  FakeKernel kernel;
  const uint64_t node = kernel.mkdir(1, "d");
  EXPECT_EQ(kernel.lookup(node, "."), node);
  EXPECT_EQ(kernel.lookup(node, ".."), uint64_t{FUSE_ROOT_ID});
  EXPECT_EQ(kernel.lookup(1, ".."), uint64_t{FUSE_ROOT_ID});
}

TEST(Names, a_subdirectory_as_root_is_node_1) {
  SessionOptions options;
  options.root = 2;
  FakeKernel kernel(options);
  client::Caller who;
  ASSERT_EQ(kernel.client.mkdir(who, kRootIno, "sub", 0755).value().ino, 2u);
  const uint64_t child = kernel.mkdir(1, "inside");
  EXPECT_EQ(kernel.client.lookup(who, 2, "inside").value().ino, child);
  EXPECT_EQ(as<fuse_attr_out>(kernel.call(FUSE_GETATTR, 1, raw(fuse_getattr_in{}))).attr.ino, 2u);
  EXPECT_EQ(kernel.lookup(child, ".."), uint64_t{FUSE_ROOT_ID});
  EXPECT_EQ(kernel.list(1).at(1).ino, 2u);  // ".." leads no further up
  EXPECT_EQ(kernel.lookup(uint64_t{5} << 48 | child, "."),
            child);  // a version tag is no part of the inode
}

TEST(Names, creations_carry_umask_groups_and_devices) {
  FakeKernel kernel;
  const std::string group =
      raw(fuse_ext_header{16, kExtGroups}) + raw(uint32_t{1}) + raw(uint32_t{4711});
  const uint32_t device = (7u & 0xff) | (200u << 8) | (0x12300u << 12);  // 200:0x12307
  const fuse_mknod_in in{S_IFCHR | 0666, device, 027, 0};
  const auto entry = as<fuse_entry_out>(kernel.call(FUSE_MKNOD, 1, raw(in) + name("dev"), group));
  EXPECT_EQ(kernel.client.seen().caller.umask, 027u);
  EXPECT_EQ(kernel.client.seen().caller.groups, std::vector<uint32_t>{4711});
  EXPECT_EQ(entry.attr.mode, S_IFCHR | 0640u);
  EXPECT_EQ(entry.attr.rdev, device);
  EXPECT_EQ(kernel.client.lookup({}, 1, "dev").value().rdev, makedev(200, 0x12307));
  const std::string bad =
      raw(fuse_ext_header{16, kExtGroups}) + raw(uint32_t{9}) + raw(uint32_t{1});
  EXPECT_EQ(kernel.call(FUSE_MKNOD, 1, raw(in) + name("other"), bad).error, EINVAL);
}

TEST(Names, without_dont_mask_the_umask_is_not_applied_twice) {
  SessionOptions options;
  options.disabled_features = FUSE_POSIX_ACL;
  FakeKernel kernel(options);
  kernel.call(FUSE_MKDIR, 1, raw(fuse_mkdir_in{0750, 077}) + name("d"));
  EXPECT_EQ(kernel.client.seen().caller.umask, 0u);
}

TEST(Names, symlink_link_unlink_rmdir_rename) {
  FakeKernel kernel;
  const auto symlink =
      as<fuse_entry_out>(kernel.call(FUSE_SYMLINK, 1, name("s") + name("to/where")));
  EXPECT_EQ(kernel.call(FUSE_READLINK, symlink.nodeid, "").payload, "to/where");
  EXPECT_EQ(kernel.call(FUSE_READLINK, 1, "").error, EINVAL);
  const auto file = kernel.create(1, "f");
  const auto linked =
      as<fuse_entry_out>(kernel.call(FUSE_LINK, 1, raw(fuse_link_in{file.node}) + name("g")));
  EXPECT_EQ(linked.nodeid, file.node);
  EXPECT_EQ(linked.attr.nlink, 2u);
  EXPECT_EQ(kernel.call(FUSE_UNLINK, 1, name("f")).error, 0);
  EXPECT_EQ(kernel.call(FUSE_UNLINK, 1, name("f")).error, ENOENT);
  const uint64_t d = kernel.mkdir(1, "d");
  EXPECT_EQ(kernel.call(FUSE_RENAME, 1, raw(fuse_rename_in{d}) + name("g") + name("h")).error, 0);
  EXPECT_EQ(kernel.call(FUSE_RMDIR, 1, name("d")).error, ENOTEMPTY);
  const auto rename2 = [&](uint32_t flags) {
    return kernel.call(FUSE_RENAME2, 1, raw(fuse_rename2_in{d, flags, 0}) + name("s") + name("h"))
        .error;
  };
  EXPECT_EQ(rename2(RENAME_NOREPLACE), EEXIST);
  EXPECT_EQ(rename2(RENAME_WHITEOUT), EINVAL);
  EXPECT_EQ(rename2(RENAME_EXCHANGE), 0);
  EXPECT_EQ(kernel.lookup(1, "s"), file.node);
  EXPECT_EQ(kernel.lookup(d, "h"), symlink.nodeid);
  EXPECT_EQ(rename2(0), 0);
  EXPECT_EQ(kernel.lookup(d, "h"), file.node);
}

TEST(Attributes, times_before_1970_and_birth_time_survive) {
  FakeKernel kernel;
  const auto file = kernel.create(1, "f");
  fuse_setattr_in in{};
  in.valid = FATTR_ATIME | FATTR_MTIME | FATTR_MTIME_NOW;
  in.atime = static_cast<uint64_t>(-5);
  in.atimensec = 999'999'999;
  const auto attr = as<fuse_attr_out>(kernel.call(FUSE_SETATTR, file.node, raw(in)));
  EXPECT_EQ(static_cast<int64_t>(attr.attr.atime), -5);
  EXPECT_TRUE(kernel.client.seen().setattr.attr.mtime->now);
  EXPECT_FALSE(kernel.client.seen().setattr.attr.kill_privileges);
  const auto extended = as<StatxOut>(kernel.call(kOpStatx, file.node, raw(StatxIn{})));
  EXPECT_EQ(extended.stat.btime.seconds, 1'000'000'000);
  EXPECT_EQ(extended.stat.btime.nanoseconds, 7u);
  EXPECT_EQ(extended.stat.atime.seconds, -5);
  in.atimensec = 1'000'000'000;
  EXPECT_EQ(kernel.call(FUSE_SETATTR, file.node, raw(in)).error, EINVAL);
}

TEST(Attributes, setattr_with_nothing_to_set_kills_privileges) {
  FakeKernel kernel;
  const auto file = kernel.create(1, "f");
  fuse_setattr_in in{};
  in.valid = FATTR_MODE;
  in.mode = S_IFREG | 06755;
  EXPECT_EQ(as<fuse_attr_out>(kernel.call(FUSE_SETATTR, file.node, raw(in))).attr.mode,
            S_IFREG | 06755u);
  in.valid = FATTR_FH | FATTR_LOCKOWNER;
  EXPECT_EQ(as<fuse_attr_out>(kernel.call(FUSE_SETATTR, file.node, raw(in))).attr.mode,
            S_IFREG | 0755u);
  in.valid = FATTR_SIZE | FATTR_FH | FATTR_KILL_SUIDGID;
  in.fh = file.handle;
  in.size = 100;
  EXPECT_EQ(as<fuse_attr_out>(kernel.call(FUSE_SETATTR, file.node, raw(in))).attr.size, 100u);
  EXPECT_EQ(kernel.client.seen().setattr.handle, file.handle);
  EXPECT_TRUE(kernel.client.seen().setattr.attr.kill_privileges);
}

TEST(Attributes, extended_attributes_probe_fit_and_overflow) {
  FakeKernel kernel;
  const auto set = [&](uint32_t flags, uint32_t extra) {
    const fuse_setxattr_in in{5, flags, extra, 0};
    return kernel.call(FUSE_SETXATTR, 1, raw(in) + name("user.k") + "value").error;
  };
  EXPECT_EQ(set(XATTR_REPLACE, 0), ENODATA);
  EXPECT_EQ(set(XATTR_CREATE, FUSE_SETXATTR_ACL_KILL_SGID), 0);
  EXPECT_TRUE(kernel.client.seen().kill_sgid);
  EXPECT_EQ(set(XATTR_CREATE, 0), EEXIST);
  EXPECT_EQ(set(77, 0), EINVAL);
  const auto get = [&](uint32_t room) {
    return kernel.call(FUSE_GETXATTR, 1, raw(fuse_getxattr_in{room, 0}) + name("user.k"));
  };
  EXPECT_EQ(as<fuse_getxattr_out>(get(0)).size, 5u);
  EXPECT_EQ(get(4).error, ERANGE);
  EXPECT_EQ(get(5).payload, "value");
  const auto list = [&](uint32_t room) {
    return kernel.call(FUSE_LISTXATTR, 1, raw(fuse_getxattr_in{room, 0}));
  };
  EXPECT_EQ(as<fuse_getxattr_out>(list(0)).size, 7u);
  EXPECT_EQ(list(6).error, ERANGE);
  EXPECT_EQ(list(100).payload, name("user.k"));
  EXPECT_EQ(kernel.call(FUSE_REMOVEXATTR, 1, name("user.k")).error, 0);
  EXPECT_EQ(get(5).error, ENODATA);
}

TEST(Attributes, inode_flags_by_both_ioctls) {
  FakeKernel kernel;
  const auto file = kernel.create(1, "f");
  const auto ioctl = [&](uint32_t command, const std::string& in_data, uint32_t out_size) {
    const fuse_ioctl_in in{0, 0, command, 0, static_cast<uint32_t>(in_data.size()), out_size};
    return kernel.call(FUSE_IOCTL, file.node, raw(in) + in_data);
  };
  EXPECT_EQ(ioctl(FS_IOC_SETFLAGS, raw(uint32_t{FS_IMMUTABLE_FL | FS_APPEND_FL}), 0).error, 0);
  EXPECT_EQ(kernel.client.lookup({}, 1, "f").value().flags,
            format::kFlagImmutable | format::kFlagAppendOnly);
  EXPECT_EQ(kernel.transport.take_notifications().size(),
            1u);  // ctime changed behind the kernel's back
  EXPECT_EQ(as<uint32_t>(ioctl(FS_IOC_GETFLAGS, "", 4), sizeof(fuse_ioctl_out)),
            uint32_t{FS_IMMUTABLE_FL | FS_APPEND_FL});
  EXPECT_EQ(
      as<fsxattr>(ioctl(FS_IOC_FSGETXATTR, "", sizeof(fsxattr)), sizeof(fuse_ioctl_out)).fsx_xflags,
      uint32_t{FS_XFLAG_IMMUTABLE | FS_XFLAG_APPEND});
  fsxattr extended{};
  extended.fsx_xflags = FS_XFLAG_NODUMP;
  EXPECT_EQ(ioctl(FS_IOC_FSSETXATTR, raw(extended), 0).error, 0);
  EXPECT_EQ(kernel.client.lookup({}, 1, "f").value().flags, format::kFlagNoDump);
  EXPECT_EQ(ioctl(FS_IOC_SETFLAGS, raw(uint32_t{FS_COMPR_FL}), 0).error, EOPNOTSUPP);
  EXPECT_EQ(ioctl(FS_IOC_SETFLAGS, "", 0).error, EINVAL);
  EXPECT_EQ(ioctl(0x5401, "", 0).error, ENOTTY);
}

TEST(Attributes, statfs) {
  FakeKernel kernel;
  const auto out = as<fuse_statfs_out>(kernel.call(FUSE_STATFS, 1, ""));
  EXPECT_EQ(out.st.blocks, 1000u);
  EXPECT_EQ(out.st.bavail, 600u);
  EXPECT_EQ(out.st.namelen, 255u);
  EXPECT_EQ(out.st.frsize, 4096u);
}

TEST(Directories, the_kernel_keeps_listings_as_the_client_says_and_the_mount_allows) {
  FakeKernel kernel;
  const uint64_t d = kernel.mkdir(1, "d");
  const auto flags = [&] {
    return as<fuse_open_out>(kernel.call(FUSE_OPENDIR, d, raw(fuse_open_in{}))).open_flags;
  };
  kernel.client.set_keep_cache(false);
  EXPECT_EQ(flags(), uint32_t{FOPEN_CACHE_DIR});
  kernel.client.set_keep_cache(true);
  EXPECT_EQ(flags(), uint32_t{FOPEN_CACHE_DIR | FOPEN_KEEP_CACHE});
}

TEST(Directories, readdir_lists_dots_first_and_resumes_in_any_size) {
  FakeKernel kernel;
  const uint64_t d = kernel.mkdir(1, "d");
  for (int i = 0; i < 300; ++i) kernel.create(d, "f" + std::to_string(i));
  EXPECT_EQ(kernel.call(FUSE_OPENDIR, d, raw(fuse_open_in{})).error, 0);
  const auto all = kernel.list(d);
  ASSERT_EQ(all.size(), 302u);
  EXPECT_EQ(all[0].name, ".");
  EXPECT_EQ(all[0].ino, d);
  EXPECT_EQ(all[1].name, "..");
  EXPECT_EQ(all[1].ino, kRootIno);
  EXPECT_EQ(all[2].type, uint32_t{8});  // DT_REG
  for (const uint32_t size : {64u, 100u, 1000u, 100'000u}) {
    const auto again = kernel.list(d, 0, size);
    ASSERT_EQ(again.size(), all.size());
    for (size_t i = 0; i < all.size(); ++i) EXPECT_EQ(again[i].cookie, all[i].cookie);
  }
  EXPECT_EQ(kernel.list(d, all[150].cookie).at(0).name, all[151].name);
  EXPECT_EQ(kernel.readdir_raw(d, 0xdead'beef, 4096, false).error, ESTALE);
  EXPECT_EQ(kernel.readdir_raw(d, 0, 64 << 20, false).error, EINVAL);
  EXPECT_EQ(kernel.call(FUSE_FSYNCDIR, d, raw(fuse_fsync_in{})).error, 0);
  EXPECT_EQ(kernel.call(FUSE_RELEASEDIR, d, raw(fuse_release_in{})).error, 0);
}

TEST(Directories, readdirplus_gives_nodes_but_none_for_the_dots) {
  FakeKernel kernel;
  const uint64_t child = kernel.mkdir(1, "child");
  const auto entries = kernel.list(1, 0, 4096, true);
  ASSERT_EQ(entries.size(), 3u);
  EXPECT_EQ(entries[0].node, 0u);
  EXPECT_EQ(entries[1].node, 0u);
  EXPECT_EQ(entries[2].node, child);
}

TEST(Directories, seekdir_behind_removed_names_loses_nobody_and_two_handles_agree) {
  FakeKernel kernel;
  const uint64_t d = kernel.mkdir(1, "d");
  for (int i = 100; i < 400; ++i) kernel.create(d, "f" + std::to_string(i));
  kernel.call(FUSE_OPENDIR, d, raw(fuse_open_in{}));
  kernel.call(FUSE_OPENDIR, d, raw(fuse_open_in{}));
  const auto before = kernel.list(d);
  for (int i = 100; i < 250; i += 1) kernel.call(FUSE_UNLINK, d, name("f" + std::to_string(i)));
  kernel.list(d, 0, 700);  // the other handle, from the start
  for (size_t at = 2; at < before.size(); at += 13) {
    const auto rest = kernel.list(d, before[at].cookie, 4096);
    const size_t expected = at < 152 ? 150 : before.size() - 1 - at;
    EXPECT_EQ(rest.size(), expected) << before[at].name;
  }
  kernel.tell(FUSE_FORGET, d, raw(fuse_forget_in{1}));  // handles are open: it stays
  EXPECT_EQ(kernel.list(d, before[200].cookie).size(), before.size() - 201);
  kernel.call(FUSE_RELEASEDIR, d, raw(fuse_release_in{}));
  kernel.call(FUSE_RELEASEDIR, d, raw(fuse_release_in{}));
  EXPECT_EQ(kernel.readdir_raw(d, before[200].cookie, 4096, false).error, ESTALE);
  kernel.list(d);
  const std::string both =
      raw(fuse_batch_forget_in{2, 0}) + raw(fuse_forget_one{77, 1}) + raw(fuse_forget_one{d, 1});
  kernel.tell(FUSE_BATCH_FORGET, 0, both);
  kernel.tell(FUSE_BATCH_FORGET, 0, raw(fuse_batch_forget_in{1 << 30, 0}));
}

}  // namespace
}  // namespace shoal::fuse
