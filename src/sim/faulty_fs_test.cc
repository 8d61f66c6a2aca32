#include "sim/faulty_fs.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "sim/sim_fs.h"

namespace shoal::sim {
namespace {

using Fault = FaultyFs::Fault;
using Times = FaultyFs::Times;

struct Disk {
  SimFs sim;
  FaultyFs fs{sim};
};

TEST(FaultyFs, every_call_can_be_made_to_fail_and_is_counted_by_its_kind) {
  Disk disk;
  disk.sim.make_dir("d").value();
  std::string buffer(1, '\0');
  auto file = disk.fs.open("f", OpenMode::kCreate).value();
  auto other = disk.fs.open("g", OpenMode::kCreate).value();  // its syncs never failed
  const std::vector<std::pair<FsCall, std::function<int()>>> calls = {
      {FsCall::kOpen, [&] { return disk.fs.open("f", OpenMode::kRead).code(); }},
      {FsCall::kRead, [&] { return file->read_at(0, as_mutable_bytes(buffer)).code(); }},
      {FsCall::kWrite, [&] { return file->write_at(0, as_bytes("x")).code(); }},
      {FsCall::kSyncData, [&] { return file->sync_data().code(); }},
      {FsCall::kSync, [&] { return other->sync().code(); }},
      {FsCall::kSize, [&] { return file->size().code(); }},
      {FsCall::kTruncate, [&] { return file->truncate(0).code(); }},
      {FsCall::kAllocate, [&] { return file->allocate(0, 1).code(); }},
      {FsCall::kPunch, [&] { return file->punch(0, 1).code(); }},
      {FsCall::kMakeDir, [&] { return disk.fs.make_dir("e").code(); }},
      {FsCall::kRename, [&] { return disk.fs.rename("e", "e2").code(); }},
      {FsCall::kRemoveDir, [&] { return disk.fs.remove_dir("e2").code(); }},
      {FsCall::kLink, [&] { return disk.fs.link("f", "l").code(); }},
      {FsCall::kRemove, [&] { return disk.fs.remove("l").code(); }},
      {FsCall::kList, [&] { return disk.fs.list("d").code(); }},
      {FsCall::kStat, [&] { return disk.fs.stat("f").code(); }},
      {FsCall::kSyncDir, [&] { return disk.fs.sync_dir("d").code(); }},
      {FsCall::kSpace, [&] { return disk.fs.space("d").code(); }},
      {FsCall::kLock, [&] { return disk.fs.lock("f").code(); }},
  };
  ASSERT_EQ(calls.size(), kFsCalls);
  std::set<std::string_view> names;
  for (const auto& [kind, call] : calls) {
    names.insert(to_string(kind));
    const uint64_t before = disk.fs.calls(kind);
    disk.fs.fail_nth(1, Fault{.code = EDQUOT}, Times::kOnce);
    EXPECT_EQ(call(), EDQUOT) << to_string(kind);
    const bool sync = kind == FsCall::kSync || kind == FsCall::kSyncData;
    EXPECT_EQ(call(), sync ? EIO : 0) << to_string(kind);  // a failed sync stays failed
    EXPECT_EQ(disk.fs.calls(kind), before + 2) << to_string(kind);
  }
  EXPECT_EQ(names.size(), kFsCalls);
  EXPECT_EQ(disk.fs.faults(), kFsCalls);
}

TEST(FaultyFs, the_nth_fails_once_or_from_then_on) {
  Disk disk;
  const auto failing = [&](Times times) {
    std::string pattern;
    disk.fs.fail_nth(3, Fault{.code = EIO}, times);
    for (int i = 0; i < 5; ++i) pattern += disk.fs.stat("/").ok() ? '.' : 'x';
    disk.fs.decide(nullptr);
    return pattern + (disk.fs.stat("/").ok() ? '.' : 'x');
  };
  EXPECT_EQ(failing(Times::kOnce), "..x...");
  EXPECT_EQ(failing(Times::kFromThenOn), "..xxx.");
}

TEST(FaultyFs, the_nth_of_a_kind_counts_only_that_kind) {
  Disk disk;
  disk.fs.fail_nth(FsCall::kMakeDir, 2, Fault{.code = ENOSPC}, Times::kOnce);
  disk.fs.stat("/").value();
  disk.fs.make_dir("a").value();
  disk.fs.stat("/").value();
  EXPECT_EQ(disk.fs.make_dir("b").code(), ENOSPC);
  disk.fs.make_dir("b").value();

  disk.fs.fail_nth(FsCall::kMakeDir, 2, Fault{.code = ENOSPC}, Times::kFromThenOn);
  disk.fs.make_dir("c").value();
  EXPECT_EQ(disk.fs.make_dir("d").code(), ENOSPC);
  EXPECT_EQ(disk.fs.make_dir("d").code(), ENOSPC);
}

TEST(FaultyFs, a_partial_write_leaves_its_first_bytes) {
  Disk disk;
  auto file = disk.fs.open("f", OpenMode::kCreate).value();
  disk.fs.fail_nth(FsCall::kWrite, 1,
                   Fault{.code = ENOSPC, .effect = Fault::Effect::kPartial, .bytes = 5},
                   Times::kOnce);
  const std::vector<ByteView> spans = {as_bytes("abc"), as_bytes("def")};
  EXPECT_EQ(file->write_spans_at(1, spans).code(), ENOSPC);
  EXPECT_EQ(read_file(disk.sim, "f", 100).value(), std::string("\0abcde", 6));
}

TEST(FaultyFs, a_full_effect_happens_and_is_reported_as_failure) {
  Disk disk;
  disk.fs.fail_nth(1, Fault{.code = EIO, .effect = Fault::Effect::kFull}, Times::kOnce);
  EXPECT_EQ(disk.fs.make_dir("d").code(), EIO);
  EXPECT_TRUE(exists(disk.sim, "d").value());
}

TEST(FaultyFs, decide_sees_call_path_and_number) {
  Disk disk;
  std::vector<std::string> log;
  disk.fs.decide([&](FsCall call, const Path& path, uint64_t n) {
    log.push_back(std::to_string(n) + " " + std::string(to_string(call)) + " " + path);
    return Fault{};
  });
  auto file = disk.fs.open("f", OpenMode::kCreate).value();
  file->write_at(0, as_bytes("x")).value();
  file->sync_data().value();
  disk.fs.sync_dir("/").value();
  EXPECT_EQ(log,
            (std::vector<std::string>{"1 open f", "2 write f", "3 sync_data f", "4 sync_dir /"}));
}

TEST(FaultyFs, a_sweep_over_write_file_atomically_finds_the_old_or_the_new_file) {
  Disk counted;
  write_file_atomically(counted.fs, "f", as_bytes("new")).value();
  ASSERT_GT(counted.fs.calls(), 0u);
  for (uint64_t n = 1; n <= counted.fs.calls(); ++n) {
    for (const Times times : {Times::kOnce, Times::kFromThenOn}) {
      Disk disk;
      write_file_atomically(disk.sim, "f", as_bytes("old")).value();
      disk.fs.fail_nth(n, Fault{.code = EIO}, times);
      EXPECT_EQ(write_file_atomically(disk.fs, "f", as_bytes("new")).code(), EIO) << n;
      EXPECT_GE(disk.fs.faults(), 1u);
      const std::string left = read_file(disk.sim, "f", 100).value();
      EXPECT_TRUE(left == "old" || left == "new") << n;
    }
  }
}

}  // namespace
}  // namespace shoal::sim
