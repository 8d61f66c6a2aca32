// engine_bench [FOLDER] [FILES]: what the RocksDB engine costs, with its files through our LocalFs
// and through RocksDB's own, in alternating rounds. Not a test; figures go into
// docs/performance.md.
#include <fmt/core.h>
#include <rocksdb/env.h>
#include <rocksdb/file_system.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>

#include "base/coding.h"
#include "engine/rocksdb/database.h"
#include "engine/rocksdb/rocksdb_engine.h"
#include "sys/clock.h"
#include "sys/thread.h"

namespace shoal::engine {
namespace {

constexpr int kRounds = 5;
constexpr int kTurns =
    20;  // of creates in a round: short, so that other work on the machine hits both alike

std::string inode_key(uint64_t ino) {
  std::string key = "I";
  Encoder(key).be64(ino);
  return key;
}

std::string entry_key(uint64_t parent, uint64_t n) {
  std::string key = "D";
  Encoder(key).be64(parent);
  return key + fmt::format("file-number-{:09}", n);
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

uint64_t resident_kib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::strtoull(line.c_str() + 6, nullptr, 10);
  }
  return 0;
}

struct Cost {
  double wall_us = 0;
  double cpu_us = 0;
};

Cost measure(uint64_t n, const std::function<void(uint64_t)>& body) {
  const SystemClock clock;
  const auto begun = clock.since_boot();
  const double cpu = cpu_seconds();
  for (uint64_t i = 0; i < n; ++i) body(i);
  const double wall = std::chrono::duration<double>(clock.since_boot() - begun).count();
  const auto count = static_cast<double>(n);
  return {wall * 1e6 / count, (cpu_seconds() - cpu) * 1e6 / count};
}

// Creates files as the owner does: one batch updates the directory's inode and inserts entry and
// inode.
class Volume {
 public:
  Volume(std::string name, RealFs& fs, Path folder, std::unique_ptr<rocksdb::Env> env)
      : name_(std::move(name)), fs_(fs), folder_(std::move(folder)) {
    RocksdbOptions options;
    options.create_if_missing = true;
    engine_ = open_rocksdb_on(fs_, folder_, options, std::move(env)).value();
    Batch batch(++stamp_);
    batch.insert(inode_key(1), std::string(60, 'i'));
    engine_->commit(batch).value();
    parent_ = stamp_;
  }
  ~Volume() {
    engine_.reset();
    remove_tree(fs_, folder_).ignore("scratch");
  }

  void create() {
    Batch batch(++stamp_);
    batch.update(inode_key(1), std::string(60, static_cast<char>('a' + stamp_ % 26)), parent_);
    batch.insert(entry_key(1, files_), std::string(9, 'e'));
    std::string inode(60, 'i');
    for (size_t i = 0; i < 12; ++i) inode[i] = static_cast<char>(files_ * 2654435761u >> (i * 2));
    batch.insert(inode_key(2 + files_), std::move(inode));
    ++files_;
    CHECK(engine_->commit(batch)->kind == CommitResult::Kind::kCommitted);
    parent_ = stamp_;
  }

  uint64_t random_file() {
    random_ = random_ * 6364136223846793005ull + 1442695040888963407ull;
    return (random_ >> 20) % files_;
  }

  void note(const std::string& what, Cost cost) { costs_[what].push_back(cost); }
  void print() const {
    for (const auto& [what, costs] : costs_) {
      std::vector<double> wall;
      std::vector<double> cpu;
      for (const Cost& cost : costs) {
        wall.push_back(cost.wall_us);
        cpu.push_back(cost.cpu_us);
      }
      std::sort(wall.begin(), wall.end());
      std::sort(cpu.begin(), cpu.end());
      fmt::print("{:<10} {:<24} median {:8.2f} us wall {:8.2f} us CPU (wall {:.2f} … {:.2f})\n",
                 name_, what, wall[wall.size() / 2], cpu[cpu.size() / 2], wall.front(),
                 wall.back());
    }
  }

  KvEngine& engine() { return *engine_; }
  uint64_t files() const { return files_; }
  const std::string& name() const { return name_; }

 private:
  const std::string name_;
  RealFs& fs_;
  const Path folder_;
  std::unique_ptr<KvEngine> engine_;
  Stamp stamp_ = Stamp{1} << kStampSequenceBits;
  Stamp parent_ = 0;
  uint64_t files_ = 0;
  uint64_t random_ = 1;
  std::map<std::string, std::vector<Cost>> costs_;
};

void reads(Volume& volume, uint64_t n) {
  KvEngine& engine = volume.engine();
  volume.note("get present", measure(n, [&](uint64_t) {
                CHECK(engine.get(nullptr, inode_key(2 + volume.random_file()))->has_value());
              }));
  volume.note("get absent", measure(n, [&](uint64_t i) {
                CHECK(!engine.get(nullptr, entry_key(7, i))->has_value());
              }));
  volume.note("get_many of 2", measure(n, [&](uint64_t) {
                const uint64_t file = volume.random_file();
                CHECK(engine.get_many(nullptr, {entry_key(1, file), inode_key(2 + file)}).ok());
              }));
  volume.note("scan of 1000", measure(20, [&](uint64_t) {
                const uint64_t file = volume.random_file();
                CHECK(engine.scan(nullptr, entry_key(1, file), "", kPageEntriesMax).ok());
              }));
}

void durable_creates(Volume& volume, uint64_t n) {
  volume.note("create + sync", measure(n, [&](uint64_t) {
                volume.create();
                volume.engine().sync().value();
              }));
}

int run(const Path& folder, uint64_t files) {
  RealFs fs;
  make_dirs(fs, folder).value();
  Volume ours("LocalFs", fs, join(folder, "ours"), nullptr);
  Volume theirs("default", fs, join(folder, "theirs"),
                rocksdb::NewCompositeEnv(rocksdb::FileSystem::Default()));
  for (int round = 0; round < kRounds; ++round) {
    for (int turn = 0; turn < kTurns; ++turn) {
      for (Volume* volume : {&ours, &theirs}) {
        volume->note("create",
                     measure(files / kRounds / kTurns, [&](uint64_t) { volume->create(); }));
      }
    }
    for (Volume* volume : {&ours, &theirs}) {
      reads(*volume, 20'000);
      durable_creates(*volume, 500);
    }
  }
  ours.print();
  theirs.print();
  for (Volume* volume : {&ours, &theirs}) {
    fmt::print("{:<10} {} files, {:.1f} B each on disk\n", volume->name(), volume->files(),
               static_cast<double>(volume->engine().disk_bytes().value()) /
                   static_cast<double>(volume->files()));
  }
  fmt::print("resident: {} MiB with both open\n", resident_kib() >> 10);
  return 0;
}

}  // namespace
}  // namespace shoal::engine

int main(int argc, char** argv) {
  const std::string folder = argc > 1 ? argv[1] : "/var/tmp/shoal-engine-bench";
  const uint64_t files = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 200'000;
  return shoal::engine::run(folder, files);
}
