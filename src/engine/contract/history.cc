#include "engine/contract/history.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace shoal::engine {
namespace {

std::string commit_key(uint64_t number) { return fmt::format("c{:08}", number); }
std::string ingest_key(uint64_t number, int part) { return fmt::format("g{:08}-{}", number, part); }

constexpr int kIngestParts = 3;

uint64_t number_in(const std::optional<Versioned>& found) {
  return found.has_value() ? std::strtoull(found->value.c_str(), nullptr, 10) : 0;
}

}  // namespace

uint64_t History::stamp_of(uint64_t number) const {
  return (Stamp{3} << kStampSequenceBits) + number;
}

bool History::advance(KvEngine& engine) {
  const uint64_t number = ++attempted_;
  if (is_ingest(number)) {
    std::vector<Item> items;
    for (int part = 0; part < kIngestParts; ++part) {
      items.push_back({ingest_key(number, part), stamp_of(number), std::to_string(number)});
    }
    if (!engine.ingest(items).ok()) return false;
    committed_ = durable_ = number;
    return true;
  }
  Batch batch(stamp_of(number));
  batch.put("last", std::to_string(number));
  // Values of a length that makes small memtables switch often.
  batch.insert(commit_key(number), std::to_string(number) + std::string(number * 37 % 900, '.'));
  if (number > kKept) batch.remove(commit_key(number - kKept));
  batch.merge_add("n", 1);
  const Result<CommitResult> result = engine.commit(batch);
  if (!result.ok()) return false;
  EXPECT_NE(result->kind, CommitResult::Kind::kConflict) << number;
  if (result->kind != CommitResult::Kind::kCommitted) return false;
  committed_ = number;
  return true;
}

bool History::sync(KvEngine& engine) {
  if (!engine.sync().ok()) return false;
  durable_ = committed_;
  return true;
}

void History::expect_ingests(KvEngine& engine, uint64_t number) {
  for (uint64_t i = kIngestEvery; i <= attempted_; i += kIngestEvery) {
    int present = 0;
    for (int part = 0; part < kIngestParts; ++part) {
      if (engine.get(nullptr, ingest_key(i, part)).value().has_value()) ++present;
    }
    if (i <= number) {
      EXPECT_EQ(present, kIngestParts) << "ingest " << i << " is lost, " << number << " is there";
    } else {
      EXPECT_EQ(present, 0) << "ingest " << i << " is there, the commits before it are not";
    }
  }
}

void History::verify(KvEngine& engine, bool exact) {
  uint64_t number = number_in(engine.get(nullptr, "last").value());
  // "last" does not tell whether an ingest right behind it happened.
  if (is_ingest(number + 1) && engine.get(nullptr, ingest_key(number + 1, 0)).value().has_value()) {
    ++number;
  }
  EXPECT_GE(number, durable_) << "what was synced is lost";
  EXPECT_LE(number, attempted_);
  if (exact) {
    EXPECT_EQ(number, committed_);
  }
  EXPECT_EQ(read_counter(engine, nullptr, "n").value(),
            static_cast<int64_t>(commits_up_to(number)));
  std::string expected;
  for (uint64_t i = number > kKept ? number - kKept + 1 : 1; i <= number; ++i) {
    if (!is_ingest(i)) expected += std::to_string(i) + " ";
  }
  // An ingest removes nothing: if it is the last, the commit it stands for still has its
  // predecessor's.
  std::string found;
  const Page page = engine.scan(nullptr, "c", "d", 1'000).value();
  for (const Item& item : page.items) {
    const uint64_t i = std::strtoull(item.key.c_str() + 1, nullptr, 10);
    EXPECT_EQ(item.stamp, stamp_of(i));
    EXPECT_EQ(item.value, std::to_string(i) + std::string(i * 37 % 900, '.'));
    // Commits that an ingest stands in the place of did not remove theirs.
    if (i + kKept <= number && is_ingest(i + kKept)) continue;
    found += std::to_string(i) + " ";
  }
  EXPECT_EQ(found, expected);
  expect_ingests(engine, number);
  attempted_ = committed_ = number;
}

}  // namespace shoal::engine
