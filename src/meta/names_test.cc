// Operations on names: what they do, and every refusal.
#include <dirent.h>
#include <sys/stat.h>

#include "meta/volume_test_util.h"

namespace shoal::meta {
namespace {

constexpr Ino kRoot = kRootIno;

TEST(Volume, format_twice_with_the_same_spec_is_the_same_volume_and_another_is_refused) {
  auto engine = engine::make_memory_engine();
  sim::FakeClock clock;
  sim::SeededRandom random(1);
  const VolumeSpec spec{.name = "a", .bucket = "file:///x"};
  EXPECT_EQ(read_volume(*engine).code(), ENOENT);
  const auto first = format_volume(*engine, spec, clock, random).value();
  EXPECT_EQ(format_volume(*engine, spec, clock, random).value().uuid, first.uuid);
  EXPECT_EQ(format_volume(*engine, {.name = "b", .bucket = "file:///x"}, clock, random).code(),
            EEXIST);
  EXPECT_EQ(read_volume(*engine).value().name, "a");
}

TEST(Volume, every_open_takes_the_next_epoch_and_is_remembered) {
  TestVolume v;
  const auto before = v.owner->marker();
  v.open();
  EXPECT_EQ(v.owner->marker().epoch, before.epoch + 1);
  EXPECT_TRUE(v.owner->knows_open(before.open_id));
  EXPECT_TRUE(v.owner->knows_open(v.owner->marker().open_id));
  EXPECT_FALSE(v.owner->knows_open(Uuid{}));
}

TEST(Volume, an_owner_whose_epoch_passed_can_never_commit_again) {
  TestVolume v;
  sim::ManualExecutor executor(v.clock);
  auto second = open_owner(v.engine(), v.clock, v.random, executor).value();
  EXPECT_EQ(v.m().mkdir(v.request, kRoot, "d", 0755).code(), EIO);
  EXPECT_EQ(v.m().lookup(v.request, kRoot, "d").code(), EIO);  // poisoned
  EXPECT_TRUE(second->metadata().mkdir(v.request, kRoot, "d", 0755).ok());
}

TEST(Volume, a_changed_setting_holds_after_a_new_open_and_commits_go_on) {
  TestVolume v;
  v.jobs().change_volume({.trash_days = 5, .capacity_bytes = 1000}).value();
  v.dir(kRoot, "after");
  v.open();
  EXPECT_EQ(v.m().volume()->trash_days, 5u);
  EXPECT_EQ(v.m().usage()->capacity_bytes, 1000u);
  v.check();
}

TEST(Names, bad_ones_are_refused_everywhere) {
  TestVolume v;
  const std::string longest(255, 'n');
  EXPECT_TRUE(v.m().mkdir(v.request, kRoot, longest, 0755).ok());
  EXPECT_EQ(v.lookup_code(kRoot, longest + "x"), ENAMETOOLONG);
  EXPECT_EQ(v.m().mkdir(v.request, kRoot, longest + "x", 0755).code(), ENAMETOOLONG);
  for (const std::string& bad : {std::string(), std::string("."), std::string(".."),
                                 std::string("a/b"), std::string("a\0b", 3)}) {
    EXPECT_EQ(v.m().mkdir(v.request, kRoot, bad, 0755).code(), EINVAL);
    EXPECT_EQ(v.m().unlink(v.request, kRoot, bad).code(), EINVAL);
    EXPECT_EQ(v.m().rename(v.request, kRoot, longest, kRoot, bad, RenameMode::kReplace).code(),
              EINVAL);
  }
}

TEST(Names, what_is_made_is_found_listed_and_counted) {
  TestVolume v;
  v.clock.advance(std::chrono::seconds(5));
  const Attr made = v.m().mknod(v.request, kRoot, "fifo", S_IFIFO | 0644, 0).value();
  EXPECT_EQ(made.mode, static_cast<uint32_t>(S_IFIFO | 0644));
  EXPECT_EQ(made.btime, v.clock.now());
  EXPECT_EQ(v.m().mknod(v.request, kRoot, "dev", S_IFBLK | 0600, 0x801)->rdev, 0x801u);
  EXPECT_EQ(v.m().mknod(v.request, kRoot, "x", S_IFDIR | 0755, 0).code(), EPERM);
  EXPECT_EQ(v.m().mknod(v.request, kRoot, "x", S_IFLNK | 0755, 0).code(), EINVAL);
  const Ino dir = v.dir(kRoot, "d");
  EXPECT_EQ(v.attr(dir).nlink, 2u);
  EXPECT_EQ(v.attr(kRoot).nlink, 3u);
  EXPECT_EQ(v.attr(kRoot).mtime, v.clock.now());
  EXPECT_EQ(v.m().mkdir(v.request, kRoot, "d", 0755).code(), EEXIST);
  EXPECT_EQ(v.m().mkdir(v.request, made.ino, "d", 0755).code(), ENOTDIR);
  EXPECT_EQ(v.m().mkdir(v.request, 999'999, "d", 0755).code(), ENOENT);
  EXPECT_EQ(v.lookup_code(made.ino, "x"), ENOTDIR);
  EXPECT_EQ(v.lookup_code(kRoot, "absent"), ENOENT);
  EXPECT_EQ(v.lookup_code(kRoot, "absent"), ENOENT);  // from the cache
  EXPECT_EQ(v.names(kRoot), "d dev fifo");
  v.file(dir, "f");
  EXPECT_EQ(v.m().lookup_path(v.request, kRoot, "d/f")->parent, dir);
  EXPECT_EQ(v.m().lookup_path(v.request, kRoot, "d/../fifo")->ino, made.ino);
  EXPECT_EQ(v.m().lookup_path(v.request, kRoot, "fifo/x").code(), ENOTDIR);
  EXPECT_EQ(v.jobs().path_of(v.m().lookup(v.request, dir, "f")->ino).value(), "/d/f");
  v.check();
  v.open();
  EXPECT_EQ(v.names(kRoot), "d dev fifo");
  v.check();
}

TEST(Names, symlinks_keep_their_target) {
  TestVolume v;
  const Attr link = v.m().symlink(v.request, kRoot, "l", "some/where").value();
  EXPECT_EQ(link.size, 10u);
  EXPECT_EQ(link.mode, static_cast<uint32_t>(S_IFLNK | 0777));
  EXPECT_EQ(v.m().readlink(v.request, link.ino).value(), "some/where");
  EXPECT_EQ(v.m().readlink(v.request, kRoot).code(), EINVAL);
  EXPECT_EQ(v.m().symlink(v.request, kRoot, "m", std::string(4096, 'a')).code(), ENAMETOOLONG);
  EXPECT_TRUE(v.m().symlink(v.request, kRoot, "m", std::string(4095, 'a')).ok());
  EXPECT_EQ(v.m().symlink(v.request, kRoot, "e", "").code(), ENOENT);
}

TEST(Create, finds_what_exists_unless_exclusive) {
  TestVolume v;
  v.request.caller.umask = 022;
  const Created made = v.m().create(v.request, kRoot, "f", 0666, {}, false).value();
  EXPECT_FALSE(made.existed);
  EXPECT_EQ(made.opened.attr.mode, static_cast<uint32_t>(S_IFREG | 0644));
  EXPECT_EQ(v.m().create(v.request, kRoot, "f", 0666, {}, true).code(), EEXIST);
  const Created found = v.m().create(v.request, kRoot, "f", 0600, {}, false).value();
  EXPECT_TRUE(found.existed);
  EXPECT_EQ(found.opened.attr.ino, made.opened.attr.ino);
  v.dir(kRoot, "d");
  EXPECT_EQ(v.m().create(v.request, kRoot, "d", 0600, {.write = true}, false).code(), EISDIR);
  auto many =
      v.m().create_many(v.request, kRoot, {{"m1", 0600}, {"f", 0600}, {"m2", 0600}, {"m1", 0600}});
  EXPECT_EQ(many[0].code(), 0);
  EXPECT_EQ(many[1].code(), EEXIST);
  EXPECT_EQ(many[2].code(), 0);
  EXPECT_EQ(many[3].code(), EEXIST);
  EXPECT_EQ(v.names(kRoot), "d f m1 m2");
  v.check();
}

TEST(Create, setgid_directories_hand_down_their_group) {
  TestVolume v;
  const Ino dir = v.dir(kRoot, "d");
  v.m().setattr(v.request, dir, {.gid = 77}).value();
  v.m().setattr(v.request, dir, {.mode = 02777}).value();
  EXPECT_EQ(v.m().mkdir(v.as(5, 6), dir, "sub", 0755)->gid, 77u);
  EXPECT_EQ(v.m().lookup(v.request, dir, "sub")->mode, static_cast<uint32_t>(S_IFDIR | 02755));
  const Attr file = v.m().mknod(v.as(5, 6), dir, "f", S_IFREG | 02755, 0).value();
  EXPECT_EQ(file.gid, 77u);
  EXPECT_EQ(file.mode & 02000, 0u);  // not in the group
}

TEST(Link, counts_names_and_keeps_track_of_their_parents) {
  TestVolume v;
  const Ino a = v.dir(kRoot, "a");
  const Ino b = v.dir(kRoot, "b");
  const Ino f = v.file(a, "f");
  v.clock.advance(std::chrono::seconds(1));
  EXPECT_EQ(v.m().link(v.request, f, b, "g")->nlink, 2u);
  EXPECT_EQ(v.attr(f).ctime, v.clock.now());
  EXPECT_EQ(v.m().link(v.request, f, b, "h")->nlink, 3u);
  v.check();
  EXPECT_EQ(v.m().link(v.request, f, b, "h").code(), EEXIST);
  EXPECT_EQ(v.m().link(v.request, a, b, "dir").code(), EPERM);
  EXPECT_EQ(v.m().unlink(v.request, a, "f")->nlink, 2u);
  v.check();
  EXPECT_EQ(v.attr(f).nlink, 2u);
  v.m().rename(v.request, b, "g", a, "back", RenameMode::kReplace).value();
  v.check();
  v.m().unlink(v.request, b, "h").value();
  EXPECT_EQ(v.attr(f).parent, a);
  v.check();
  // Two names of one inode: rename does nothing.
  v.m().link(v.request, f, a, "twin").value();
  v.m().rename(v.request, a, "back", a, "twin", RenameMode::kReplace).value();
  EXPECT_EQ(v.names(a), "back twin");
  v.check();
}

TEST(Unlink, of_a_directory_and_rmdir_of_a_file_are_refused) {
  TestVolume v;
  const Ino d = v.dir(kRoot, "d");
  v.file(d, "f");
  EXPECT_EQ(v.m().unlink(v.request, kRoot, "d").code(), EISDIR);
  EXPECT_EQ(v.m().rmdir(v.request, d, "f").code(), ENOTDIR);
  EXPECT_EQ(v.m().rmdir(v.request, kRoot, "d").code(), ENOTEMPTY);
  EXPECT_EQ(v.m().unlink(v.request, d, "absent").code(), ENOENT);
  EXPECT_EQ(v.m().unlink(v.request, d, "f")->nlink, 0u);
  EXPECT_EQ(v.lookup_code(d, "f"), ENOENT);
  EXPECT_EQ(v.m().rmdir(v.request, kRoot, "d")->nlink, 0u);
  EXPECT_EQ(v.attr(kRoot).nlink, 2u);
  EXPECT_EQ(v.m().mkdir(v.request, d, "late", 0755).code(), ENOENT);
  v.check();
  EXPECT_EQ(v.all("I").size(), 1u);
}

TEST(Unlink, an_open_file_lives_until_its_last_release) {
  TestVolume v;
  const Ino f = v.file(kRoot, "f");
  v.m().open(v.request, f, {.read = true}).value();
  v.m().open(v.request, f, {.read = true}).value();
  v.m().unlink(v.request, kRoot, "f").value();
  EXPECT_EQ(v.attr(f).nlink, 0u);
  EXPECT_EQ(v.all("O").size(), 1u);
  v.check();
  EXPECT_EQ(v.m().link(v.request, f, kRoot, "again").code(), ENOENT);
  v.m().release(v.request, f, {}).value();
  EXPECT_EQ(v.attr(f).nlink, 0u);
  v.m().release(v.request, f, {}).value();
  EXPECT_EQ(v.m().getattr(v.request, f).code(), ENOENT);
  EXPECT_EQ(v.all("O").size(), 0u);
  EXPECT_EQ(v.all("I").size(), 1u);
  v.check();
}

TEST(Unlink, what_a_dead_process_held_open_is_reclaimed_by_the_next) {
  TestVolume v;
  const Ino f = v.file(kRoot, "f");
  v.m().open(v.request, f, {}).value();
  v.m().unlink(v.request, kRoot, "f").value();
  v.m().create_unnamed(v.request, kRoot, 0600, {}).value();
  v.check();
  v.open();
  v.check();
  v.executor->run_ready();
  EXPECT_EQ(v.all("I").size(), 1u);
  EXPECT_EQ(v.all("O").size() + v.all("G").size(), 0u);
  v.check();
}

TEST(Unlink, closing_a_session_releases_what_it_held) {
  TestVolume v;
  const Ino f = v.file(kRoot, "f");
  v.m().open(v.request, f, {}).value();
  Request other = v.request;
  other.session = v.m().session_open("h", "second").value();
  v.m().open(other, f, {}).value();
  v.m().unlink(v.request, kRoot, "f").value();
  EXPECT_EQ(v.all("O").size(), 2u);
  v.m().session_close(other.session).value();
  EXPECT_EQ(v.attr(f).nlink, 0u);
  v.m().release(v.request, f, {}).value();
  EXPECT_EQ(v.all("I").size(), 1u);
  v.check();
}

TEST(Unnamed, a_file_without_a_name_may_get_one) {
  TestVolume v;
  const Ino f = v.m().create_unnamed(v.request, kRoot, 0600, {})->attr.ino;
  EXPECT_EQ(v.attr(f).nlink, 0u);
  EXPECT_EQ(v.m().link(v.request, f, kRoot, "named")->nlink, 1u);
  v.check();
  v.m().release(v.request, f, {}).value();
  EXPECT_EQ(v.m().lookup(v.request, kRoot, "named")->ino, f);
  const Ino g = v.m().create_unnamed(v.request, kRoot, 0600, {})->attr.ino;
  v.m().release(v.request, g, {}).value();
  EXPECT_EQ(v.m().getattr(v.request, g).code(), ENOENT);
  v.check();
}

TEST(Trash, keeps_what_lost_its_last_name_with_where_it_was) {
  TestVolume v({.name = "v", .bucket = "file:///b", .trash_days = 1});
  const Ino d = v.dir(kRoot, "d");
  const Ino f = v.file(d, "f");
  v.m().unlink(v.request, d, "f").value();
  v.m().rmdir(v.request, kRoot, "d").value();
  ASSERT_EQ(v.all("T").size(), 2u);
  EXPECT_EQ(v.attr(f).flags & format::kFlagTrashed, format::kFlagTrashed);
  EXPECT_EQ(v.m().usage()->trash_inodes, 2u);
  for (const auto& item : v.all("T")) {
    const auto [day, ino] = format::parse_trash_key(item.key).value();
    const auto record = format::decode_trash(item.value).value();
    EXPECT_EQ(record.name, ino == f ? "f" : "d");
    EXPECT_EQ(record.parent, ino == f ? d : kRoot);
    EXPECT_EQ(day, v.clock.now().seconds / 86'400);
  }
  v.check();
  v.open();
  v.check();
}

struct RenameCase {
  const char* from;
  const char* to;
  RenameMode mode;
  int code;
};

// d/ (sub/ (deep/), f), e/ empty, g file, h file
TEST(Rename, refusals_in_the_order_of_linux) {
  const RenameCase cases[] = {
      {"absent", "x", RenameMode::kReplace, ENOENT},
      {"g", "h", RenameMode::kNoReplace, EEXIST},
      {"g", "x", RenameMode::kExchange, ENOENT},
      {"d", "d/sub/x", RenameMode::kReplace, EINVAL},
      {"d", "d/sub/deep/x", RenameMode::kReplace, EINVAL},
      {"d", "d/x", RenameMode::kReplace, EINVAL},
      {"d/sub", "d", RenameMode::kReplace, ENOTEMPTY},
      {"d/sub", "d", RenameMode::kExchange, EINVAL},
      {"d/f", "d", RenameMode::kReplace,
       ENOTEMPTY},  // above the source: before its type is looked at
      {"e", "g", RenameMode::kReplace, ENOTDIR},
      {"g", "e", RenameMode::kReplace, EISDIR},
      {"e", "d", RenameMode::kReplace, ENOTEMPTY},
      {"g/x", "h", RenameMode::kReplace, ENOTDIR},
      {"g", "h", RenameMode::kReplace, 0},
      {"d/sub", "e", RenameMode::kReplace, 0},
      {"d/f", "e/f", RenameMode::kNoReplace, 0},
      {"d", "e/d", RenameMode::kReplace, 0},
      {"d/sub/deep", "g", RenameMode::kExchange, 0},
      {"d", "e", RenameMode::kExchange, 0},
      {"g", "g", RenameMode::kReplace, 0},
  };
  for (const RenameCase& c : cases) {
    SCOPED_TRACE(std::string(c.from) + " → " + c.to);
    TestVolume v;
    const Ino d = v.dir(kRoot, "d");
    const Ino sub = v.dir(d, "sub");
    v.dir(sub, "deep");
    v.file(d, "f");
    v.dir(kRoot, "e");
    v.file(kRoot, "g");
    v.file(kRoot, "h");
    const auto split = [&](std::string_view path) {
      const size_t slash = path.rfind('/');
      if (slash == std::string_view::npos) return std::pair(kRoot, std::string(path));
      return std::pair(v.m().lookup_path(v.request, kRoot, path.substr(0, slash))->ino,
                       std::string(path.substr(slash + 1)));
    };
    const auto [parent, name] = split(c.from);
    const auto [new_parent, new_name] = split(c.to);
    const auto moved = v.m().lookup(v.request, parent, name);
    const auto result = v.m().rename(v.request, parent, name, new_parent, new_name, c.mode);
    EXPECT_EQ(result.code(), c.code);
    if (c.code == 0) {
      EXPECT_EQ(v.m().lookup(v.request, new_parent, new_name)->ino, moved->ino);
      EXPECT_EQ(v.lookup_code(parent, name),
                c.mode == RenameMode::kExchange || std::string(c.from) == c.to ? 0 : ENOENT);
    }
    v.check();
    v.open();
    v.check();
  }
}

TEST(Rename, stamps_both_directories_and_the_moved_inode) {
  TestVolume v;
  const Ino a = v.dir(kRoot, "a");
  const Ino b = v.dir(kRoot, "b");
  const Ino f = v.file(a, "f");
  v.clock.advance(std::chrono::seconds(9));
  const auto renamed = v.m().rename(v.request, a, "f", b, "f", RenameMode::kReplace).value();
  EXPECT_EQ(renamed.moved.ctime, v.clock.now());
  EXPECT_EQ(v.attr(a).mtime, v.clock.now());
  EXPECT_EQ(v.attr(b).mtime, v.clock.now());
  EXPECT_EQ(v.attr(f).parent, b);
  EXPECT_EQ(v.m().inode_stamp(f), v.m().committed_stamp());
}

TEST(Stamps, are_synced_when_sync_says_so) {
  TestVolume v;
  const Ino f = v.file(kRoot, "f");
  EXPECT_GT(v.m().inode_stamp(f), v.m().synced_stamp());
  v.m().sync().value();
  EXPECT_LE(v.m().inode_stamp(f), v.m().synced_stamp());
}

TEST(Inodes, numbers_never_recur_and_siblings_are_adjacent) {
  TestVolume v;
  const Ino a = v.dir(kRoot, "a");
  const Ino b = v.dir(kRoot, "b");
  const Ino a1 = v.file(a, "1"), b1 = v.file(b, "1"), a2 = v.file(a, "2"), b2 = v.file(b, "2");
  EXPECT_EQ(a2, a1 + 1);
  EXPECT_EQ(b2, b1 + 1);
  v.m().unlink(v.request, b, "2").value();
  v.open();
  EXPECT_GT(v.file(a, "3"), std::max({a1, a2, b1, b2}));
}

TEST(Limits, inodes_run_out_with_enospc_and_come_back) {
  TestVolume v({.name = "v", .bucket = "b", .trash_days = 0, .inodes_max = 3});
  v.file(kRoot, "1");
  v.file(kRoot, "2");
  EXPECT_EQ(v.m().mkdir(v.request, kRoot, "3", 0755).code(), ENOSPC);
  v.m().unlink(v.request, kRoot, "1").value();
  v.dir(kRoot, "3");
  v.check();
}

}  // namespace
}  // namespace shoal::meta
