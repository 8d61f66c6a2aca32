#include "engine/contract/contract.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <iostream>

#include "engine/contract/cases.h"

namespace shoal::engine {
namespace contract {

Stamp next_stamp() {
  static std::atomic<Stamp> sequence = 0;
  return (Stamp{7} << kStampSequenceBits) + ++sequence;
}

uint64_t seed(uint64_t fallback) {
  const char* wanted = std::getenv("SHOAL_SEED");
  const uint64_t value = wanted == nullptr ? fallback : std::strtoull(wanted, nullptr, 10);
  std::cout << "seed " << value << " (repeat with SHOAL_SEED=" << value << ")" << std::endl;
  return value;
}

Stamp must_commit(KvEngine& engine, const Batch& batch) {
  const Result<CommitResult> result = engine.commit(batch);
  EXPECT_TRUE(result.ok()) << result.error().to_string();
  if (result.ok()) {
    EXPECT_EQ(result->kind, CommitResult::Kind::kCommitted);
  }
  return batch.stamp();
}

void expect_conflict(KvEngine& engine, const Batch& batch, std::vector<std::string> keys) {
  const Result<CommitResult> result = engine.commit(batch);
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  ASSERT_EQ(result->kind, CommitResult::Kind::kConflict);
  std::vector<std::string> got = result->conflicts;
  std::sort(got.begin(), got.end());
  std::sort(keys.begin(), keys.end());
  // The seam promises at least one of them, and never a key that was as expected.
  EXPECT_FALSE(got.empty());
  EXPECT_TRUE(std::includes(keys.begin(), keys.end(), got.begin(), got.end()));
}

std::string shown(const std::optional<Versioned>& found) {
  if (!found.has_value()) return "absent";
  return found->value + "@" + std::to_string(found->stamp);
}

std::string shown(KvEngine& engine, std::string_view key, const ReadToken* token) {
  const Result<std::optional<Versioned>> found = engine.get(token, key);
  return found.ok() ? shown(*found) : "error: " + found.error().to_string();
}

std::string keys_of(const Page& page) {
  std::string keys;
  for (const Item& item : page.items) keys += (keys.empty() ? "" : " ") + item.key;
  return keys;
}

std::string everything(KvEngine& engine, const ReadToken* token, size_t limit) {
  std::string all;
  std::string from;
  while (true) {
    const Result<Page> page = engine.scan(token, from, "", limit);
    if (!page.ok()) return all + page.error().to_string();
    for (const Item& item : page->items) {
      all += to_hex(as_bytes(item.key)) + "=" + to_hex(as_bytes(item.value)) + "@" +
             std::to_string(item.stamp) + " ";
    }
    if (!page->more) return all;
    from = page->items.back().key + '\0';
  }
}

namespace {

class ContractTest : public testing::Test {
 public:
  ContractTest(const Case& test_case, std::function<std::unique_ptr<Subject>()> make)
      : case_(test_case), make_(std::move(make)) {}
  void TestBody() override {
    const std::unique_ptr<Subject> subject = make_();
    ASSERT_NE(subject, nullptr);
    case_.run(subject->engine());
  }

 private:
  const Case& case_;
  const std::function<std::unique_ptr<Subject>()> make_;
};

}  // namespace
}  // namespace contract

bool register_contract(const char* suite, std::function<std::unique_ptr<Subject>()> make) {
  using contract::Case;
  for (const std::span<const Case> cases :
       {contract::write_cases(), contract::limit_cases(), contract::read_cases(),
        contract::race_cases(), contract::random_cases()}) {
    for (const Case& test_case : cases) {
      testing::RegisterTest(suite, test_case.name, nullptr, nullptr, __FILE__, __LINE__,
                            [&test_case, make]() -> testing::Test* {
                              return new contract::ContractTest(test_case, make);
                            });
    }
  }
  return true;
}

}  // namespace shoal::engine
