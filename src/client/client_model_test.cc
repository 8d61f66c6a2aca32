// Random operations of several handles on few files, against plain strings; with commits, engine
// syncs, SIGKILLs and power cuts among them. After a crash every file must be its state after some
// prefix of its operations, at least up to the last close (kill) or fsync (power cut).
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "base/log.h"
#include "client/world_test_util.h"
#include "sys/thread.h"

namespace shoal::client {
namespace {

struct ModelFile {
  std::vector<std::string> states = {""};  // after each operation; the last is now
  size_t kill_floor = 0;
  size_t power_floor = 0;
  const std::string& now() const { return states.back(); }
  void change(std::string state) { states.push_back(std::move(state)); }
  void closed() { kill_floor = states.size() - 1; }
  void synced() { kill_floor = power_floor = states.size() - 1; }
};
using ModelFilePtr = std::shared_ptr<ModelFile>;

struct ModelHandle {
  HandleId id;
  ModelFilePtr file;
  bool append;
};

class Model {
 public:
  explicit Model(uint64_t seed) : random_(seed) {}

  void step() {
    switch (below(24)) {
      case 0:
      case 1:
        open();
        break;
      case 2:
        with_handle([&](auto& h) { close(h); });
        break;
      case 3:
      case 4:
      case 5:
      case 6:
      case 7:
      case 8:
        with_handle([&](auto& h) { write(h); });
        break;
      case 9:
        with_handle([&](auto& h) { truncate(h); });
        break;
      case 10:
        with_handle([&](auto& h) { punch_or_zero(h); });
        break;
      case 11:
        with_handle([&](auto& h) { fsync(h); });
        break;
      case 12:
      case 13:
      case 14:
        with_handle([&](auto& h) { read(h); });
        break;
      case 15:
        with_handle([&](auto& h) { seek(h); });
        break;
      case 16:
        rename();
        break;
      case 17:
        if (below(3) == 0) unlink();
        break;
      case 18:
        with_handle([&](auto& h) { copy(h); });
        break;
      case 19:
      case 20:
        pump();
        break;
      case 21:
        world_.client->committer().sync_engine();
        break;
      case 22:
        if (below(6) == 0) crash(below(2) == 0);
        break;
      case 23:
        if (below(4) == 0) world_.staging.fail_syncs = 1;
        break;
    }
  }
  void finish() {
    world_.staging.fail_syncs = 0;
    for (const auto& [name, file] : names_) ASSERT_EQ(world_.content(name), file->now()) << name;
    while (!handles_.empty()) close(handles_.back());
    pump();
    ASSERT_EQ(world_.client->status().uncommitted_operations, 0u);
    ASSERT_EQ(world_.client->status().buffered_bytes, 0u);
    for (const auto& [name, file] : names_) ASSERT_EQ(world_.content(name), file->now()) << name;
    crash(true);
  }
  uint64_t crashes() const { return crashes_; }

 private:
  uint64_t below(uint64_t n) { return random_() % n; }
  std::string name() { return std::string(1, static_cast<char>('a' + below(3))); }
  template <typename Body>
  void with_handle(Body body) {
    if (!handles_.empty()) body(handles_[below(handles_.size())]);
  }
  static void fit(std::string& text, size_t size) {
    if (text.size() < size) text.resize(size, '\0');
  }

