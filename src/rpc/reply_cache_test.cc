#include "rpc/reply_cache.h"

#include <gtest/gtest.h>

namespace shoal::rpc {
namespace {

using Kind = ReplyCache::Kind;

struct ReplyCacheTest : ::testing::Test {
  Result<ReplyCache::Begun> begin(uint32_t slot, uint64_t sequence) {
    return cache.begin(slot, sequence, [this](const KeptReply& reply) { told += reply.body; });
  }
  void finish(uint32_t slot, uint64_t sequence, KeptReply reply) {
    for (const auto& tell : cache.finish(slot, sequence, reply)) tell(reply);
  }
  ReplyCache cache{4};
  std::string told;
};

TEST_F(ReplyCacheTest, a_retry_after_the_reply_gets_the_kept_one) {
  EXPECT_EQ(begin(0, 1)->kind, Kind::kNew);
  finish(0, 1, {0, "made"});
  EXPECT_EQ(told, "made");
  const auto again = begin(0, 1).value();
  EXPECT_EQ(again.kind, Kind::kDone);
  EXPECT_EQ(again.reply, (KeptReply{0, "made"}));
}

TEST_F(ReplyCacheTest, a_kept_error_is_the_answer_too) {
  ASSERT_EQ(begin(0, 1)->kind, Kind::kNew);
  finish(0, 1, {EEXIST, "there is one"});
  EXPECT_EQ(begin(0, 1)->reply.code, EEXIST);
}

TEST_F(ReplyCacheTest, a_retry_joins_what_is_running_and_all_are_told_once) {
  ASSERT_EQ(begin(2, 1)->kind, Kind::kNew);
  EXPECT_EQ(begin(2, 1)->kind, Kind::kRunning);
  EXPECT_EQ(begin(2, 1)->kind, Kind::kRunning);
  EXPECT_EQ(cache.running(), 1u);
  finish(2, 1, {0, "x"});
  EXPECT_EQ(told, "xxx");
  EXPECT_EQ(cache.running(), 0u);
}

TEST_F(ReplyCacheTest, too_many_retries_of_one_request_are_refused) {
  ASSERT_EQ(begin(0, 1)->kind, Kind::kNew);
  for (size_t i = 0; i < kRetriesJoinedMax; ++i) EXPECT_EQ(begin(0, 1)->kind, Kind::kRunning);
  EXPECT_EQ(begin(0, 1).code(), EAGAIN);
}

TEST_F(ReplyCacheTest, the_next_sequence_acknowledges_the_one_before) {
  ASSERT_EQ(begin(0, 1)->kind, Kind::kNew);
  finish(0, 1, {0, std::string(1000, 'x')});
  EXPECT_EQ(cache.reply_bytes(), 1000u);
  EXPECT_EQ(begin(0, 2)->kind, Kind::kNew);
  EXPECT_EQ(cache.reply_bytes(), 0u);
  EXPECT_EQ(begin(0, 1).code(), EPROTO);  // late, from a network that repeats
}

TEST_F(ReplyCacheTest, what_breaks_the_order_of_a_slot_is_refused_and_changes_nothing) {
  ASSERT_EQ(begin(1, 1)->kind, Kind::kNew);
  struct Row {
    const char* what;
    uint32_t slot;
    uint64_t sequence;
  };
  for (const Row& row : {Row{"no such slot", 4, 1}, Row{"sequence 0", 0, 0}, Row{"a gap", 0, 2},
                         Row{"too old", 1, 0}, Row{"the next while this one runs", 1, 2}}) {
    EXPECT_EQ(begin(row.slot, row.sequence).code(), EPROTO) << row.what;
  }
  finish(1, 1, {0, "y"});
  EXPECT_EQ(told, "y");
  EXPECT_EQ(begin(1, 3).code(), EPROTO);
  EXPECT_EQ(begin(1, 2)->kind, Kind::kNew);
}

TEST_F(ReplyCacheTest, what_was_not_executed_may_begin_anew) {
  ASSERT_EQ(begin(0, 1)->kind, Kind::kNew);
  finish(0, 1, {0, "a"});
  ASSERT_EQ(begin(0, 2)->kind, Kind::kNew);
  EXPECT_EQ(cache.forget(0, 2).size(), 1u);
  EXPECT_EQ(begin(0, 1).code(), EPROTO);  // its reply went when 2 came
  EXPECT_EQ(begin(0, 2)->kind, Kind::kNew);
}

TEST_F(ReplyCacheTest, a_new_owner_answers_what_the_old_one_did) {
  cache.restore(3, 41, {0, "kept"});
  EXPECT_EQ(begin(3, 41)->reply.body, "kept");
  EXPECT_EQ(begin(3, 40).code(), EPROTO);
  EXPECT_EQ(begin(3, 42)->kind, Kind::kNew);
}

}  // namespace
}  // namespace shoal::rpc
