// Limits, refusals, capabilities and ingest.
#include <fmt/core.h>

#include "engine/contract/cases.h"

namespace shoal::engine::contract {
namespace {

void two_writes_to_one_key_are_refused(KvEngine& engine) {
  Batch few = fresh_batch();
  few.insert("a", "x");
  few.check("a", 1);
  EXPECT_EQ(engine.commit(few).code(), EINVAL);
  Batch many = fresh_batch();
  for (int i = 0; i < 50; ++i) many.put("k" + std::to_string(i), "x");
  many.merge_add("k20", 1);
  EXPECT_EQ(engine.commit(many).code(), EINVAL);
  EXPECT_EQ(everything(engine), "");
}

void a_batch_without_a_stamp_is_refused(KvEngine& engine) {
  Batch batch(0);
  batch.put("a", "x");
  EXPECT_EQ(engine.commit(batch).code(), EINVAL);
  EXPECT_EQ(everything(engine), "");
}

void keys_and_values_of_the_greatest_size_are_kept(KvEngine& engine) {
  const std::string key(kEngineKeyBytesMax, 'k');
  const std::string value(kEngineValueBytesMax, 'v');
  Batch batch = fresh_batch();
  batch.insert(key, value);
  must_commit(engine, batch);
  EXPECT_EQ(shown(engine, key), value + "@" + std::to_string(batch.stamp()));
}

void greater_keys_and_values_are_refused(KvEngine& engine) {
  Batch key = fresh_batch();
  key.put(std::string(kEngineKeyBytesMax + 1, 'k'), "x");
  EXPECT_EQ(engine.commit(key).code(), EINVAL);
  Batch none = fresh_batch();
  none.put("", "x");
  EXPECT_EQ(engine.commit(none).code(), EINVAL);
  Batch value = fresh_batch();
  value.put("a", std::string(kEngineValueBytesMax + 1, 'v'));
  EXPECT_EQ(engine.commit(value).code(), EINVAL);
  EXPECT_EQ(everything(engine), "");
}

void a_batch_as_big_as_allowed_commits_and_a_bigger_one_is_refused(KvEngine& engine) {
  Batch batch = fresh_batch();
  const std::string value(kEngineValueBytesMax, 'v');
  int n = 0;
  while (batch.bytes() + value.size() + 32 <= kBatchBytesMax) {
    batch.put("k" + std::to_string(n++), value);
  }
  must_commit(engine, batch);
  batch.put("one", value);
  ASSERT_GT(batch.bytes(), kBatchBytesMax);
  EXPECT_EQ(engine.commit(batch).code(), E2BIG);
  EXPECT_EQ(shown(engine, "one"), "absent");
}

void a_page_of_no_or_too_many_entries_is_refused(KvEngine& engine) {
  EXPECT_EQ(engine.scan(nullptr, "", "", 0).code(), EINVAL);
  EXPECT_EQ(engine.scan(nullptr, "", "", kPageEntriesMax + 1).code(), EINVAL);
  EXPECT_TRUE(engine.scan(nullptr, "", "", kPageEntriesMax).ok());
}

void capabilities_are_honest(KvEngine& engine) {
  const Capabilities can = engine.capabilities();
  const Status ingested = engine.ingest({{"a", next_stamp(), "x"}});
  EXPECT_EQ(ingested.code(), can.bulk_ingest ? 0 : ENOTSUP);
  // merge has to work either way; the capability only says who does it.
  Batch merge = fresh_batch();
  merge.merge_add("n", 2);
  must_commit(engine, merge);
  EXPECT_EQ(read_counter(engine, nullptr, "n").value(), 2);
  EXPECT_TRUE(engine.sync().ok());
  EXPECT_FALSE(engine.describe().empty());
  EXPECT_TRUE(engine.disk_bytes().ok());
}

void ingest_adds_items_that_behave_as_if_committed(KvEngine& engine) {
  if (!engine.capabilities().bulk_ingest) return;  // refused with ENOTSUP: see above
  Batch before = fresh_batch();
  before.insert("k0500x", "between");
  before.merge_add("n", 1);
  must_commit(engine, before);
  const std::unique_ptr<ReadToken> token = engine.read_token();
  std::vector<Item> items;
  for (int i = 0; i < 2'000; ++i) {
    items.push_back({fmt::format("k{:04}", i), next_stamp(), fmt::format("value {}", i)});
  }
  ASSERT_TRUE(engine.ingest(items).ok());
  EXPECT_EQ(shown(engine, "k0500", token.get()), "absent");
  EXPECT_EQ(shown(engine, "k0500"), "value 500@" + std::to_string(items[500].stamp));
  const Result<Page> page = engine.scan(nullptr, "k0499", "k0502", 10);
  ASSERT_TRUE(page.ok());
  EXPECT_EQ(keys_of(*page), "k0499 k0500 k0500x k0501");
  Batch update = fresh_batch();
  update.update("k0500", "new", items[500].stamp);
  update.erase("k0501", items[501].stamp);
  must_commit(engine, update);
  EXPECT_EQ(shown(engine, "k0500"), "new@" + std::to_string(update.stamp()));
  EXPECT_EQ(shown(engine, "k0501"), "absent");
  EXPECT_TRUE(engine.ingest({}).ok());
}

void ingest_refuses_disorder_and_keys_that_are_there(KvEngine& engine) {
  if (!engine.capabilities().bulk_ingest) return;
  EXPECT_EQ(engine.ingest({{"b", 1, ""}, {"a", 1, ""}}).code(), EINVAL);
  EXPECT_EQ(engine.ingest({{"a", 1, ""}, {"a", 1, ""}}).code(), EINVAL);
  Batch batch = fresh_batch();
  batch.insert("b", "kept");
  must_commit(engine, batch);
  EXPECT_EQ(engine.ingest({{"a", 1, ""}, {"b", 1, ""}, {"c", 1, ""}}).code(), EEXIST);
  EXPECT_EQ(shown(engine, "a"), "absent");
  EXPECT_EQ(shown(engine, "b"), "kept@" + std::to_string(batch.stamp()));
}

constexpr Case kCases[] = {
    {"two_writes_to_one_key_are_refused", two_writes_to_one_key_are_refused},
    {"a_batch_without_a_stamp_is_refused", a_batch_without_a_stamp_is_refused},
    {"keys_and_values_of_the_greatest_size_are_kept",
     keys_and_values_of_the_greatest_size_are_kept},
    {"greater_keys_and_values_are_refused", greater_keys_and_values_are_refused},
    {"a_batch_as_big_as_allowed_commits_and_a_bigger_one_is_refused",
     a_batch_as_big_as_allowed_commits_and_a_bigger_one_is_refused},
    {"a_page_of_no_or_too_many_entries_is_refused", a_page_of_no_or_too_many_entries_is_refused},
    {"capabilities_are_honest", capabilities_are_honest},
    {"ingest_adds_items_that_behave_as_if_committed",
     ingest_adds_items_that_behave_as_if_committed},
    {"ingest_refuses_disorder_and_keys_that_are_there",
     ingest_refuses_disorder_and_keys_that_are_there},
};

}  // namespace

std::span<const Case> limit_cases() { return kCases; }

}  // namespace shoal::engine::contract
