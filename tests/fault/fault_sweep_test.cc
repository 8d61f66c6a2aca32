// Fault sweep (design §10.6): one scenario through the whole stack is run once to count its calls
// of the bucket, the engine and the disk; then once for every such call with that one failing, and
// once with that one and all later ones failing. Every injected fault must reach the caller as an
// error, or be retried, or end the process (a failed sync of the engine). Then the faults are over,
// the volume is opened again, and
//
//   what was acknowledged is there: each name and file as the last acknowledged step left it, or as
//   a later step, that was answered with an error, would have; fsck finds nothing; gc and writing
//   work.
//
//   SHOAL_FAULT=disk:117:once build/dev/tests/fault/fault_test --gtest_filter='*rocksdb_disk'
//
// runs one fault again. SHOAL_FAULT_STEP=7 tries every seventh call only.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <set>

#include "base/log.h"
#include "world.h"

namespace shoal::fault {
namespace {

using namespace std::chrono_literals;
using meta::Caller;

const Caller kRoot{.kernel_checked = true};

constexpr size_t kPieceBytes = 92'000;  // written and journaled at once
constexpr size_t kFileBytesMax = 4 * kPieceBytes;

enum class Where { kStore, kEngine, kDisk };
enum class Times { kOnce, kForEver };

std::string to_string(Where where) {
  return where == Where::kStore ? "store" : where == Where::kEngine ? "engine" : "disk";
}

struct Fault {
  Where where = Where::kDisk;
  uint64_t n = 0;  // from 1; 0: none
  Times times = Times::kOnce;
  uint64_t kind = 0;  // which of the faults that the place has
  std::string text() const {
    return fmt::format("{}:{}:{}:{}", to_string(where), n,
                       times == Times::kOnce ? "once" : "forever", kind);
  }
};

// What a path may be: absent (nullopt), or a file with these bytes. After an acknowledged step only
// one; a step that failed leaves both what was and what would have been.
using May = std::set<std::optional<std::string>>;

class Scenario {
 public:
  explicit Scenario(const Fault& fault, model::EngineKind engine)
      : fault_(fault), world_(5, options(engine)) {
    world_.on_store_call = [this](object::Call call, const std::string&) {
      if (!due(Where::kStore)) return object::Fault::kNone;
      if (call == object::Call::kGet) {
        return fault_.kind % 3 == 0   ? object::Fault::kErrorBefore
               : fault_.kind % 3 == 1 ? object::Fault::kShort
                                      : object::Fault::kCorrupt;
      }
      return fault_.kind % 2 == 0 ? object::Fault::kErrorBefore : object::Fault::kErrorAfter;
    };
    world_.on_engine_call = [this](engine::Call call) {
      if (!due(Where::kEngine)) return engine::Fault::kNone;
      if (call != engine::Call::kCommit) return engine::Fault::kError;
      return fault_.kind % 3 == 0   ? engine::Fault::kError
             : fault_.kind % 3 == 1 ? engine::Fault::kUnknownApplied
                                    : engine::Fault::kUnknownDropped;
    };
    world_.on_disk_call = [this](sim::FsCall call, const Path& path) -> sim::FaultyFs::Fault {
      if (!due(Where::kDisk)) return {};
      if (std::getenv("SHOAL_VERBOSE") != nullptr)
        std::cerr << "  " << sim::to_string(call) << " " << path << std::endl;
      using Effect = sim::FaultyFs::Fault::Effect;
      if (call == sim::FsCall::kWrite && fault_.kind % 3 == 1) return {EIO, Effect::kPartial, 100};
      if (fault_.kind % 3 == 2)
        return {call == sim::FsCall::kWrite ? ENOSPC : EIO, Effect::kNone, 0};
      return {EIO, Effect::kNone, 0};
    };
  }

  uint64_t calls(Where where) const { return calls_[static_cast<size_t>(where)]; }
  bool struck() const { return struck_; }
  bool heard() const { return heard_; }

