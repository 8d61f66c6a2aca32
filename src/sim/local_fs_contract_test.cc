// What every LocalFs does, held against the real one, the simulated one, and the faulty one that
// injects nothing.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <functional>
#include <memory>

#include "sim/faulty_fs.h"
#include "sim/sim_fs.h"
#include "sys/local_fs.h"

namespace shoal::sim {
namespace {

enum class Twin { kReal, kSim, kFaulty };

class LocalFsContract : public ::testing::TestWithParam<Twin> {
 protected:
  void SetUp() override {
    if (GetParam() == Twin::kReal) {
      char pattern[] = "/tmp/shoal-fs-XXXXXX";
      ASSERT_NE(::mkdtemp(pattern), nullptr);
      root_ = pattern;
      fs_ = &real_;
      return;
    }
    root_ = "/root";
    sim_.make_dir(root_).value();
    fs_ = GetParam() == Twin::kSim ? static_cast<LocalFs*>(&sim_) : &faulty_;
  }
  void TearDown() override {
    remove_tree(*fs_, root_).value();
    EXPECT_FALSE(exists(*fs_, root_).value());
  }

  Path at(std::string_view name) const { return join(root_, name); }
  std::unique_ptr<File> open(std::string_view name, OpenMode mode = OpenMode::kCreate) {
    return fs_->open(at(name), mode).value();
  }
  void put(std::string_view name, std::string_view text) {
    open(name, OpenMode::kTruncate)->write_at(0, as_bytes(text)).value();
  }
  std::string get(std::string_view name) { return read_file(*fs_, at(name), 1 << 20).value(); }
  static std::string read(File& file, uint64_t offset, size_t length) {
    std::string text(length, '?');
    text.resize(file.read_at(offset, as_mutable_bytes(text)).value());
    return text;
  }