  void open() {
    if (handles_.size() >= 6) return;
    const std::string which = name();
    const bool append = below(4) == 0;
    const bool truncate = below(8) == 0 && names_.contains(which);
    const OpenOptions options{.read = true, .write = true, .append = append, .truncate = truncate};
    auto opened = world_.client->create(world_.who, kRootIno, which, 0644, options, false);
    ModelFilePtr& file = names_[which];
    if (!file) {
      file = std::make_shared<ModelFile>();
      world_.client->fsync_dir(kRootIno).value();
    } else if (truncate) {
      file->change("");
      file->closed();
    }
    ASSERT_EQ(opened->attr.size, file->now().size());
    handles_.push_back({opened->handle, file, append});
  }
  void close(ModelHandle& handle) {
    world_.close(handle.id);
    handle.file->closed();
    handle = handles_.back();
    handles_.pop_back();
  }
  void write(ModelHandle& handle) {
    std::string state = handle.file->now();
    const std::string bytes(1 + below(3000), static_cast<char>('A' + below(50)));
    const uint64_t offset = handle.append   ? state.size()
                            : below(3) == 0 ? state.size()
                                            : below(12'000);
    if (offset + bytes.size() > 30'000) return;
    ASSERT_TRUE(world_.write(handle.id, offset, bytes).ok());
    fit(state, offset + bytes.size());
    state.replace(offset, bytes.size(), bytes);
    handle.file->change(std::move(state));
  }
  void truncate(ModelHandle& handle) {
    const uint64_t size = below(16'000);
    const Ino ino = world_.client->ino_of(handle.id);
    auto attr = world_.client->setattr(world_.who, ino, {.size = size, .handle = handle.id});
    ASSERT_EQ(attr->size, size);
    std::string state = handle.file->now();
    state.resize(size, '\0');
    handle.file->change(std::move(state));
    handle.file->closed();
  }
  void punch_or_zero(ModelHandle& handle) {
    const uint64_t offset = below(15'000), length = 1 + below(5000);
    const bool zero = below(2) == 0, keep = !zero || below(2) == 0;
    const FallocateMode mode{zero ? FallocateMode::Kind::kZero : FallocateMode::Kind::kPunch, keep};
    ASSERT_TRUE(world_.client->fallocate(world_.who, handle.id, mode, offset, length).ok());
    std::string state = handle.file->now();
    if (!keep) fit(state, offset + length);
    for (uint64_t i = offset; i < std::min<uint64_t>(offset + length, state.size()); ++i)
      state[i] = '\0';
    handle.file->change(std::move(state));
    handle.file->closed();
  }
  void fsync(ModelHandle& handle) {
    ASSERT_TRUE(world_.client->fsync(handle.id, false).ok());
    handle.file->synced();
  }
  void read(ModelHandle& handle) {
    const std::string& state = handle.file->now();
    const uint64_t offset = below(20'000), length = 1 + below(20'000);
    const std::string expected = offset < state.size() ? state.substr(offset, length) : "";
    ASSERT_TRUE(world_.read(handle.id, offset, length) == expected)
        << "at " << offset << "+" << length;
    const Attr attr = world_.client->getattr(world_.who, world_.client->ino_of(handle.id)).value();
    ASSERT_EQ(attr.size, state.size());
    ASSERT_LE(attr.allocated, state.size());
  }
  void seek(ModelHandle& handle) {
    const std::string& state = handle.file->now();
    const uint64_t offset = below(20'000);
    const auto data = world_.client->seek_data(handle.id, offset);
    const auto hole = world_.client->seek_hole(handle.id, offset);
    if (offset >= state.size()) {
      ASSERT_EQ(data.code(), ENXIO);
      ASSERT_EQ(hole.code(), ENXIO);
      return;
    }
    const uint64_t first = data.ok() ? *data : state.size();
    ASSERT_LE(first, state.size());
    for (uint64_t i = offset; i < first; ++i) ASSERT_EQ(state[i], '\0') << "skipped byte " << i;
    ASSERT_LE(hole.value(), state.size());
    if (*hole < state.size()) {
      ASSERT_EQ(state[*hole], '\0');
    }
    ASSERT_TRUE(*hole == offset || first == offset);
  }
  void rename() {
    const std::string from = name(), to = name();
    const auto source = names_.find(from);
    if (source == names_.end() || from == to) return;
    const ModelFilePtr file = source->second;
    const bool replaces = names_.contains(to);
    ASSERT_TRUE(
        world_.client->rename(world_.who, kRootIno, from, kRootIno, to, meta::RenameMode::kReplace)
            .ok());
    world_.client->fsync_dir(kRootIno).value();
    names_.erase(from);
    names_[to] = file;
    if (replaces) file->synced();
  }
  void unlink() {
    const auto it = names_.find(name());
    if (it == names_.end()) return;
    ASSERT_TRUE(world_.client->unlink(world_.who, kRootIno, it->first).ok());
    world_.client->fsync_dir(kRootIno).value();
    names_.erase(it);
  }
  void copy(ModelHandle& to) {
    ModelHandle& from = handles_[below(handles_.size())];
    const uint64_t offset = below(5000), at = 6000 + below(5000), length = 1 + below(1000);
    const auto copied = world_.client->copy_range(world_.who, from.id, offset, to.id, at, length);
    if (to.append) {
      ASSERT_EQ(copied.code(), EBADF);
      return;
    }
    const std::string part =
        offset < from.file->now().size() ? from.file->now().substr(offset, length) : "";
    ASSERT_EQ(copied->bytes, part.size());
    if (part.empty()) return;
    std::string state = to.file->now();
    fit(state, at + part.size());
    state.replace(at, part.size(), part);
    to.file->change(std::move(state));
    to.file->closed();
  }
  void pump() {
    world_.pump();
    for (const auto& [name, file] : names_) file->closed();
    for (const ModelHandle& handle : handles_) handle.file->closed();
  }
  void crash(bool power) {
    ++crashes_;
    world_.staging.fail_syncs = 0;
    if (power) {
      world_.cut_power();
    } else {
      world_.kill();
    }
    handles_.clear();
    for (auto& [name, file] : names_) {
      const std::string content = world_.content(name);
      const size_t floor = power ? file->power_floor : file->kill_floor;
      const auto found =
          std::find(file->states.begin() + static_cast<long>(floor), file->states.end(), content);
      ASSERT_TRUE(found != file->states.end())
          << name << (power ? " after a power cut" : " after a kill") << ": " << content.size()
          << " bytes are no state from " << floor << " of " << file->states.size();
      *file = {};
      file->states = {content};
    }
    world_.client->fsync_dir(kRootIno).value();
  }

  std::mt19937_64 random_;
  World world_;
  std::map<std::string, ModelFilePtr> names_;
  std::vector<ModelHandle> handles_;
  uint64_t crashes_ = 0;
};

TEST(ClientModel, agrees_with_plain_strings_through_commits_kills_and_power_cuts) {
  set_log_sink([](LogLevel, std::string_view) {});
  uint64_t crashes = 0;
  for (uint64_t seed = 1; seed <= 100 && !HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Model model(seed);
    for (int i = 0; i < 400 && !HasFailure(); ++i) {
      SCOPED_TRACE("step " + std::to_string(i));
      model.step();
    }
    if (!HasFailure()) model.finish();
    crashes += model.crashes();
  }
  set_log_sink(nullptr);
  EXPECT_GT(crashes, 200u);
}

// Writers of one file at disjoint places, a reader, a committer and an fsyncer at once.
TEST(ClientModel, threads_on_one_file_lose_nothing) {
  World world({.buffer_bytes_max = 256 << 10});
  const HandleId file = world.create("f");
  constexpr int kWriters = 3, kWrites = 400;
  std::atomic<int> running = kWriters;
  std::vector<Thread> threads;
  for (int w = 0; w < kWriters; ++w) {
    threads.emplace_back("writer", [&, w] {
      for (int i = 0; i < kWrites; ++i) {
        const uint64_t offset = static_cast<uint64_t>((i * 7 % kWrites) * kWriters + w) * 1000;
        EXPECT_TRUE(world.write(file, offset, std::string(1000, static_cast<char>('a' + w))).ok());
      }
      --running;
    });
  }
  threads.emplace_back("committer", [&] {
    while (running > 0) EXPECT_TRUE(world.client->committer().commit_everything().ok());
  });
  threads.emplace_back("syncer", [&] {
    while (running > 0) EXPECT_TRUE(world.client->fsync(file, false).ok());
  });
  std::atomic<uint64_t> wrong = 0;
  threads.emplace_back("reader", [&] {
    uint64_t last_size = 0;
    while (running > 0) {
      const std::string bytes = world.read(file, 0, 3000);
      for (size_t i = 0; i < bytes.size(); ++i) {
        const char mine = static_cast<char>('a' + i / 1000 % kWriters);
        if (bytes[i] != mine && bytes[i] != '\0') ++wrong;
      }
      const uint64_t size = world.stat("f").size;  // never falls back, whatever is being committed
      if (size < last_size) ++wrong;
      last_size = size;
    }
  });
  threads.clear();
  EXPECT_EQ(wrong, 0u);
  world.pump();
  for (int block = 0; block < kWriters * kWrites; ++block) {
    ASSERT_EQ(world.read(file, static_cast<uint64_t>(block) * 1000, 1000),
              std::string(1000, static_cast<char>('a' + block % kWriters)));
  }
  EXPECT_EQ(world.client->status().uncommitted_operations, 0u);
  EXPECT_EQ(world.client->status().buffered_bytes, 0u);
}

// Many small files created, written, closed and removed by several threads while commits run.
TEST(ClientModel, threads_on_many_files_lose_nothing) {
  World world;
  std::atomic<int> running = 3;
  std::vector<Thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back("creator", [&, t] {
      for (int i = 0; i < 200; ++i) {
        const std::string name = std::to_string(t) + "." + std::to_string(i);
        const HandleId file = world.create(name);
        EXPECT_TRUE(world.write(file, 0, name).ok());
        world.close(file);
        EXPECT_EQ(world.stat(name).size, name.size());
        if (i % 5 == 0) {
          EXPECT_TRUE(world.client->unlink(world.who, kRootIno, name).ok());
        }
      }
      --running;
    });
  }
  threads.emplace_back("committer", [&] {
    while (running > 0) {
      EXPECT_TRUE(world.client->committer().commit_everything().ok());
      world.client->committer().sync_engine();
    }
  });
  threads.clear();
  world.pump();
  for (int t = 0; t < 3; ++t) {
    for (int i = 0; i < 200; ++i) {
      const std::string name = std::to_string(t) + "." + std::to_string(i);
      if (i % 5 != 0) {
        ASSERT_EQ(world.content(name), name);
      }
    }
  }
  EXPECT_EQ(world.metadata.conflicts, 0u);
  EXPECT_EQ(world.client->status().uncommitted_operations, 0u);
}

}  // namespace
}  // namespace shoal::client
