// Random programs, operation by operation on the engine and on the memory oracle: every answer must
// be the same.
#include <fmt/core.h>

#include <algorithm>
#include <random>

#include "engine/contract/cases.h"
#include "engine/memory/memory_engine.h"

namespace shoal::engine::contract {
namespace {

class Program {
 public:
  Program(KvEngine& engine, uint64_t seed)
      : engine_(engine), oracle_(make_memory_engine()), random_(seed) {}

  void run(int steps) {
    for (int step = 0; step < steps && !testing::Test::HasFailure(); ++step) {
      SCOPED_TRACE(fmt::format("step {}", step));
      const uint64_t dice = below(100);
      if (dice < 60) {
        commit();
      } else if (dice < 70) {
        get();
      } else if (dice < 85) {
        scan();
      } else if (dice < 92) {
        last();
      } else if (dice < 99) {
        tokens();
      } else {
        EXPECT_TRUE(engine_.sync().ok());
      }
    }
    EXPECT_EQ(everything(engine_, nullptr, 7), everything(*oracle_, nullptr, 7));
    EXPECT_GT(committed_, 0);
    EXPECT_GT(conflicts_, 0);
  }

 private:
  struct TokenPair {
    std::unique_ptr<ReadToken> real;
    std::unique_ptr<ReadToken> oracle;
  };

  uint64_t below(uint64_t limit) { return random_() % limit; }

  // Few keys, so that writes meet; counters keep to keys of their own, as in life.
  std::string key() { return fmt::format("{}{}", below(2) == 0 ? "a" : "b\xff", below(12)); }
  std::string counter_key() { return fmt::format("n{}", below(4)); }

  Stamp likely_stamp(const std::string& key) {
    const auto found = oracle_->get(nullptr, key).value();
    if (!found.has_value() || below(8) == 0) return next_stamp();
    return found->stamp;
  }

  void add_write(Batch& batch, const std::string& key) {
    const std::string value(below(40), static_cast<char>('a' + below(26)));
    switch (below(6)) {
      case 0:
        return batch.insert(key, value);
      case 1:
        return batch.update(key, value, likely_stamp(key));
      case 2:
        return batch.erase(key, likely_stamp(key));
      case 3:
        return batch.check(key, likely_stamp(key));
      case 4:
        return batch.put(key, value);
      default:
        return batch.remove(key);
    }
  }

