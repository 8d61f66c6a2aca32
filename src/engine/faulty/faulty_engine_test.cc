#include "engine/faulty/faulty_engine.h"

#include <gtest/gtest.h>

#include "engine/contract/contract.h"
#include "engine/memory/memory_engine.h"

namespace shoal::engine {
namespace {

using Kind = CommitResult::Kind;

// Without faults the wrapper must not be felt.
class TransparentSubject final : public Subject {
 public:
  KvEngine& engine() override { return *faulty_; }

 private:
  const std::unique_ptr<KvEngine> memory_ = make_memory_engine();
  const std::unique_ptr<KvEngine> faulty_ =
      make_faulty_engine(*memory_, [](Call, uint64_t) { return Fault::kNone; });
};

[[maybe_unused]] const bool registered = register_contract(
    "FaultyEngineContract", [] { return std::make_unique<TransparentSubject>(); });

class FaultyEngineTest : public testing::Test {
 protected:
  Batch insert(std::string key) {
    Batch batch(++stamp_);
    batch.insert(std::move(key), "x");
    return batch;
  }
  bool there(const std::string& key) { return memory_->get(nullptr, key)->has_value(); }

  Fault fault_ = Fault::kNone;
  std::vector<std::pair<Call, uint64_t>> asked_;
  Stamp stamp_ = 0;
  const std::unique_ptr<KvEngine> memory_ = make_memory_engine();
  const std::unique_ptr<KvEngine> engine_ =
      make_faulty_engine(*memory_, [this](Call call, uint64_t n) {
        asked_.emplace_back(call, n);
        return fault_;
      });
};

TEST_F(FaultyEngineTest, every_call_is_asked_about_in_order) {
  EXPECT_TRUE(engine_->get(nullptr, "a").ok());
  EXPECT_TRUE(engine_->get_many(nullptr, {"a"}).ok());
  EXPECT_TRUE(engine_->scan(nullptr, "", "", 1).ok());
  EXPECT_TRUE(engine_->last(nullptr, "", "").ok());
  EXPECT_TRUE(engine_->commit(insert("a")).ok());
  EXPECT_TRUE(engine_->sync().ok());
  const std::vector<std::pair<Call, uint64_t>> expected = {{Call::kGet, 0},    {Call::kGet, 1},
                                                           {Call::kScan, 2},   {Call::kScan, 3},
                                                           {Call::kCommit, 4}, {Call::kSync, 5}};
  EXPECT_EQ(asked_, expected);
}

TEST_F(FaultyEngineTest, an_error_has_no_effect) {
  fault_ = Fault::kError;
  EXPECT_EQ(engine_->commit(insert("a")).code(), EIO);
  EXPECT_EQ(engine_->get(nullptr, "a").code(), EIO);
  EXPECT_EQ(engine_->get_many(nullptr, {"a"}).code(), EIO);
  EXPECT_EQ(engine_->scan(nullptr, "", "", 1).code(), EIO);
  EXPECT_EQ(engine_->last(nullptr, "", "").code(), EIO);
  EXPECT_EQ(engine_->ingest({{"a", 1, "x"}}).code(), EIO);
  EXPECT_FALSE(there("a"));
}

TEST_F(FaultyEngineTest, a_conflict_names_the_first_key_and_has_no_effect) {
  fault_ = Fault::kConflict;
  const Result<CommitResult> result = engine_->commit(insert("a"));
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->kind, Kind::kConflict);
  EXPECT_EQ(result->conflicts, std::vector<std::string>{"a"});
  EXPECT_FALSE(there("a"));
}

TEST_F(FaultyEngineTest, unknown_hides_whether_it_happened) {
  fault_ = Fault::kUnknownApplied;
  EXPECT_EQ(engine_->commit(insert("a"))->kind, Kind::kUnknown);
  EXPECT_TRUE(there("a"));
  EXPECT_EQ(engine_->commit(insert("a"))->kind, Kind::kUnknown) << "a conflict's reply is lost too";
  fault_ = Fault::kUnknownDropped;
  EXPECT_EQ(engine_->commit(insert("b"))->kind, Kind::kUnknown);
  EXPECT_FALSE(there("b"));
}

TEST_F(FaultyEngineTest, after_a_failed_sync_nothing_answers_any_more) {
  fault_ = Fault::kError;
  EXPECT_EQ(engine_->sync().code(), EIO);
  fault_ = Fault::kNone;
  EXPECT_EQ(engine_->sync().code(), EIO);
  EXPECT_EQ(engine_->commit(insert("a")).code(), EIO);
  EXPECT_EQ(engine_->get(nullptr, "a").code(), EIO);
  EXPECT_FALSE(there("a"));
}

}  // namespace
}  // namespace shoal::engine
