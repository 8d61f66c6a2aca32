// A group commit engine over the memory engine, whose groups travel when the test lets them.
#pragma once

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

#include "base/log.h"
#include "engine/faulty/faulty_engine.h"
#include "engine/group_commit.h"
#include "engine/memory/memory_engine.h"
#include "sim/manual_executor.h"

namespace shoal::engine {

inline std::string number_key(uint64_t n) { return fmt::format("N{:08}", n); }

struct GroupWorld {
  GroupWorld() {
    set_log_sink([](LogLevel, std::string_view) {});  // thousands of injected faults
    faulty = make_faulty_engine(*memory, [this](Call call, uint64_t) {
      if (call != Call::kCommit) return Fault::kNone;
      ++commits;
      return decide ? decide() : Fault::kNone;
    });
    engine = make_group_commit(*faulty, executor, {number_key, 1});
  }

  ~GroupWorld() { set_log_sink(nullptr); }

  Stamp commit(const std::function<void(Batch&)>& fill) {
    Batch batch(++stamp);
    fill(batch);
    const Result<CommitResult> result = engine->commit(batch);
    EXPECT_TRUE(result.ok() && result->kind == CommitResult::Kind::kCommitted);
    return stamp;
  }
  std::string shown(std::string_view key) {
    const auto found = engine->get(nullptr, key).value();
    return found ? fmt::format("{}@{}", found->value, found->stamp) : "absent";
  }
  int64_t counter(std::string_view key) { return read_counter(*engine, nullptr, key).value(); }

  sim::FakeClock clock;
  sim::ManualExecutor executor{clock};
  std::unique_ptr<KvEngine> memory = make_memory_engine();
  std::unique_ptr<KvEngine> faulty;
  int commits = 0;
  std::function<Fault()> decide;
  std::unique_ptr<GroupCommit> engine;
  Stamp stamp = 0;
};

}  // namespace shoal::engine