  RealFs real_;
  SimFs sim_;
  FaultyFs faulty_{sim_};
  LocalFs* fs_ = nullptr;
  Path root_;
};

INSTANTIATE_TEST_SUITE_P(, LocalFsContract,
                         ::testing::Values(Twin::kReal, Twin::kSim, Twin::kFaulty),
                         [](const auto& twin) {
                           return std::string(twin.param == Twin::kReal  ? "real"
                                              : twin.param == Twin::kSim ? "sim"
                                                                         : "faulty");
                         });

TEST_P(LocalFsContract, what_is_written_is_read_by_every_handle_at_once) {
  auto writer = open("f");
  auto reader = open("f", OpenMode::kRead);
  writer->write_at(0, as_bytes("hello")).value();
  EXPECT_EQ(read(*reader, 0, 5), "hello");
  writer->write_at(1, as_bytes("a")).value();
  EXPECT_EQ(read(*reader, 0, 5), "hallo");
}

TEST_P(LocalFsContract, a_read_is_short_only_at_the_end) {
  auto file = open("f");
  file->write_at(0, as_bytes("0123456789")).value();
  EXPECT_EQ(read(*file, 7, 100), "789");
  EXPECT_EQ(read(*file, 10, 1), "");
  EXPECT_EQ(read(*file, 1'000'000, 1), "");
}

TEST_P(LocalFsContract, a_gap_reads_as_zeros) {
  auto file = open("f");
  file->write_at(10'000, as_bytes("x")).value();
  EXPECT_EQ(file->size().value(), 10'001u);
  EXPECT_EQ(read(*file, 0, 10'001), std::string(10'000, '\0') + "x");
}

TEST_P(LocalFsContract, many_spans_land_one_behind_the_other) {
  auto file = open("f");
  std::vector<std::string> parts;
  std::vector<ByteView> spans;
  std::string expected;
  for (int i = 0; i < 3000; ++i)
    parts.push_back(std::string(static_cast<size_t>(i % 7), static_cast<char>('a' + i % 26)));
  for (const std::string& part : parts) {
    spans.push_back(as_bytes(part));
    expected += part;
  }
  file->write_spans_at(5, spans).value();
  EXPECT_EQ(read(*file, 5, expected.size() + 1), expected);
}

TEST_P(LocalFsContract, writing_nothing_changes_nothing) {
  auto file = open("f");
  file->write_at(100, {}).value();
  file->write_spans_at(100, {}).value();
  file->allocate(100, 0).value();
  file->punch(100, 0).value();
  EXPECT_EQ(file->size().value(), 0u);
}

TEST_P(LocalFsContract, truncate_cuts_and_what_is_grown_again_is_zeros) {
  auto file = open("f");
  file->write_at(0, as_bytes(std::string(9000, 'x'))).value();
  file->truncate(4100).value();
  EXPECT_EQ(file->size().value(), 4100u);
  file->truncate(9000).value();
  EXPECT_EQ(read(*file, 0, 9001), std::string(4100, 'x') + std::string(4900, '\0'));
}

TEST_P(LocalFsContract, allocate_grows_the_file_and_keeps_its_bytes) {
  auto file = open("f");
  file->write_at(0, as_bytes("abc")).value();
  file->allocate(0, 100'000).value();
  EXPECT_EQ(file->size().value(), 100'000u);
  EXPECT_GE(fs_->stat(at("f")).value().allocated_bytes, 100'000u);
  EXPECT_EQ(read(*file, 0, 5), std::string("abc\0\0", 5));
  file->allocate(0, 10).value();
  EXPECT_EQ(file->size().value(), 100'000u);
}

TEST_P(LocalFsContract, punch_makes_zeros_frees_blocks_and_keeps_the_size) {
  auto file = open("f");
  file->write_at(0, as_bytes(std::string(1 << 20, 'x'))).value();
  const uint64_t before = fs_->stat(at("f")).value().allocated_bytes;
  file->punch(100, (1 << 20) - 200).value();
  EXPECT_EQ(file->size().value(), 1u << 20);
  const std::string text = read(*file, 0, 1 << 20);
  EXPECT_EQ(text,
            std::string(100, 'x') + std::string((1 << 20) - 200, '\0') + std::string(100, 'x'));
  file->sync().value();
  EXPECT_LT(fs_->stat(at("f")).value().allocated_bytes, before);
}

TEST_P(LocalFsContract, syncs_succeed) {
  auto file = open("f");
  file->write_at(0, as_bytes("x")).value();
  file->sync_data().value();
  file->sync().value();
  fs_->sync_dir(root_).value();
  EXPECT_EQ(get("f"), "x");
}

TEST_P(LocalFsContract, open_modes) {
  EXPECT_EQ(fs_->open(at("f"), OpenMode::kRead).code(), ENOENT);
  EXPECT_EQ(fs_->open(at("f"), OpenMode::kReadWrite).code(), ENOENT);
  EXPECT_EQ(fs_->open(at("f"), OpenMode::kReadDirect).code(), ENOENT);
  EXPECT_TRUE(fs_->open(at("f"), OpenMode::kCreateExclusive).ok());
  EXPECT_EQ(fs_->open(at("f"), OpenMode::kCreateExclusive).code(), EEXIST);
  put("f", "text");
  open("f", OpenMode::kCreate);
  open("f", OpenMode::kReadWrite);
  open("f", OpenMode::kReadWriteDirect);
  EXPECT_EQ(get("f"), "text");
  open("f", OpenMode::kTruncate);
  EXPECT_EQ(get("f"), "");
  fs_->make_dir(at("d")).value();
  for (const OpenMode mode :
       {OpenMode::kRead, OpenMode::kReadWrite, OpenMode::kCreate, OpenMode::kTruncate}) {
    EXPECT_EQ(fs_->open(at("d"), mode).code(), EISDIR);
  }
  EXPECT_EQ(fs_->open(at("f/x"), OpenMode::kCreate).code(), ENOTDIR);
  EXPECT_EQ(fs_->open(at("nowhere/x"), OpenMode::kCreate).code(), ENOENT);
}

TEST_P(LocalFsContract, a_file_opened_for_reading_refuses_writes) {
  put("f", "text");
  auto file = open("f", OpenMode::kRead);
  EXPECT_EQ(file->write_at(0, as_bytes("x")).code(), EBADF);
  EXPECT_FALSE(file->truncate(0).ok());
  EXPECT_FALSE(file->allocate(0, 10).ok());
  EXPECT_EQ(get("f"), "text");
}

TEST_P(LocalFsContract, direct_access_works_aligned_and_refuses_the_rest) {
  const std::unique_ptr<std::byte, void (*)(void*)> memory(
      static_cast<std::byte*>(::aligned_alloc(4096, 16384)), ::free);
  const MutableBytes buffer(memory.get(), 16384);
  std::fill(buffer.begin(), buffer.end(), std::byte{'d'});
  auto file = open("f", OpenMode::kReadWriteDirect);
  file->write_at(4096, buffer.first(8192)).value();
  EXPECT_EQ(file->write_at(1, buffer.first(4096)).code(), EINVAL);
  EXPECT_EQ(file->write_at(0, buffer.first(100)).code(), EINVAL);
  EXPECT_EQ(file->read_at(0, buffer.subspan(1, 4096)).code(), EINVAL);
  auto reader = open("f", OpenMode::kReadDirect);
  EXPECT_EQ(reader->read_at(0, buffer).value(), 12288u);
  EXPECT_EQ(as_text(buffer.first(12288)), std::string(4096, '\0') + std::string(8192, 'd'));
}

TEST_P(LocalFsContract, a_direct_read_stops_at_an_end_off_the_grid) {
  put("f", std::string(5000, 'x'));
  const std::unique_ptr<std::byte, void (*)(void*)> memory(
      static_cast<std::byte*>(::aligned_alloc(4096, 16384)), ::free);
  EXPECT_EQ(open("f", OpenMode::kReadDirect)->read_at(0, {memory.get(), 16384}).value(), 5000u);
}

TEST_P(LocalFsContract, directories) {
  EXPECT_EQ(fs_->make_dir(at("a/b")).code(), ENOENT);
  fs_->make_dir(at("a")).value();
  EXPECT_EQ(fs_->make_dir(at("a")).code(), EEXIST);
  put("a/2", "");
  put("a/1", "");
  EXPECT_EQ(fs_->list(at("a")).value(), (std::vector<std::string>{"1", "2"}));
  EXPECT_EQ(fs_->list(at("a/1")).code(), ENOTDIR);
  EXPECT_EQ(fs_->list(at("b")).code(), ENOENT);
  EXPECT_EQ(fs_->sync_dir(at("b")).code(), ENOENT);
  EXPECT_EQ(fs_->sync_dir(at("a/1")).code(), ENOTDIR);
  EXPECT_EQ(fs_->remove(at("a")).code(), EISDIR);
  EXPECT_EQ(fs_->remove_dir(at("a/1")).code(), ENOTDIR);
  EXPECT_EQ(fs_->remove_dir(at("a")).code(), ENOTEMPTY);
  fs_->remove(at("a/1")).value();
  fs_->remove(at("a/2")).value();
  fs_->remove_dir(at("a")).value();
  EXPECT_EQ(fs_->remove_dir(at("a")).code(), ENOENT);
  EXPECT_EQ(fs_->remove(at("a")).code(), ENOENT);
}

TEST_P(LocalFsContract, rename_replaces_and_keeps_open_files) {
  put("a", "new");
  put("b", "old");
  auto old = open("b", OpenMode::kRead);
  fs_->rename(at("a"), at("b")).value();
  EXPECT_EQ(get("b"), "new");
  EXPECT_FALSE(exists(*fs_, at("a")).value());
  EXPECT_EQ(read(*old, 0, 3), "old");
}

TEST_P(LocalFsContract, rename_refuses_what_posix_refuses) {
  fs_->make_dir(at("d")).value();
  fs_->make_dir(at("d/sub")).value();
  fs_->make_dir(at("empty")).value();
  put("f", "text");
  EXPECT_EQ(fs_->rename(at("no"), at("x")).code(), ENOENT);
  EXPECT_EQ(fs_->rename(at("f"), at("d")).code(), EISDIR);
  EXPECT_EQ(fs_->rename(at("d"), at("f")).code(), ENOTDIR);
  EXPECT_EQ(fs_->rename(at("empty"), at("d")).code(), ENOTEMPTY);
  EXPECT_EQ(fs_->rename(at("d"), at("d/sub/x")).code(), EINVAL);
  fs_->rename(at("f"), at("f")).value();
  fs_->rename(at("d"), at("empty")).value();
  EXPECT_EQ(fs_->list(at("empty")).value(), (std::vector<std::string>{"sub"}));
}

TEST_P(LocalFsContract, a_link_is_a_second_name_of_the_same_file) {
  put("a", "text");
  fs_->link(at("a"), at("b")).value();
  EXPECT_EQ(fs_->stat(at("a")).value().inode, fs_->stat(at("b")).value().inode);
  EXPECT_EQ(fs_->link(at("a"), at("b")).code(), EEXIST);
  EXPECT_EQ(fs_->link(at("no"), at("c")).code(), ENOENT);
  fs_->make_dir(at("d")).value();
  EXPECT_EQ(fs_->link(at("d"), at("c")).code(), EPERM);
  fs_->rename(at("a"), at("b")).value();  // two names of one file: nothing happens
  EXPECT_TRUE(exists(*fs_, at("a")).value());
  fs_->remove(at("a")).value();
  EXPECT_EQ(get("b"), "text");
}

TEST_P(LocalFsContract, a_removed_file_lives_on_while_open) {
  put("f", "text");
  auto file = open("f", OpenMode::kReadWrite);
  fs_->remove(at("f")).value();
  EXPECT_FALSE(exists(*fs_, at("f")).value());
  file->write_at(4, as_bytes("!")).value();
  EXPECT_EQ(read(*file, 0, 9), "text!");
}

TEST_P(LocalFsContract, stat_tells_kind_size_and_a_time_that_moves_on) {
  put("f", "12345");
  const FileInfo info = fs_->stat(at("f")).value();
  EXPECT_FALSE(info.is_directory);
  EXPECT_EQ(info.size, 5u);
  EXPECT_TRUE(fs_->stat(root_).value().is_directory);
  EXPECT_EQ(fs_->stat(at("no")).code(), ENOENT);
  EXPECT_EQ(fs_->stat(at("f/no")).code(), ENOTDIR);
  open("f")->write_at(0, as_bytes("x")).value();
  EXPECT_GE(fs_->stat(at("f")).value().modified, info.modified);
}

TEST_P(LocalFsContract, space_is_plausible) {
  const DiskSpace space = fs_->space(root_).value();
  EXPECT_GT(space.total_bytes, 0u);
  EXPECT_LE(space.available_bytes, space.total_bytes);
  EXPECT_EQ(fs_->space(at("no")).code(), ENOENT);
}

TEST_P(LocalFsContract, a_lock_excludes_others_until_it_goes) {
  auto held = fs_->lock(at("LOCK")).value();
  EXPECT_TRUE(exists(*fs_, at("LOCK")).value());
  EXPECT_EQ(fs_->lock(at("LOCK")).code(), EWOULDBLOCK);
  open("LOCK");  // opening and closing the file must not release it
  EXPECT_EQ(fs_->lock(at("LOCK")).code(), EWOULDBLOCK);
  held.reset();
  EXPECT_TRUE(fs_->lock(at("LOCK")).ok());
}

TEST_P(LocalFsContract, errors_name_the_path) {
  EXPECT_NE(fs_->open(at("no"), OpenMode::kRead).error().message().find(at("no")),
            std::string::npos);
  EXPECT_NE(fs_->rename(at("no"), at("x")).error().message().find(at("no")), std::string::npos);
}

TEST_P(LocalFsContract, make_dirs_makes_what_is_missing_and_is_content_with_what_is_there) {
  make_dirs(*fs_, at("a/b/c")).value();
  make_dirs(*fs_, at("a/b/c/")).value();
  EXPECT_TRUE(fs_->stat(at("a/b/c")).value().is_directory);
  put("f", "");
  EXPECT_EQ(make_dirs(*fs_, at("f")).code(), ENOTDIR);
  EXPECT_EQ(make_dirs(*fs_, at("f/x")).code(), ENOTDIR);
}

TEST_P(LocalFsContract, read_file_refuses_more_than_expected) {
  put("f", "12345");
  EXPECT_EQ(read_file(*fs_, at("f"), 5).value(), "12345");
  EXPECT_EQ(read_file(*fs_, at("f"), 4).code(), EFBIG);
  EXPECT_EQ(read_file(*fs_, at("no"), 4).code(), ENOENT);
}

TEST_P(LocalFsContract, write_file_atomically_leaves_only_the_new_bytes) {
  write_file_atomically(*fs_, at("f"), as_bytes("first, and longer")).value();
  write_file_atomically(*fs_, at("f"), as_bytes("second")).value();
  EXPECT_EQ(get("f"), "second");
  EXPECT_EQ(fs_->list(root_).value(), (std::vector<std::string>{"f"}));
}

TEST_P(LocalFsContract, remove_tree_takes_everything_below_and_minds_nothing_absent) {
  make_dirs(*fs_, at("a/b/c")).value();
  put("a/b/f", "x");
  put("a/g", "x");
  put("beside", "x");
  remove_tree(*fs_, at("a")).value();
  remove_tree(*fs_, at("a")).value();
  EXPECT_EQ(fs_->list(root_).value(), (std::vector<std::string>{"beside"}));
}

}  // namespace
}  // namespace shoal::sim
