#include "engine/fold.h"

#include <gtest/gtest.h>

namespace shoal::engine {
namespace {

using Kind = Write::Kind;

std::string shown(const std::optional<Write>& write) {
  if (!write) return "cannot";
  static constexpr const char* kNames[] = {"insert", "update", "erase", "check",
                                           "put",    "remove", "add",   "max"};
  std::string text = kNames[static_cast<size_t>(write->kind)];
  if (write->kind == Kind::kMergeAdd || write->kind == Kind::kMergeMax)
    return text + " " + std::to_string(decode_counter(write->value).value());
  if (!write->value.empty()) text += " " + write->value;
  if (write->expected != 0) text += "@" + std::to_string(write->expected);
  return text;
}

Write write(Kind kind, std::string value = {}, Stamp expected = 0) {
  return {kind, "key", std::move(value), expected, 9};
}
Write merge(Kind kind, int64_t value) { return write(kind, encode_counter(value)); }

TEST(Fold, two_writes_of_one_key_are_one_with_the_expectation_of_the_first) {
  const Write insert = write(Kind::kInsert, "a"), update = write(Kind::kUpdate, "b", 5),
              erase = write(Kind::kErase, "", 5), check = write(Kind::kCheck, "", 5),
              put = write(Kind::kPut, "p"), remove = write(Kind::kRemove);
  EXPECT_EQ(shown(folded(insert, write(Kind::kUpdate, "c", 9))), "insert c");
  EXPECT_EQ(shown(folded(insert, write(Kind::kErase, "", 9))), "remove");
  EXPECT_EQ(shown(folded(insert, write(Kind::kCheck, "", 9))), "insert a");
  EXPECT_EQ(shown(folded(insert, put)), "insert p");
  EXPECT_EQ(shown(folded(update, write(Kind::kUpdate, "c", 9))), "update c@5");
  EXPECT_EQ(shown(folded(update, write(Kind::kErase, "", 9))), "erase@5");
  EXPECT_EQ(shown(folded(update, put)), "update p@5");
  EXPECT_EQ(shown(folded(update, remove)), "erase@5");
  EXPECT_EQ(shown(folded(erase, insert)), "update a@5");
  EXPECT_EQ(shown(folded(erase, put)), "update p@5");
  EXPECT_EQ(shown(folded(check, update)), "update b@5");
  EXPECT_EQ(shown(folded(check, erase)), "erase@5");
  EXPECT_EQ(shown(folded(check, check)), "check@5");
  EXPECT_EQ(shown(folded(put, write(Kind::kUpdate, "c", 9))), "put c");
  EXPECT_EQ(shown(folded(put, write(Kind::kErase, "", 9))), "remove");
  EXPECT_EQ(shown(folded(remove, insert)), "put a");
  EXPECT_EQ(shown(folded(remove, remove)), "remove");
}

TEST(Fold, merges_add_up_and_what_only_the_engine_knows_cannot_be_folded) {
  const Write add = merge(Kind::kMergeAdd, 3), max = merge(Kind::kMergeMax, 7);
  EXPECT_EQ(shown(folded(add, merge(Kind::kMergeAdd, -5))), "add -2");
  EXPECT_EQ(shown(folded(max, merge(Kind::kMergeMax, 4))), "max 7");
  EXPECT_EQ(shown(folded(add, max)), "cannot");
  EXPECT_EQ(shown(folded(write(Kind::kPut, "p"), add)), "cannot");
  EXPECT_EQ(shown(folded(write(Kind::kErase, "", 5), add)), "cannot");
  EXPECT_EQ(shown(folded(add, write(Kind::kUpdate, "u", 5))), "cannot");
  EXPECT_EQ(shown(folded(add, write(Kind::kPut, "p"))), "put p");
  EXPECT_EQ(shown(folded(add, write(Kind::kRemove))), "remove");
}

TEST(Fold, a_batch_is_added_whole_or_not_at_all) {
  Fold fold;
  Batch first(1);
  first.insert("a", "1");
  first.merge_add("n", 2);
  ASSERT_TRUE(fold.add(first, 1000));
  Batch second(2);
  second.update("a", "2", 1);
  second.merge_max("n", 9);  // not after an add
  EXPECT_FALSE(fold.add(second, 1000));
  EXPECT_EQ(fold.find("a")->value, "1");
  Batch third(3);
  third.update("a", "3", 1);
  third.insert("b", "x");
  ASSERT_TRUE(fold.add(third, 1000));
  EXPECT_EQ(fold.find("a")->value, "3");
  EXPECT_EQ(fold.find("a")->stamp, 3u);
  EXPECT_EQ(fold.find("b")->stamp, 3u);
}

TEST(Fold, is_full_at_its_limit_and_an_empty_one_takes_any_batch) {
  Fold fold;
  Batch large(1);
  large.insert("a", std::string(500, 'x'));
  ASSERT_TRUE(fold.add(large, 100));
  const size_t bytes = fold.bytes();
  Batch more(2);
  more.insert("b", "");
  EXPECT_FALSE(fold.add(more, 100));
  EXPECT_TRUE(fold.add(more, 1000));
  EXPECT_EQ(fold.bytes(), bytes + 17);
}

}  // namespace
}  // namespace shoal::engine
