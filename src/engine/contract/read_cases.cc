// Gets, pages, last() and read tokens.
#include "engine/contract/cases.h"

namespace shoal::engine::contract {
namespace {

Stamp put_all(KvEngine& engine, std::initializer_list<const char*> keys) {
  Batch batch = fresh_batch();
  for (const char* key : keys) batch.put(key, std::string("v-") + key);
  return must_commit(engine, batch);
}

std::string scanned(KvEngine& engine, std::string_view begin, std::string_view end, size_t limit,
                    const ReadToken* token = nullptr) {
  const Result<Page> page = engine.scan(token, begin, end, limit);
  if (!page.ok()) return page.error().to_string();
  return keys_of(*page) + (page->more ? " …" : "");
}

std::string last_key(KvEngine& engine, std::string_view begin, std::string_view end,
                     const ReadToken* token = nullptr) {
  const Result<std::optional<Item>> item = engine.last(token, begin, end);
  if (!item.ok()) return item.error().to_string();
  return item->has_value() ? (*item)->key : "none";
}

void get_many_answers_every_key_in_its_place(KvEngine& engine) {
  const Stamp stamp = put_all(engine, {"a", "b", "d"});
  const auto found = engine.get_many(nullptr, {"d", "x", "a", "a", "c"});
  ASSERT_TRUE(found.ok());
  ASSERT_EQ(found->size(), 5u);
  EXPECT_EQ(shown((*found)[0]), "v-d@" + std::to_string(stamp));
  EXPECT_EQ(shown((*found)[1]), "absent");
  EXPECT_EQ(shown((*found)[2]), "v-a@" + std::to_string(stamp));
  EXPECT_EQ(shown((*found)[3]), "v-a@" + std::to_string(stamp));
  EXPECT_EQ(shown((*found)[4]), "absent");
  EXPECT_TRUE(engine.get_many(nullptr, {})->empty());
}

void scan_keeps_to_its_range_and_limit(KvEngine& engine) {
  put_all(engine, {"a", "b", "ba", "c", "d"});
  EXPECT_EQ(scanned(engine, "", "", 10), "a b ba c d");
  EXPECT_EQ(scanned(engine, "b", "d", 10), "b ba c");
  EXPECT_EQ(scanned(engine, "aa", "bb", 10), "b ba");
  EXPECT_EQ(scanned(engine, "b", "d", 2), "b ba …");
  EXPECT_EQ(scanned(engine, "b", "d", 3), "b ba c");
  EXPECT_EQ(scanned(engine, "c", "", 10), "c d");
  EXPECT_EQ(scanned(engine, "c", "", 1), "c …");
  EXPECT_EQ(scanned(engine, "e", "", 1), "");
  EXPECT_EQ(scanned(engine, "b", "b", 1), "");
  EXPECT_EQ(scanned(engine, "d", "a", 1), "");
}

void more_says_nothing_of_keys_behind_the_range(KvEngine& engine) {
  put_all(engine, {"a1", "a2", "b1"});
  EXPECT_EQ(scanned(engine, "a", prefix_end("a"), 2), "a1 a2");
  Batch gone = fresh_batch();
  gone.remove("a2");
  must_commit(engine, gone);
  EXPECT_EQ(scanned(engine, "a", prefix_end("a"), 1), "a1");
}

void bytes_above_127_sort_behind_the_rest(KvEngine& engine) {
  put_all(engine, {"\x7f", "\x80", "\xff", "\xff\xff", "a"});
  EXPECT_EQ(scanned(engine, "", "", 10), "a \x7f \x80 \xff \xff\xff");
  EXPECT_EQ(scanned(engine, "\xff", prefix_end("\xff"), 10), "\xff \xff\xff");
  EXPECT_EQ(last_key(engine, "\x80", ""), "\xff\xff");
}

void pages_together_are_the_whole_range(KvEngine& engine) {
  for (int part = 0; part < 5; ++part) {
    Batch batch = fresh_batch();
    for (int i = part; i < 1'503; i += 5) batch.insert("k" + std::to_string(10'000 + i), "x");
    must_commit(engine, batch);
  }
  for (const size_t limit : {1u, 7u, 1'000u}) {
    size_t seen = 0;
    std::string from = "k";
    for (bool more = true; more;) {
      const Result<Page> page = engine.scan(nullptr, from, "l", limit);
      ASSERT_TRUE(page.ok());
      ASSERT_LE(page->items.size(), limit);
      for (const Item& item : page->items) {
        EXPECT_EQ(item.key, "k" + std::to_string(10'000 + seen++));
      }
      more = page->more;
      if (more) {
        ASSERT_EQ(page->items.size(), limit);
        from = page->items.back().key + '\0';
      }
    }
    EXPECT_EQ(seen, 1'503u);
  }
}

void last_finds_the_greatest_key_of_the_range(KvEngine& engine) {
  EXPECT_EQ(last_key(engine, "", ""), "none");
  put_all(engine, {"a", "b", "ba", "c"});
  EXPECT_EQ(last_key(engine, "", ""), "c");
  EXPECT_EQ(last_key(engine, "a", "c"), "ba");
  EXPECT_EQ(last_key(engine, "a", "b"), "a");
  EXPECT_EQ(last_key(engine, "bb", "c"), "none");
  EXPECT_EQ(last_key(engine, "d", ""), "none");
  EXPECT_EQ(last_key(engine, "c", "a"), "none");
  Batch batch = fresh_batch();
  batch.remove("c");
  batch.merge_add("bz", 3);
  must_commit(engine, batch);
  const Result<std::optional<Item>> item = engine.last(nullptr, "a", "");
  ASSERT_TRUE(item.ok() && item->has_value());
  EXPECT_EQ((*item)->key, "bz");
  EXPECT_EQ((*item)->stamp, 0u);
  EXPECT_EQ((*item)->value, encode_counter(3));
}

void a_token_sees_one_state_whatever_is_committed_later(KvEngine& engine) {
  const Stamp stamp = put_all(engine, {"a", "b", "c"});
  Batch count = fresh_batch();
  count.merge_add("n", 1);
  must_commit(engine, count);
  const std::unique_ptr<ReadToken> token = engine.read_token();
  const std::string before = everything(engine, token.get(), 2);
  for (int round = 0; round < 5; ++round) {
    Batch batch = fresh_batch();
    batch.put("a", "new");
    batch.remove(round % 2 == 0 ? "b" : "c");
    batch.put("d" + std::to_string(round), "new");
    batch.merge_add("n", 1);
    must_commit(engine, batch);
    EXPECT_EQ(everything(engine, token.get(), 2), before);
    EXPECT_EQ(shown(engine, "a", token.get()), "v-a@" + std::to_string(stamp));
    EXPECT_EQ(shown(engine, "d0", token.get()), "absent");
    EXPECT_EQ(read_counter(engine, token.get(), "n").value(), 1);
    EXPECT_EQ(last_key(engine, "", "", token.get()), "n");
    EXPECT_EQ(shown((*engine.get_many(token.get(), {"b"}))[0]), "v-b@" + std::to_string(stamp));
  }
  EXPECT_EQ(shown(engine, "b"), "absent");
  EXPECT_EQ(read_counter(engine, nullptr, "n").value(), 6);
}

void tokens_of_several_moments_do_not_mix(KvEngine& engine) {
  std::vector<std::unique_ptr<ReadToken>> tokens;
  for (int i = 0; i < 6; ++i) {
    tokens.push_back(engine.read_token());
    Batch batch = fresh_batch();
    if (i % 3 == 2) {
      batch.remove("a");
    } else {
      batch.put("a", std::to_string(i));
    }
    must_commit(engine, batch);
  }
  const auto value_at = [&](size_t i) {
    const auto found = engine.get(tokens[i].get(), "a").value();
    return found.has_value() ? found->value : "absent";
  };
  tokens[2].reset();
  tokens[0].reset();
  EXPECT_EQ(value_at(1), "0");
  EXPECT_EQ(value_at(3), "absent");
  tokens[3].reset();
  EXPECT_EQ(value_at(4), "3");
  EXPECT_EQ(value_at(5), "4");
  EXPECT_EQ(value_at(1), "0");
  tokens.clear();
  EXPECT_EQ(everything(engine), "");
}

constexpr Case kCases[] = {
    {"get_many_answers_every_key_in_its_place", get_many_answers_every_key_in_its_place},
    {"scan_keeps_to_its_range_and_limit", scan_keeps_to_its_range_and_limit},
    {"more_says_nothing_of_keys_behind_the_range", more_says_nothing_of_keys_behind_the_range},
    {"bytes_above_127_sort_behind_the_rest", bytes_above_127_sort_behind_the_rest},
    {"pages_together_are_the_whole_range", pages_together_are_the_whole_range},
    {"last_finds_the_greatest_key_of_the_range", last_finds_the_greatest_key_of_the_range},
    {"a_token_sees_one_state_whatever_is_committed_later",
     a_token_sees_one_state_whatever_is_committed_later},
    {"tokens_of_several_moments_do_not_mix", tokens_of_several_moments_do_not_mix},
};

}  // namespace

std::span<const Case> read_cases() { return kCases; }

}  // namespace shoal::engine::contract
