// Model test (design §10.2): random operations on the whole stack and on a POSIX file system in
// plain memory; every answer, the whole tree and all bytes are compared, fsck is clean at the end.
//
//   SHOAL_SEED=7 SHOAL_SEEDS=1 SHOAL_OPS=2000 build/dev/tests/model/model_test
//   --gtest_filter=Model.memory
//
// runs one seed again. A failing one is shrunk and printed as the operations that are left.
#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <iostream>

#include "base/log.h"
#include "runner.h"

namespace shoal::model {
namespace {

uint64_t number_or(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

volatile std::sig_atomic_t current_seed = 0;

// A CHECK that fails ends the program: say at least where it was.
void say_seed(int signal) {
  std::fprintf(stderr, "aborted at SHOAL_SEED=%ld\n", static_cast<long>(current_seed));
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

class Model : public testing::Test {
 protected:
  Model() {
    set_log_sink([](LogLevel, std::string_view) {});
    std::signal(SIGABRT, say_seed);
  }
  ~Model() override {
    set_log_sink(nullptr);
    std::signal(SIGABRT, SIG_DFL);
  }

  WorldOptions options(EngineKind engine, uint64_t seed) const {
    WorldOptions options;
    options.behind_a_server = behind_a_server_;
    options.engine = engine;
    options.bucket = seed % 2 == 0 ? BucketKind::kMemory : BucketKind::kFolder;
    options.trash_days = seed % 3 == 0 ? 1 : 0;
    options.segment_bytes = seed % 5 == 0 ? 16 << 10 : 256 << 10;
    options.write_buffer_bytes = 128 << 10;
    return options;
  }
  std::optional<Failure> run(EngineKind engine, uint64_t seed, const std::vector<Op>& ops) {
    return Runner(seed, options(engine, seed), reached_).run(ops);
  }

  // Leaves out as many operations as possible, in ever smaller pieces, while some failure stays.
  std::vector<Op> shrink(EngineKind engine, uint64_t seed, std::vector<Op> ops) {
    const uint64_t tries_max = number_or("SHOAL_SHRINK", 400);
    uint64_t tries = 0;
    for (size_t piece = ops.size() / 2; piece > 0; piece /= 2) {
      for (size_t at = 0; at < ops.size() && tries < tries_max;) {
        std::vector<Op> fewer(ops.begin(), ops.begin() + static_cast<long>(at));
        const size_t end = std::min(ops.size(), at + piece);
        fewer.insert(fewer.end(), ops.begin() + static_cast<long>(end), ops.end());
        ++tries;
        if (const auto failure = run(engine, seed, fewer)) {
          fewer.resize(std::min(fewer.size(), failure->at + 1));
          ops = std::move(fewer);
        } else {
          at += piece;
        }
      }
    }
    return ops;
  }

  void run_seeds(EngineKind engine, std::string_view name) {
    const uint64_t first = number_or("SHOAL_SEED", 1);
    const uint64_t seeds = number_or("SHOAL_SEEDS", 12);
    const size_t count = number_or("SHOAL_OPS", 800);
    std::cout << seeds << " seeds from SHOAL_SEED=" << first << ", " << count << " operations each"
              << std::endl;
    for (uint64_t seed = first; seed < first + seeds; ++seed) {
      current_seed = static_cast<std::sig_atomic_t>(seed);
      std::vector<Op> ops = random_ops(seed, count);
      std::optional<Failure> failure = run(engine, seed, ops);
      if (!failure) continue;
      ops.resize(std::min(ops.size(), failure->at + 1));
      ops = shrink(engine, seed, std::move(ops));
      const auto again = run(engine, seed, ops);
      std::string left;
      for (const Op& op : ops) left += "\n  " + to_string(op);
      FAIL() << "seed " << seed << ", operation " << failure->at << ": " << failure->what
             << "\nshrunk: " << (again ? again->what : "does not fail again") << left
             << "\nagain: SHOAL_SEED=" << seed << " SHOAL_SEEDS=1 SHOAL_OPS=" << count
             << " build/dev/tests/model/model_test --gtest_filter=Model." << name;
    }
    say_reached();
  }

  // A run that did not get everywhere does not count, unless it was asked to be short.
  void say_reached() {
    std::cout << reached_.operations << " operations;";
    for (const OpKind kind : all_kinds()) {
      const uint64_t times = reached_.went_well[static_cast<size_t>(kind)];
      std::cout << " " << to_string(kind) << " " << times;
      if (reached_.operations > 5'000) {
        EXPECT_GT(times, 0u) << to_string(kind) << " never went well";
      }
    }
    std::cout << "; refused " << reached_.refused << ", records replayed " << reached_.replayed
              << ", segments freed " << reached_.segments_freed << ", extents moved "
              << reached_.extents_moved << ", bytes from the store " << reached_.bytes_from_store
              << ", from the disk cache " << reached_.bytes_from_cache
              << ", segments of large writers " << reached_.large_segments << std::endl;
    if (reached_.operations <= 5'000) return;
    // (On a shared volume every close commits: nothing is left to replay.)
    if (!behind_a_server_) {
      EXPECT_GT(reached_.replayed, 0u);
    }
    for (const uint64_t reached :
         {reached_.refused, reached_.segments_freed, reached_.extents_moved,
          reached_.bytes_from_store, reached_.bytes_from_cache, reached_.large_segments}) {
      EXPECT_GT(reached, 0u);
    }
  }

  bool behind_a_server_ = false;
  Reached reached_;
};

TEST_F(Model, memory) { run_seeds(EngineKind::kMemory, "memory"); }
TEST_F(Model, behind_a_server) {
  behind_a_server_ = true;
  run_seeds(EngineKind::kMemory, "behind_a_server");
}
TEST_F(Model, rocksdb) { run_seeds(EngineKind::kRocksdb, "rocksdb"); }

}  // namespace
}  // namespace shoal::model
