// What each kind of write expects and leaves behind, one caller at a time.
#include "engine/contract/cases.h"

namespace shoal::engine::contract {
namespace {

std::string at(std::string_view value, Stamp stamp) {
  return std::string(value) + "@" + std::to_string(stamp);
}

std::string counter_at(int64_t value) { return encode_counter(value) + "@0"; }

void insert_makes_a_key_with_the_stamp_of_its_batch(KvEngine& engine) {
  Batch batch = fresh_batch();
  batch.insert("a", "one");
  batch.insert("b", "");
  must_commit(engine, batch);
  EXPECT_EQ(shown(engine, "a"), at("one", batch.stamp()));
  EXPECT_EQ(shown(engine, "b"), at("", batch.stamp()));
  EXPECT_EQ(shown(engine, "c"), "absent");
}

void insert_of_a_present_key_conflicts(KvEngine& engine) {
  Batch first = fresh_batch();
  first.insert("a", "one");
  must_commit(engine, first);
  Batch second = fresh_batch();
  second.insert("a", "two");
  expect_conflict(engine, second, {"a"});
  EXPECT_EQ(shown(engine, "a"), at("one", first.stamp()));
}

void update_needs_the_stamp_it_expects(KvEngine& engine) {
  Batch first = fresh_batch();
  first.insert("a", "one");
  must_commit(engine, first);
  Batch stale = fresh_batch();
  stale.update("a", "lost", first.stamp() + 1'000'000);
  expect_conflict(engine, stale, {"a"});
  Batch absent = fresh_batch();
  absent.update("nobody", "lost", first.stamp());
  expect_conflict(engine, absent, {"nobody"});
  Batch right = fresh_batch();
  right.update("a", "two", first.stamp());
  must_commit(engine, right);
  EXPECT_EQ(shown(engine, "a"), at("two", right.stamp()));
  EXPECT_EQ(shown(engine, "nobody"), "absent");
}

void erase_needs_the_stamp_it_expects(KvEngine& engine) {
  Batch first = fresh_batch();
  first.insert("a", "one");
  must_commit(engine, first);
  Batch stale = fresh_batch();
  stale.erase("a", first.stamp() + 1'000'000);
  expect_conflict(engine, stale, {"a"});
  Batch right = fresh_batch();
  right.erase("a", first.stamp());
  must_commit(engine, right);
  EXPECT_EQ(shown(engine, "a"), "absent");
  Batch again = fresh_batch();
  again.erase("a", first.stamp());
  expect_conflict(engine, again, {"a"});
}

void check_writes_nothing_and_conflicts_when_stale_or_absent(KvEngine& engine) {
  Batch first = fresh_batch();
  first.insert("a", "one");
  must_commit(engine, first);
  Batch right = fresh_batch();
  right.check("a", first.stamp());
  right.insert("b", "beside");
  must_commit(engine, right);
  EXPECT_EQ(shown(engine, "a"), at("one", first.stamp()));
  EXPECT_EQ(shown(engine, "b"), at("beside", right.stamp()));
  Batch stale = fresh_batch();
  stale.check("a", right.stamp());
  stale.insert("c", "never");
  expect_conflict(engine, stale, {"a"});
  Batch absent = fresh_batch();
  absent.check("nobody", first.stamp());
  expect_conflict(engine, absent, {"nobody"});
  EXPECT_EQ(shown(engine, "c"), "absent");
}

// Stamp 0 is what a merged key has; an absent key has none at all.
void stamp_zero_does_not_match_an_absent_key(KvEngine& engine) {
  Batch update = fresh_batch();
  update.update("a", "x", 0);
  expect_conflict(engine, update, {"a"});
  Batch check = fresh_batch();
  check.check("a", 0);
  expect_conflict(engine, check, {"a"});
  Batch erase = fresh_batch();
  erase.erase("a", 0);
  expect_conflict(engine, erase, {"a"});
}

// The ABA fault: with per-key counters the key would look unchanged.
void delete_and_recreate_does_not_look_unchanged(KvEngine& engine) {
  Batch first = fresh_batch();
  first.insert("a", "same");
  must_commit(engine, first);
  Batch gone = fresh_batch();
  gone.erase("a", first.stamp());
  must_commit(engine, gone);
  Batch back = fresh_batch();
  back.insert("a", "same");
  must_commit(engine, back);

  Batch check = fresh_batch();
  check.check("a", first.stamp());
  check.put("b", "never");
  expect_conflict(engine, check, {"a"});
  Batch update = fresh_batch();
  update.update("a", "never", first.stamp());
  expect_conflict(engine, update, {"a"});
  Batch erase = fresh_batch();
  erase.erase("a", first.stamp());
  expect_conflict(engine, erase, {"a"});
  EXPECT_EQ(shown(engine, "a"), at("same", back.stamp()));
}

void put_and_remove_ask_for_nothing(KvEngine& engine) {
  Batch first = fresh_batch();
  first.put("a", "one");
  first.remove("nobody");
  must_commit(engine, first);
  EXPECT_EQ(shown(engine, "a"), at("one", first.stamp()));
  Batch second = fresh_batch();
  second.put("a", "two");
  must_commit(engine, second);
  EXPECT_EQ(shown(engine, "a"), at("two", second.stamp()));
  Batch third = fresh_batch();
  third.remove("a");
  must_commit(engine, third);
  EXPECT_EQ(shown(engine, "a"), "absent");
}

void merge_add_counts_from_zero_and_down_again(KvEngine& engine) {
  for (const int64_t delta : {5, -7, 100}) {
    Batch batch = fresh_batch();
    batch.merge_add("n", delta);
    must_commit(engine, batch);
  }
  EXPECT_EQ(shown(engine, "n"), counter_at(98));
  EXPECT_EQ(read_counter(engine, nullptr, "n").value(), 98);
  EXPECT_EQ(read_counter(engine, nullptr, "none").value(), 0);
}

void merge_max_keeps_the_greater_and_zero_when_absent(KvEngine& engine) {
  Batch low = fresh_batch();
  low.merge_max("m", -5);
  must_commit(engine, low);
  EXPECT_EQ(shown(engine, "m"), counter_at(0));
  for (const int64_t value : {3, 9, 4}) {
    Batch batch = fresh_batch();
    batch.merge_max("m", value);
    must_commit(engine, batch);
  }
  EXPECT_EQ(shown(engine, "m"), counter_at(9));
}

void adds_and_maxes_of_one_key_apply_in_order(KvEngine& engine) {
  Batch one = fresh_batch();
  one.merge_add("m", 4);
  must_commit(engine, one);
  Batch two = fresh_batch();
  two.merge_max("m", 10);
  must_commit(engine, two);
  Batch three = fresh_batch();
  three.merge_add("m", -3);
  must_commit(engine, three);
  Batch four = fresh_batch();
  four.merge_max("m", 5);
  must_commit(engine, four);
  EXPECT_EQ(shown(engine, "m"), counter_at(7));
}

void a_merge_over_a_typed_write_takes_its_stamp_away(KvEngine& engine) {
  Batch first = fresh_batch();
  first.insert("n", encode_counter(40));
  must_commit(engine, first);
  Batch merge = fresh_batch();
  merge.merge_add("n", 2);
  must_commit(engine, merge);
  EXPECT_EQ(shown(engine, "n"), counter_at(42));
  Batch stale = fresh_batch();
  stale.update("n", encode_counter(0), first.stamp());
  expect_conflict(engine, stale, {"n"});
  Batch insert = fresh_batch();
  insert.insert("n", encode_counter(0));
  expect_conflict(engine, insert, {"n"});
  Batch erase = fresh_batch();
  erase.erase("n", 0);
  must_commit(engine, erase);
  EXPECT_EQ(shown(engine, "n"), "absent");
  Batch anew = fresh_batch();
  anew.merge_add("n", 1);
  must_commit(engine, anew);
  EXPECT_EQ(shown(engine, "n"), counter_at(1));
}

void a_conflict_names_its_keys_and_leaves_no_trace(KvEngine& engine) {
  Batch first = fresh_batch();
  first.insert("a", "a");
  first.insert("b", "b");
  first.merge_add("n", 1);
  must_commit(engine, first);
  const std::string before = everything(engine);

  Batch mixed = fresh_batch();
  mixed.put("z", "never");
  mixed.update("a", "never", first.stamp());
  mixed.merge_add("n", 1);
  mixed.insert("b", "never");
  mixed.remove("a2");
  mixed.check("nobody", first.stamp());
  mixed.insert("c", "never");
  expect_conflict(engine, mixed, {"b", "nobody"});
  EXPECT_EQ(everything(engine), before);
}

void an_empty_batch_commits(KvEngine& engine) {
  must_commit(engine, fresh_batch());
  EXPECT_EQ(everything(engine), "");
}

void a_write_may_have_a_stamp_of_its_own(KvEngine& engine) {
  const Stamp own = next_stamp();
  Batch batch = fresh_batch();
  batch.add({Write::Kind::kInsert, "a", "one", 0, own});
  batch.insert("b", "two");
  must_commit(engine, batch);
  EXPECT_EQ(shown(engine, "a"), at("one", own));
  EXPECT_EQ(shown(engine, "b"), at("two", batch.stamp()));
  Batch next = fresh_batch();
  const Stamp later = next_stamp();
  next.add({Write::Kind::kUpdate, "a", "three", own, later});
  next.add({Write::Kind::kPut, "c", "four", 0, own});
  must_commit(engine, next);
  EXPECT_EQ(shown(engine, "a"), at("three", later));
  EXPECT_EQ(shown(engine, "c"), at("four", own));
}

void keys_and_values_may_hold_any_byte(KvEngine& engine) {
  std::string key;
  for (int b = 0; b < 256; ++b) key.push_back(static_cast<char>(b));
  Batch batch = fresh_batch();
  batch.insert(key, key);
  batch.insert(std::string(1, '\0'), std::string(3, '\0'));
  batch.insert("\xff\xff", "\xff");
  must_commit(engine, batch);
  EXPECT_EQ(shown(engine, key), at(key, batch.stamp()));
  EXPECT_EQ(shown(engine, std::string(1, '\0')), at(std::string(3, '\0'), batch.stamp()));
  EXPECT_EQ(shown(engine, "\xff\xff"), at("\xff", batch.stamp()));
}

constexpr Case kCases[] = {
    {"insert_makes_a_key_with_the_stamp_of_its_batch",
     insert_makes_a_key_with_the_stamp_of_its_batch},
    {"insert_of_a_present_key_conflicts", insert_of_a_present_key_conflicts},
    {"update_needs_the_stamp_it_expects", update_needs_the_stamp_it_expects},
    {"erase_needs_the_stamp_it_expects", erase_needs_the_stamp_it_expects},
    {"check_writes_nothing_and_conflicts_when_stale_or_absent",
     check_writes_nothing_and_conflicts_when_stale_or_absent},
    {"stamp_zero_does_not_match_an_absent_key", stamp_zero_does_not_match_an_absent_key},
    {"delete_and_recreate_does_not_look_unchanged", delete_and_recreate_does_not_look_unchanged},
    {"put_and_remove_ask_for_nothing", put_and_remove_ask_for_nothing},
    {"merge_add_counts_from_zero_and_down_again", merge_add_counts_from_zero_and_down_again},
    {"merge_max_keeps_the_greater_and_zero_when_absent",
     merge_max_keeps_the_greater_and_zero_when_absent},
    {"adds_and_maxes_of_one_key_apply_in_order", adds_and_maxes_of_one_key_apply_in_order},
    {"a_merge_over_a_typed_write_takes_its_stamp_away",
     a_merge_over_a_typed_write_takes_its_stamp_away},
    {"a_conflict_names_its_keys_and_leaves_no_trace",
     a_conflict_names_its_keys_and_leaves_no_trace},
    {"an_empty_batch_commits", an_empty_batch_commits},
    {"a_write_may_have_a_stamp_of_its_own", a_write_may_have_a_stamp_of_its_own},
    {"keys_and_values_may_hold_any_byte", keys_and_values_may_hold_any_byte},
};

}  // namespace

std::span<const Case> write_cases() { return kCases; }

}  // namespace shoal::engine::contract