  void run() {
    counting_ = false;
    ASSERT_TRUE(world_.start().ok());  // the first is without faults: there is no volume yet
    counting_ = true;
    work();
    // The process may still run: an orderly end with the fault on, or what is left of it.
    if (world_.running() && !world_.process_ended() && fault_.kind % 2 == 0) {
      world_.stop();
    } else {
      world_.kill();
    }
    if (!struck_ && fault_.n > 0) reopen_with_fault();
    counting_ = false;
    world_.on_store_call = nullptr;
    world_.on_engine_call = nullptr;
    world_.on_disk_call = nullptr;
    const Status started = world_.start();
    ASSERT_TRUE(started.ok()) << started.error().to_string();
    verify();
  }

 private:
  static model::WorldOptions options(model::EngineKind engine) {
    model::WorldOptions options;
    options.engine = engine;
    options.bucket = model::BucketKind::kFolder;
    options.segment_bytes = 16 << 10;
    options.write_buffer_bytes = 0;
    return options;
  }

  bool due(Where where) {
    if (!counting_) return false;
    MutexLock lock(mutex_);
    const uint64_t n = ++calls_[static_cast<size_t>(where)];
    if (where != fault_.where || fault_.n == 0) return false;
    if (fault_.times == Times::kOnce ? n != fault_.n : n < fault_.n) return false;
    struck_ = true;
    return true;
  }

  // --- what must be there ---
  bool alive() const { return world_.running() && !world_.process_ended(); }
  // The step set `path` to `to`.
  void set(const std::string& path, std::optional<std::string> to, bool acknowledged) {
    if (acknowledged) {
      may_[path] = {std::move(to)};
    } else {
      may_[path].insert(std::move(to));
    }
  }
  bool went_well(const Status& status) {
    if (!status.ok()) heard_ = true;
    return status.ok() && alive();
  }
  template <typename T>
  bool went_well(const Result<T>& result) {
    if (!result.ok()) heard_ = true;
    return result.ok() && alive();
  }

  // Creates (or opens) and writes; acknowledged once `synced`: by fsync, or by close.
  bool put(Ino parent, const std::string& folder, const std::string& name, const std::string& bytes,
           bool synced) {
    if (!alive()) return false;
    const std::string path = folder + name;
    const auto made =
        world_.client().create(kRoot, parent, name, 0644, {.read = true, .write = true}, false);
    // Any prefix of create, write, close may be there when one of them fails.
    if (!may_.contains(path)) may_[path] = {std::nullopt};
    may_[path].insert("");
    may_[path].insert(bytes);
    for (size_t at = kPieceBytes; at < bytes.size(); at += kPieceBytes)
      may_[path].insert(bytes.substr(0, at));
    if (!went_well(made)) return false;
    bool good = true;
    for (size_t at = 0; at < bytes.size() && good; at += kPieceBytes) {
      const std::string piece = bytes.substr(at, kPieceBytes);
      const auto written = world_.client().write(kRoot, made->handle, at, as_bytes(piece), false);
      good = went_well(written) && written->bytes == piece.size();
      if (good && at + kPieceBytes < bytes.size())
        good = went_well(world_.client().flush(made->handle, 1));
    }
    if (synced) {
      good &= went_well(world_.client().fsync(made->handle, false));
    } else {
      good &= went_well(world_.client().flush(made->handle, 1));
    }
    world_.client().release(made->handle).ignore("close was heard already");
    if (good) set(path, bytes, true);
    return good;
  }

