// for_each over an engine in memory.
#include "engine/for_each.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/limits.h"
#include "engine/memory/memory_engine.h"

namespace shoal::engine {
namespace {

TEST(ForEach, visits_a_range_larger_than_a_page_in_order_until_told_to_stop) {
  const auto engine = make_memory_engine();
  constexpr size_t kKeys = 2 * kPageEntriesMax + 7;
  for (size_t i = 0; i < kKeys; ++i) {
    Batch batch(1 + i);
    batch.insert(fmt::format("k{:05}", i), "v");
    ASSERT_EQ(engine->commit(batch).value().kind, CommitResult::Kind::kCommitted);
  }
  Batch other(9'999);
  other.insert("l", "v");
  ASSERT_EQ(engine->commit(other).value().kind, CommitResult::Kind::kCommitted);
  size_t seen = 0;
  const auto visit = [&](const Item& item) -> Result<Visit> {
    EXPECT_EQ(item.key, fmt::format("k{:05}", seen));
    ++seen;
    return Visit::kContinue;
  };
  for_each_with(*engine, nullptr, "k", visit).value();
  EXPECT_EQ(seen, kKeys);
  seen = 0;
  const auto some = [&](const Item&) -> Result<Visit> {
    return ++seen < kPageEntriesMax + 3 ? Visit::kContinue : Visit::kStop;
  };
  for_each_with(*engine, nullptr, "k", some).value();
  EXPECT_EQ(seen, kPageEntriesMax + 3);
  const auto failing = [&](const Item&) -> Result<Visit> { return Error(EIO); };
  EXPECT_EQ(for_each_with(*engine, nullptr, "k", failing).code(), EIO);
}

}  // namespace
}  // namespace shoal::engine
