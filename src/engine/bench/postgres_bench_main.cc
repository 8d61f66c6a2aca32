// postgres_bench URL FOLDER [CREATES]: creates in one hot directory, as an owner commits them, on
// PostgreSQL and on RocksDB beside it, by the number of creates per commit. Every commit is durable
// when it counts (RocksDB: sync()). Rounds alternate, medians are printed. Not a test;
// run-postgres.sh starts a server and runs it, figures go into docs/performance.md.
#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <map>

#include "base/coding.h"
#include "engine/postgres/postgres_engine.h"
#include "engine/rocksdb/rocksdb_engine.h"
#include "sys/local_fs.h"

namespace shoal::engine {
namespace {

constexpr int kRounds = 5;

std::string numbered_key(char letter, uint64_t number) {
  std::string key(1, letter);
  Encoder(key).be64(number);
  return key;
}

// What an owner puts into a batch: its fence, its replies, the directory once, and per file an
// entry and an inode.
class Directory {
 public:
  explicit Directory(KvEngine& engine) : engine_(engine) {
    Batch batch(++stamp_);
    batch.insert("F", std::string(120, 'f'));
    batch.insert(numbered_key('I', 1), std::string(60, 'i'));
    commit(batch);
    fence_ = directory_ = stamp_;
  }

  void create(int files) {
    Batch batch(++stamp_);
    batch.check("F", fence_);
    batch.insert(numbered_key('N', ++batches_), std::string(static_cast<size_t>(files) * 40, 'r'));
    if (batches_ > 1) batch.remove(numbered_key('N', batches_ - 1));
    batch.update(numbered_key('I', 1), std::string(60, static_cast<char>('a' + stamp_ % 26)),
                 directory_);
    for (int i = 0; i < files; ++i) {
      batch.insert(numbered_key('D', 1) + fmt::format("file-number-{:09}", files_),
                   std::string(9, 'e'));
      batch.insert(numbered_key('I', 2 + files_), std::string(60, 'i'));
      ++files_;
    }
    commit(batch);
    directory_ = stamp_;
  }
  uint64_t files() const { return files_; }

  // Every file that was counted has its entry and its inode, and nothing else is there.
  void verify() { CHECK(count('D') == files_ && count('I') == files_ + 1 && count('N') == 1); }

 private:
  uint64_t count(char letter) {
    uint64_t found = 0;
    std::string from(1, letter);
    const std::string end = prefix_end(from);
    for (bool more = true; more;) {
      const Page page = engine_.scan(nullptr, from, end, kPageEntriesMax).value();
      found += page.items.size();
      more = page.more;
      if (more) from = page.items.back().key + '\0';
    }
    return found;
  }

  void commit(const Batch& batch) {
    CHECK(engine_.commit(batch).value().kind == CommitResult::Kind::kCommitted);
    engine_.sync().value();
  }

  KvEngine& engine_;
  Stamp stamp_ = Stamp{1} << kStampSequenceBits;
  Stamp fence_ = 0;
  Stamp directory_ = 0;
  uint64_t batches_ = 0;
  uint64_t files_ = 0;
};

struct Measured {
  std::vector<double> rates;     // creates a second, one for each round
  std::vector<double> times_ms;  // of single commits
};

double quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(q * static_cast<double>(values.size() - 1))];
}

void measure(Directory& directory, int per_commit, int creates, Measured& into) {
  const SystemClock clock;
  const auto ms = [](std::chrono::nanoseconds t) { return static_cast<double>(t.count()) / 1e6; };
  const auto begun = clock.since_boot();
  const int commits = std::max(creates / per_commit, 20);
  for (int i = 0; i < commits; ++i) {
    const auto before = clock.since_boot();
    directory.create(per_commit);
    into.times_ms.push_back(ms(clock.since_boot() - before));
  }
  into.rates.push_back(commits * per_commit * 1e3 / ms(clock.since_boot() - begun));
}

int run(const std::string& url, const Path& folder, int creates) {
  const SystemClock clock;
  RealFs fs;
  make_dirs(fs, folder).value();
  const auto postgres = open_postgres(url, {.create_if_missing = true}, clock).value();
  const auto rocksdb =
      open_rocksdb(fs, join(folder, "rocksdb"), {.create_if_missing = true}).value();
  Directory on_postgres(*postgres);
  Directory on_rocksdb(*rocksdb);
  std::map<std::pair<int, std::string>, Measured> all;
  for (int round = 0; round < kRounds; ++round) {
    for (const int per_commit : {1, 8, 32, 128}) {
      // A single create is slow enough to need fewer of them.
      const int n = per_commit == 1 ? creates / 8 : creates;
      measure(on_postgres, per_commit, n, all[{per_commit, "PostgreSQL"}]);
      measure(on_rocksdb, per_commit, n, all[{per_commit, "RocksDB"}]);
    }
  }
  on_postgres.verify();
  on_rocksdb.verify();
  fmt::print("{}\n{}\n", postgres->describe(), rocksdb->describe());
  for (const auto& [what, measured] : all) {
    fmt::print(
        "{:>4} creates per commit, {:<10} {:>8.0f} creates/s ({:.0f} … {:.0f}); commit p50 "
        "{:.2f} ms, p99 {:.2f} ms\n",
        what.first, what.second, quantile(measured.rates, 0.5), quantile(measured.rates, 0),
        quantile(measured.rates, 1), quantile(measured.times_ms, 0.5),
        quantile(measured.times_ms, 0.99));
  }
  fmt::print("PostgreSQL: {} files, {:.0f} B each on disk\n", on_postgres.files(),
             static_cast<double>(postgres->disk_bytes().value()) /
                 static_cast<double>(on_postgres.files()));
  return 0;
}

}  // namespace
}  // namespace shoal::engine

int main(int argc, char** argv) {
  if (argc < 3) {
    fmt::print(stderr, "usage: postgres_bench URL FOLDER [CREATES]\n");
    return 2;
  }
  return shoal::engine::run(argv[1], argv[2], argc > 3 ? std::atoi(argv[3]) : 4000);
}