  void add_counter_write(Batch& batch, const std::string& key) {
    const auto number = static_cast<int64_t>(below(2'000)) - 1'000;
    switch (below(8)) {
      case 0:
        return batch.put(key, encode_counter(number));
      case 1:
        return batch.remove(key);
      case 2:
        return batch.update(key, encode_counter(number), likely_stamp(key));
      case 3:
      case 4:
        return batch.merge_max(key, number);
      default:
        return batch.merge_add(key, number);
    }
  }

  void commit() {
    Batch batch = fresh_batch();
    std::vector<std::string> used;
    for (uint64_t n = 1 + below(4); n > 0; --n) {
      const bool counter = below(3) == 0;
      const std::string key = counter ? counter_key() : this->key();
      // One key in thirty is written twice, which both have to refuse.
      if (std::find(used.begin(), used.end(), key) != used.end() && below(30) != 0) continue;
      used.push_back(key);
      counter ? add_counter_write(batch, key) : add_write(batch, key);
    }
    Result<CommitResult> real = engine_.commit(batch);
    Result<CommitResult> expected = oracle_->commit(batch);
    ASSERT_EQ(real.code(), expected.code());
    if (!real.ok()) return;
    ASSERT_EQ(real->kind, expected->kind);
    ++(real->kind == CommitResult::Kind::kCommitted ? committed_ : conflicts_);
    std::sort(real->conflicts.begin(), real->conflicts.end());
    std::sort(expected->conflicts.begin(), expected->conflicts.end());
    EXPECT_TRUE(std::includes(expected->conflicts.begin(), expected->conflicts.end(),
                              real->conflicts.begin(), real->conflicts.end()));
    EXPECT_EQ(real->conflicts.empty(), expected->conflicts.empty());
  }

  // A live pair, or two nulls for the latest state.
  std::pair<const ReadToken*, const ReadToken*> moment() {
    if (tokens_.empty() || below(2) == 0) return {nullptr, nullptr};
    const TokenPair& pair = tokens_[below(tokens_.size())];
    return {pair.real.get(), pair.oracle.get()};
  }

  void get() {
    const auto [real, oracle] = moment();
    std::vector<std::string> keys;
    for (uint64_t n = below(5); n > 0; --n) keys.push_back(below(3) == 0 ? counter_key() : key());
    const auto found = engine_.get_many(real, keys).value();
    const auto expected = oracle_->get_many(oracle, keys).value();
    ASSERT_EQ(found.size(), expected.size());
    for (size_t i = 0; i < keys.size(); ++i) {
      EXPECT_EQ(shown(found[i]), shown(expected[i])) << keys[i];
      EXPECT_EQ(shown(engine_, keys[i], real), shown(expected[i])) << keys[i];
    }
  }

  void scan() {
    const auto [real, oracle] = moment();
    const std::string begin = below(4) == 0 ? "" : key();
    const std::string end = below(3) == 0 ? "" : (below(2) == 0 ? counter_key() : key());
    const size_t limit = 1 + below(6);
    const Page page = engine_.scan(real, begin, end, limit).value();
    const Page expected = oracle_->scan(oracle, begin, end, limit).value();
    EXPECT_EQ(keys_of(page), keys_of(expected));
    EXPECT_EQ(page.more, expected.more);
    ASSERT_EQ(page.items.size(), expected.items.size());
    for (size_t i = 0; i < page.items.size(); ++i) {
      EXPECT_EQ(page.items[i].value, expected.items[i].value);
      EXPECT_EQ(page.items[i].stamp, expected.items[i].stamp);
    }
  }

  void last() {
    const auto [real, oracle] = moment();
    const std::string begin = below(4) == 0 ? "" : key();
    const std::string end = below(3) == 0 ? "" : key();
    const auto item = engine_.last(real, begin, end).value();
    const auto expected = oracle_->last(oracle, begin, end).value();
    ASSERT_EQ(item.has_value(), expected.has_value());
    if (!item.has_value()) return;
    EXPECT_EQ(item->key, expected->key);
    EXPECT_EQ(item->value, expected->value);
    EXPECT_EQ(item->stamp, expected->stamp);
  }

  void tokens() {
    if (tokens_.size() == 3) {
      tokens_.erase(tokens_.begin() + static_cast<ptrdiff_t>(below(tokens_.size())));
    } else {
      tokens_.push_back({engine_.read_token(), oracle_->read_token()});
    }
  }

  KvEngine& engine_;
  const std::unique_ptr<KvEngine> oracle_;
  std::mt19937_64 random_;
  std::vector<TokenPair> tokens_;
  int committed_ = 0;
  int conflicts_ = 0;
};

void random_programs_answer_as_the_oracle_does_1(KvEngine& engine) {
  Program(engine, seed(1)).run(3'000);
}
void random_programs_answer_as_the_oracle_does_2(KvEngine& engine) {
  Program(engine, seed(2)).run(3'000);
}
void random_programs_answer_as_the_oracle_does_3(KvEngine& engine) {
  Program(engine, seed(3)).run(3'000);
}

constexpr Case kCases[] = {
    {"random_programs_answer_as_the_oracle_does_1", random_programs_answer_as_the_oracle_does_1},
    {"random_programs_answer_as_the_oracle_does_2", random_programs_answer_as_the_oracle_does_2},
    {"random_programs_answer_as_the_oracle_does_3", random_programs_answer_as_the_oracle_does_3},
};

}  // namespace

std::span<const Case> random_cases() { return kCases; }

}  // namespace shoal::engine::contract
