#include "engine/contract/history.h"

#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include "engine/memory/memory_engine.h"

namespace shoal::engine {
namespace {

// The oracle of the crash tests has to notice what it is there for.
TEST(HistoryTest, holds_on_an_engine_that_loses_nothing) {
  const auto engine = make_memory_engine();
  History history;
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(history.advance(*engine));
  history.verify(*engine, true);
}

// Commits `from` … `to` go nowhere, silently.
History run_dropping(KvEngine& engine, uint64_t from, uint64_t to) {
  History history;
  const auto silent = make_memory_engine();
  for (uint64_t i = 1; i <= 20; ++i) {
    const bool lost = i >= from && i <= to;
    if (lost) {
      history.advance(*silent);
    } else {
      history.advance(engine);
    }
    if (i == 10) {
      EXPECT_TRUE(history.sync(engine));
    }
  }
  return history;
}

TEST(HistoryTest, a_lost_tail_is_fine_unless_it_was_synced) {
  const auto engine = make_memory_engine();
  run_dropping(*engine, 11, 20).verify(*engine);
  EXPECT_NONFATAL_FAILURE(
      {
        const auto worse = make_memory_engine();
        run_dropping(*worse, 10, 20).verify(*worse);
      },
      "what was synced is lost");
}

TEST(HistoryTest, a_hole_is_noticed) {
  testing::TestPartResultArray failures;
  {
    testing::ScopedFakeTestPartResultReporter reporter(&failures);
    const auto engine = make_memory_engine();
    run_dropping(*engine, 12, 13).verify(*engine);
  }
  EXPECT_GT(failures.size(), 0);
}

}  // namespace
}  // namespace shoal::engine