  void work() {
    const auto folder = world_.client().mkdir(kRoot, kRootIno, "d", 0755);
    if (!went_well(folder)) return;
    const Ino d = folder->ino;
    const std::string large(90'000, 'L');
    put(d, "d/", "small", "small bytes", true);
    put(d, "d/", "large", large, false);
    put(d, "d/", "stream", std::string(3 * kPieceBytes, 's'), true);  // of a large writer
    put(d, "d/", "new", "the new bytes", false);
    if (alive()) {
      const bool replaced = went_well(
          world_.client().rename(kRoot, d, "new", d, "small", meta::RenameMode::kReplace));
      if (may_.contains("d/new")) {
        for (const auto& state : May(may_["d/new"])) {
          if (state) may_["d/small"].insert(state);
        }
      }
      if (replaced && may_["d/new"].size() == 1) may_["d/small"] = may_["d/new"];
      set("d/new", std::nullopt, replaced);
    }
    put(d, "d/", "gone", std::string(5'000, 'g'), true);
    if (alive()) set("d/gone", std::nullopt, went_well(world_.client().unlink(kRoot, d, "gone")));
    if (alive()) went_well(world_.client().fsync_dir(d));
    store();
    put(d, "d/", "late", std::string(3'000, 'l'), false);
    store();
    if (alive()) went_well(world_.collect_garbage());
    read_back(d, "small");
    read_back(d, "large");
    read_back(d, "stream");
  }

  // Into the bucket, as far as it gets on: uploads are tried again for ever, so time goes on for a
  // while.
  void store() {
    for (int i = 0; i < 3 && alive(); ++i) went_well(world_.store_everything());
  }

  // Right bytes or an error, never other bytes (I3, I4).
  void read_back(Ino parent, const std::string& name) {
    if (!alive()) return;
    const auto attr = world_.client().lookup(kRoot, parent, name);
    if (!went_well(attr)) return;
    const auto opened = world_.client().open(kRoot, attr->ino, {.read = true});
    if (!went_well(opened)) return;
    std::string bytes(kFileBytesMax, '?');
    const auto got = world_.client().read(opened->handle, 0, as_mutable_bytes(bytes));
    world_.client().release(opened->handle).ignore("only read");
    if (!went_well(got)) return;
    bytes.resize(*got);
    EXPECT_TRUE(may_["d/" + name].contains(bytes))
        << "d/" << name << " reads as other bytes, " << bytes.size();
  }

  void reopen_with_fault() {
    const Status started = world_.start();
    if (!started.ok()) {
      heard_ = true;
      return;
    }
    const auto attr = world_.client().lookup(kRoot, kRootIno, "d");
    if (went_well(attr)) {
      read_back(attr->ino, "small");
      read_back(attr->ino, "large");
    }
    world_.kill();
  }

  void verify() {
    const auto folder = world_.client().lookup(kRoot, kRootIno, "d");
    for (const auto& [path, may] : may_) {
      std::optional<std::string> found;
      const auto attr = folder.ok() ? world_.client().lookup(kRoot, folder->ino, path.substr(2))
                                    : Result<client::Attr>(folder.error());
      if (attr.ok()) {
        const auto opened = world_.client().open(kRoot, attr->ino, {.read = true});
        ASSERT_TRUE(opened.ok()) << path << ": " << opened.error().to_string();
        std::string bytes(kFileBytesMax, '?');
        const auto got = world_.client().read(opened->handle, 0, as_mutable_bytes(bytes));
        world_.client().release(opened->handle).value();
        ASSERT_TRUE(got.ok()) << path << ": " << got.error().to_string();
        bytes.resize(*got);
        found = bytes;
      } else {
        EXPECT_EQ(attr.code(), ENOENT) << path;
      }
      std::string wanted;
      for (const auto& state : may)
        wanted += state ? fmt::format(" {} bytes", state->size()) : " absent";
      EXPECT_TRUE(may.contains(found))
          << path << " is " << (found ? fmt::format("{} bytes", found->size()) : "absent")
          << ", must be one of:" << wanted;
    }
    if (::testing::Test::HasFailure()) return;
    const Ino d = folder.ok() ? folder->ino : kRootIno;
    may_.clear();
    EXPECT_TRUE(put(d, "d/", "afterwards", "works", true));
    EXPECT_TRUE(world_.store_everything().ok());
    const auto collected = world_.collect_garbage();
    EXPECT_TRUE(collected.ok()) << collected.error().to_string();
    const auto problems = world_.fsck();
    EXPECT_TRUE(problems.empty()) << problems.front();
  }

  const Fault fault_;
  bool counting_ = false;
  mutable Mutex mutex_;
  std::array<uint64_t, 3> calls_ = {};
  std::atomic<bool> struck_ = false;
  bool heard_ = false;
  std::map<std::string, May> may_;
  model::World world_;
};

class FaultSweep : public testing::TestWithParam<std::tuple<model::EngineKind, Where>> {
 protected:
  FaultSweep() {
    set_log_sink([](LogLevel, std::string_view) {});
  }
  ~FaultSweep() override { set_log_sink(nullptr); }
};

uint64_t number_or(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

TEST_P(FaultSweep, every_fault_is_heard_or_retried_and_loses_nothing_acknowledged) {
  const auto [engine, where] = GetParam();
  Scenario counting({where, 0}, engine);
  counting.run();
  ASSERT_FALSE(HasFailure());
  const uint64_t calls = counting.calls(where);
  const uint64_t step = number_or("SHOAL_FAULT_STEP", 1);
  ASSERT_GT(calls, 4u);
  const char* only = std::getenv("SHOAL_FAULT");
  uint64_t runs = 0, struck = 0, heard = 0;
  for (const Times times : {Times::kOnce, Times::kForEver}) {
    for (uint64_t kind = 0; kind < 3; ++kind) {
      for (uint64_t n = 1 + kind % step; n <= calls; n += step) {
        const Fault fault{where, n, times, kind};
        if (only != nullptr && !fault.text().starts_with(only)) continue;
        SCOPED_TRACE("SHOAL_FAULT=" + fault.text());
        if (std::getenv("SHOAL_VERBOSE") != nullptr) std::cerr << fault.text() << std::endl;
        Scenario scenario(fault, engine);
        scenario.run();
        ++runs;
        struck += scenario.struck() ? 1 : 0;
        heard += scenario.heard() ? 1 : 0;
        if (HasFailure()) return;
      }
    }
  }
  std::cout << to_string(engine) << ", " << to_string(where) << ": " << calls << " calls, " << runs
            << " runs, " << struck << " met the fault, in " << heard << " the caller heard of it"
            << std::endl;
  if (only == nullptr) {
    EXPECT_GT(struck, runs * 8 / 10);
    EXPECT_GT(heard, 0u);
  }
}

// A crash between "dying" and its stamp: W must be looked at again, and the next run must get on.
TEST(FaultInGc, a_segment_that_a_crash_left_dying_is_freed_by_the_next_run) {
  set_log_sink([](LogLevel, std::string_view) {});
  for (int nth = 1; nth <= 4; ++nth) {
    SCOPED_TRACE(nth);
    model::World world(3, {});
    world.start().value();
    const auto file = world.client()
                          .create(kRoot, kRootIno, "f", 0644, {.read = true, .write = true}, true)
                          .value();
    world.client().write(kRoot, file.handle, 0, as_bytes("bytes"), false).value();
    world.client().flush(file.handle, 1).value();
    world.client().release(file.handle).value();
    world.store_everything().value();
    world.client().unlink(kRoot, kRootIno, "f").value();
    world.store_everything().value();
    int commits = 0;
    world.on_engine_call = [&](engine::Call call) {
      return call == engine::Call::kCommit && ++commits >= nth ? engine::Fault::kError
                                                               : engine::Fault::kNone;
    };
    const auto first = world.collect_garbage();
    EXPECT_EQ(first.ok(), commits < nth);
    world.kill();
    world.on_engine_call = nullptr;
    world.start().value();
    const auto second = world.collect_garbage();
    ASSERT_TRUE(second.ok()) << second.error().to_string();
    EXPECT_EQ((first.ok() ? first->removed_segments : 0) + second->removed_segments, 1u);
    EXPECT_TRUE(world.fsck().empty());
  }
  set_log_sink(nullptr);
}

INSTANTIATE_TEST_SUITE_P(
    Whole, FaultSweep,
    testing::Combine(testing::Values(model::EngineKind::kMemory, model::EngineKind::kRocksdb),
                     testing::Values(Where::kStore, Where::kEngine, Where::kDisk)),
    [](const auto& where) {
      return to_string(std::get<0>(where.param)) + "_" + to_string(std::get<1>(where.param));
    });

}  // namespace
}  // namespace shoal::fault
