#include "metasvc/election.h"

#include <gtest/gtest.h>

#include "engine/faulty/faulty_engine.h"
#include "engine/memory/memory_engine.h"
#include "sim/fake_clock.h"
#include "sim/seeded_random.h"

namespace shoal::metasvc {
namespace {

using namespace std::chrono_literals;

struct ElectionTest : ::testing::Test {
  Election make(const char* address) {
    return Election(*faulty, clock, {random.uuid(), address, 4s});
  }
  bool elected(Election& one) {
    const Result<bool> told = one.step();
    return told.ok() && *told;
  }
  // A second of it, four steps.
  void live(Election& one) {
    for (int i = 0; i < 4; ++i) {
      clock.advance(250ms);
      (void)one.step().code();
    }
  }

  sim::FakeClock clock;
  sim::SeededRandom random{1};
  std::unique_ptr<engine::KvEngine> memory = engine::make_memory_engine();
  std::function<engine::Fault(engine::Call)> decide;
  std::unique_ptr<engine::KvEngine> faulty = engine::make_faulty_engine(
      *memory,
      [this](engine::Call call, uint64_t) { return decide ? decide(call) : engine::Fault::kNone; });
};

TEST_F(ElectionTest, the_first_one_owns_the_volume_and_the_second_stands_by) {
  Election one = make("one"), two = make("two");
  EXPECT_TRUE(elected(one));
  for (int i = 0; i < 20; ++i) {
    live(one);
    EXPECT_FALSE(elected(two));
    EXPECT_TRUE(one.in_term());
    EXPECT_FALSE(two.in_term());
  }
  EXPECT_EQ(two.seen()->address, "one");
}

TEST_F(ElectionTest, a_silent_owner_is_replaced_after_a_whole_term_and_not_before) {
  Election one = make("one"), two = make("two");
  ASSERT_TRUE(elected(one));
  EXPECT_FALSE(elected(two));
  clock.advance(3900ms);
  EXPECT_FALSE(elected(two));
  clock.advance(200ms);
  EXPECT_TRUE(elected(two));
  EXPECT_FALSE(elected(one));
  EXPECT_FALSE(one.in_term());
  EXPECT_EQ(one.seen()->address, "two");
}

// Its own clock tells it so before anybody else may take the volume.
TEST_F(ElectionTest, an_owner_that_could_not_write_stops_answering_in_time) {
  Election one = make("one"), two = make("two");
  ASSERT_TRUE(elected(one));
  EXPECT_FALSE(elected(two));
  decide = [](engine::Call call) {
    return call == engine::Call::kCommit ? engine::Fault::kError : engine::Fault::kNone;
  };
  live(one);
  live(one);
  EXPECT_TRUE(one.in_term());
  live(one);
  EXPECT_FALSE(one.in_term());
  decide = nullptr;
  EXPECT_FALSE(elected(two)) << "its term is not over yet";
  EXPECT_TRUE(elected(one)) << "nobody else came";
  EXPECT_TRUE(one.in_term());
}

TEST_F(ElectionTest, an_owner_that_goes_in_good_order_is_replaced_at_once) {
  Election one = make("one"), two = make("two");
  ASSERT_TRUE(elected(one));
  EXPECT_FALSE(elected(two));
  one.release();
  EXPECT_FALSE(one.in_term());
  EXPECT_TRUE(elected(two));
}

TEST_F(ElectionTest, of_two_that_take_it_at_once_one_gets_it) {
  Election one = make("one"), two = make("two"), old = make("old");
  ASSERT_TRUE(elected(old));
  EXPECT_FALSE(elected(one));
  EXPECT_FALSE(elected(two));
  clock.advance(5s);
  EXPECT_NE(elected(one), elected(two));
}

TEST_F(ElectionTest, a_write_whose_reply_was_lost_does_not_cost_the_owner_its_volume) {
  Election one = make("one"), two = make("two");
  ASSERT_TRUE(elected(one));
  EXPECT_FALSE(elected(two));
  decide = [](engine::Call call) {
    return call == engine::Call::kCommit ? engine::Fault::kUnknownApplied : engine::Fault::kNone;
  };
  clock.advance(1s);
  EXPECT_FALSE(one.step().ok());
  decide = nullptr;
  EXPECT_TRUE(elected(one));
  EXPECT_TRUE(one.in_term());
}

// It may have been written by a process that is gone: whoever it was, a term has to pass.
TEST_F(ElectionTest, a_take_over_whose_reply_was_lost_is_tried_again_a_term_later) {
  Election one = make("one");
  decide = [](engine::Call call) {
    return call == engine::Call::kCommit ? engine::Fault::kUnknownApplied : engine::Fault::kNone;
  };
  EXPECT_FALSE(one.step().ok());
  decide = nullptr;
  EXPECT_FALSE(elected(one));
  EXPECT_FALSE(one.in_term());
  clock.advance(5s);
  EXPECT_TRUE(elected(one));
}

}  // namespace
}  // namespace shoal::metasvc
