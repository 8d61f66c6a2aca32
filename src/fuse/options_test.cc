#include "fuse/options.h"

#include <gtest/gtest.h>
#include <sys/mount.h>

#include "fuse/features.h"
#include "fuse/kernel_abi.h"
#include "fuse/mount.h"
#include "fuse/mount_table.h"

namespace shoal::fuse {
namespace {

TEST(Options, flags_of_mount_8_and_ours_are_told_apart) {
  ParsedOptions parsed;
  ASSERT_TRUE(parse_options("ro,noatime,nosuid,_netdev,x-systemd.automount,defaults,fsname=vol,"
                            "attr_timeout=1.5,negative_timeout=0,threads=16,blksize=4096,"
                            "no_readdirplus,store_timeout=30",
                            parsed)
                  .ok());
  EXPECT_EQ(parsed.mount.flags, static_cast<unsigned long>(MS_RDONLY | MS_NOATIME | MS_NOSUID));
  EXPECT_TRUE(parsed.mount.read_only());
  EXPECT_EQ(parsed.mount.source, "vol");
  EXPECT_EQ(parsed.session.times.attributes, std::chrono::milliseconds(1500));
  EXPECT_EQ(parsed.session.times.negative.count(), 0);
  EXPECT_EQ(parsed.session.times.entries, std::chrono::hours(1));
  EXPECT_EQ(parsed.session.shared_times.attributes, std::chrono::milliseconds(1500));
  EXPECT_EQ(parsed.session.shared_times.entries, std::chrono::seconds(1));
  EXPECT_EQ(parsed.session.workers.threads_max, 16);
  EXPECT_EQ(parsed.session.block_bytes, 4096u);
  EXPECT_EQ(parsed.session.disabled_features, uint64_t{FUSE_DO_READDIRPLUS});
  EXPECT_EQ(parsed.other, std::vector<std::string>{"store_timeout=30"});
  ASSERT_TRUE(parse_options("rw,suid,,", parsed).ok());  // the later word wins
  EXPECT_EQ(parsed.mount.flags, static_cast<unsigned long>(MS_NOATIME));
}

TEST(Options, the_time_of_entries_is_that_of_missing_ones_unless_they_have_their_own) {
  using std::chrono::seconds;
  ParsedOptions both;
  ASSERT_TRUE(parse_options("entry_timeout=7", both).ok());
  EXPECT_EQ(both.session.times.negative, seconds(7));
  EXPECT_EQ(both.session.shared_times.negative, seconds(7));
  ParsedOptions own;
  ASSERT_TRUE(parse_options("negative_timeout=2,entry_timeout=7", own).ok());
  EXPECT_EQ(own.session.times.negative, seconds(2));
  EXPECT_EQ(own.session.times.entries, seconds(7));
}

TEST(Options, a_value_that_makes_no_sense_names_its_word) {
  for (const char* word : {"attr_timeout=x", "attr_timeout=", "attr_timeout=-1", "threads=1",
                           "threads=65", "blksize=5000", "max_background=0",
                           "fsname=", "entry_timeout=nan", "entry_timeout=1e300"}) {
    ParsedOptions parsed;
    const Status status = parse_options(word, parsed);
    ASSERT_EQ(status.code(), EINVAL) << word;
    EXPECT_NE(status.error().text().find(std::string(word).substr(0, 6)), std::string::npos)
        << word;
  }
}

TEST(MountTable, blanks_optional_fields_and_stacked_mounts) {
  const std::vector<MountEntry> table = parse_mount_table(
      "22 1 0:21 / /proc rw,nosuid shared:5 master:1 - proc proc rw\n"
      "30 22 0:57 / /mnt/a\\040b rw - fuse.shoal vol rw,user_id=0\n"
      "31 22 0:58 / /mnt/a\\040b rw - ext4 /dev/sda rw\n"
      "nonsense\n"
      "32 22 0:59 / /x rw - \n");
  ASSERT_EQ(table.size(), 3u);
  EXPECT_EQ(table[1].path, "/mnt/a b");
  EXPECT_EQ(table[1].device, "0:57");
  EXPECT_EQ(table[1].type, "fuse.shoal");
  EXPECT_EQ(table[1].source, "vol");
  EXPECT_EQ(find_mount(table, "/mnt/a b")->type, "ext4");
  EXPECT_FALSE(find_mount(table, "/mnt").has_value());
}

TEST(Mount, a_mount_point_that_will_not_do_is_named) {
  const auto absent = Mount::attach("/no/such/folder", {});
  EXPECT_EQ(absent.code(), ENOENT);
  EXPECT_NE(absent.error().text().find("/no/such/folder"), std::string::npos);
  EXPECT_EQ(Mount::attach("/proc/version", {}).code(), ENOTDIR);
  const auto used = Mount::attach("/proc", {});
  EXPECT_EQ(used.code(), EBUSY);
  EXPECT_NE(used.error().text().find("in use"), std::string::npos);
}

}  // namespace
}  // namespace shoal::fuse
