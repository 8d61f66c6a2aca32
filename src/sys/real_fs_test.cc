// What only the real file system can show. What it shares with its twins:
// sim/local_fs_contract_test.cc.
#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "sys/local_fs.h"
#include "sys/unique_fd.h"

namespace shoal {
namespace {

TEST(Path, join_parent_and_base_name) {
  EXPECT_EQ(join("a", "b"), "a/b");
  EXPECT_EQ(join("a/", "b"), "a/b");
  EXPECT_EQ(join("", "b"), "b");
  EXPECT_EQ(parent_of("a/b"), "a");
  EXPECT_EQ(parent_of("a"), ".");
  EXPECT_EQ(parent_of("/a"), "/");
  EXPECT_EQ(parent_of("/"), "/");
  EXPECT_EQ(parent_of("/a//b/"), "/a");
  EXPECT_EQ(base_name("a/b"), "b");
  EXPECT_EQ(base_name("a"), "a");
  EXPECT_EQ(base_name("/a/"), "a");
  EXPECT_EQ(base_name("/"), "/");
}

class RealFsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/shoal-real-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern), nullptr);
    root_ = pattern;
  }
  void TearDown() override { remove_tree(fs_, root_).value(); }
  Path at(std::string_view name) const { return join(root_, name); }

  RealFs fs_;
  Path root_;
};

// The open descriptors of this process, those of the look itself left out.
std::vector<int> descriptors() {
  std::vector<int> open;
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::opendir("/proc/self/fd"), ::closedir);
  while (const dirent* entry = ::readdir(stream.get())) {
    const int fd = std::atoi(entry->d_name);
    if (entry->d_name[0] != '.' && fd != ::dirfd(stream.get())) open.push_back(fd);
  }
  std::sort(open.begin(), open.end());
  return open;
}

TEST_F(RealFsTest, every_descriptor_is_close_on_exec_and_closed_in_the_end) {
  const std::vector<int> before = descriptors();
  {
    auto file = fs_.open(at("f"), OpenMode::kCreate).value();
    auto direct = fs_.open(at("f"), OpenMode::kReadDirect).value();
    auto lock = fs_.lock(at("LOCK")).value();
    const std::vector<int> during = descriptors();
    EXPECT_EQ(during.size(), before.size() + 3);
    for (const int fd : during) {
      if (std::find(before.begin(), before.end(), fd) != before.end()) continue;
      EXPECT_NE(::fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
    }
    fs_.list(root_).value();
    fs_.sync_dir(root_).value();
    EXPECT_EQ(fs_.open(root_, OpenMode::kRead).code(), EISDIR);
    EXPECT_EQ(fs_.lock(at("LOCK")).code(), EWOULDBLOCK);
  }
  EXPECT_EQ(descriptors(), before);
}

TEST_F(RealFsTest, a_lock_excludes_other_processes_and_dies_with_its_process) {
  int ready[2];
  int finish[2];
  ASSERT_EQ(::pipe(ready), 0);
  ASSERT_EQ(::pipe(finish), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::close(finish[1]);
    auto lock = fs_.lock(at("LOCK"));
    char byte = lock.ok() ? 'y' : 'n';
    if (::write(ready[1], &byte, 1) != 1) ::_exit(1);
    ::_exit(::read(finish[0], &byte, 1) == 0 ? 0 : 1);  // the lock's destructor never runs
  }
  ::close(finish[0]);
  char answer = 0;
  ASSERT_EQ(::read(ready[0], &answer, 1), 1);
  EXPECT_EQ(answer, 'y');
  EXPECT_EQ(fs_.lock(at("LOCK")).code(), EWOULDBLOCK);
  ::close(finish[1]);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(fs_.lock(at("LOCK")).ok());
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST_F(RealFsTest, remove_tree_removes_a_symbolic_link_and_not_what_it_points_to) {
  make_dirs(fs_, at("precious")).value();
  write_file_atomically(fs_, at("precious/f"), as_bytes("kept")).value();
  make_dirs(fs_, at("doomed")).value();
  ASSERT_EQ(::symlink(at("precious").c_str(), at("doomed/link").c_str()), 0);
  ASSERT_EQ(::symlink("nowhere", at("doomed/dangling").c_str()), 0);
  remove_tree(fs_, at("doomed")).value();
  EXPECT_EQ(read_file(fs_, at("precious/f"), 100).value(), "kept");
  EXPECT_FALSE(exists(fs_, at("doomed")).value());
}

TEST_F(RealFsTest, files_and_folders_are_for_their_owner_only) {
  const mode_t old = ::umask(0);
  fs_.open(at("f"), OpenMode::kCreate).value();
  fs_.make_dir(at("d")).value();
  ::umask(old);
  EXPECT_EQ(::access(at("f").c_str(), X_OK), -1);
  struct stat st {};
  ASSERT_EQ(::stat(at("f").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0600u);
  ASSERT_EQ(::stat(at("d").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0700u);
}

TEST_F(RealFsTest, read_file_reads_what_reports_no_size) {
  const std::string status = read_file(fs_, "/proc/self/status", 1 << 20).value();
  EXPECT_NE(status.find("Pid:"), std::string::npos);
  EXPECT_EQ(read_file(fs_, "/proc/self/status", 10).code(), EFBIG);
}

TEST_F(RealFsTest, a_full_disk_says_what_to_do) {
  const auto full = fs_.open("/dev/full", OpenMode::kReadWrite).value()->write_at(0, as_bytes("x"));
  EXPECT_EQ(full.code(), ENOSPC);
  EXPECT_NE(full.error().message().find("/dev/full"), std::string::npos);
  EXPECT_NE(full.error().message().find("free space"), std::string::npos);
}

}  // namespace
}  // namespace shoal
