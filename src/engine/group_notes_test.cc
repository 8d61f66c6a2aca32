// What operations answered travels in the group of what they committed; and the fence.
#include "engine/group_test_util.h"
#include "engine/notes.h"
#include "sys/thread.h"

namespace shoal::engine {
namespace {

struct GroupNotesTest : GroupWorld, ::testing::Test {
  // The notes of group n underneath.
  std::vector<std::string> notes(uint64_t n) {
    const auto found = memory->get(nullptr, number_key(n)).value();
    return found ? unpack_notes(found->value).value() : std::vector<std::string>{"no such group"};
  }
  uint64_t operation(const std::string& key, const std::string& note) {
    engine->begin_operation();
    commit([&](Batch& b) { b.insert(key, "v"); });
    return engine->end_operation(note);
  }
};

TEST_F(GroupNotesTest, a_note_is_underneath_together_with_what_its_operation_committed) {
  EXPECT_EQ(operation("a", "did a"), 1u);
  EXPECT_EQ(operation("b", "did b"), 1u);
  EXPECT_EQ(memory->get(nullptr, "a").value(), std::nullopt);
  executor.run_all();
  EXPECT_EQ(commits, 1);
  EXPECT_EQ(notes(1), (std::vector<std::string>{"did a", "did b"}));
}

TEST_F(GroupNotesTest, an_operation_that_committed_nothing_leaves_no_note) {
  engine->begin_operation();
  EXPECT_EQ(engine->end_operation("did nothing"), 0u);
  executor.run_all();
  EXPECT_EQ(commits, 0);
}

TEST_F(GroupNotesTest, what_commits_outside_of_operations_carries_none) {
  commit([](Batch& b) { b.insert("a", "v"); });
  executor.run_all();
  EXPECT_EQ(notes(1), std::vector<std::string>{});
}

// The group would wait for the operation, and the operation for the group.
TEST_F(GroupNotesTest, an_operation_may_wait_until_what_it_committed_is_durable) {
  engine->begin_operation();
  commit([](Batch& b) { b.insert("a", "v"); });
  bool synced = false;
  engine->when_durable([&](const Status& s) { synced = s.ok(); });
  Thread sender("sender", [this] { executor.run_ready(); });
  EXPECT_TRUE(engine->sync().ok());
  sender.join();
  EXPECT_TRUE(synced);
  EXPECT_EQ(engine->end_operation("did a"), 2u) << "its group has gone";
  executor.run_all();
  EXPECT_EQ(notes(2), std::vector<std::string>{"did a"});
}

TEST_F(GroupNotesTest, a_group_goes_when_none_of_its_notes_is_needed_and_there_is_a_newer_one) {
  operation("a", "1");
  operation("b", "2");
  executor.run_all();
  engine->forget_note(1);
  operation("c", "3");
  executor.run_all();
  EXPECT_EQ(notes(1), (std::vector<std::string>{"1", "2"})) << "one of them is still needed";
  engine->forget_note(1);
  operation("d", "4");
  executor.run_all();
  EXPECT_EQ(notes(1), std::vector<std::string>{"no such group"});
  EXPECT_EQ(notes(2), std::vector<std::string>{"3"});
  EXPECT_EQ(notes(3), std::vector<std::string>{"4"});
}

TEST_F(GroupNotesTest, a_note_may_be_forgotten_before_its_group_is_underneath) {
  engine->forget_note(operation("a", "1"));
  executor.run_all();
  operation("b", "2");
  executor.run_all();
  EXPECT_EQ(notes(1), std::vector<std::string>{"no such group"});
}

TEST_F(GroupNotesTest, notes_of_more_than_a_value_lie_in_several_keys_which_go_together) {
  const std::string much(kNoteBytesMax, 'x');
  for (const char* key : {"a", "b", "c"}) operation(key, much);
  executor.run_all();
  EXPECT_EQ(commits, 1);
  std::vector<std::string> all;
  size_t keys = 0;
  for (const Item& item : memory->scan(nullptr, "N", "O", 100).value().items) {
    ++keys;
    for (std::string& note : unpack_notes(item.value).value()) all.push_back(std::move(note));
  }
  EXPECT_EQ(keys, 3u);
  EXPECT_EQ(all, std::vector<std::string>(3, much));
  for (int i = 0; i < 3; ++i) engine->forget_note(1);
  operation("d", "4");
  executor.run_all();
  EXPECT_EQ(memory->scan(nullptr, "N", "O", 100).value().items.size(), 1u);
}

TEST_F(GroupNotesTest, a_group_whose_outcome_is_unknown_is_sent_again_as_it_was) {
  operation("a", "1");
  int tries = 0;
  decide = [&] { return ++tries == 1 ? Fault::kUnknownApplied : Fault::kNone; };
  executor.run_ready();
  const uint64_t later = operation("b", "2");
  executor.run_all();
  EXPECT_EQ(notes(1), std::vector<std::string>{"1"});
  EXPECT_EQ(notes(later), std::vector<std::string>{"2"});
}

TEST_F(GroupNotesTest, what_earlier_owners_left_goes_when_it_is_forgotten) {
  operation("a", "1");
  operation("b", "2");
  executor.run_all();
  engine.reset();
  engine = make_group_commit(*faulty, executor, {number_key, 2, "", {{1, 2, 1}}});
  engine->forget_note(1);
  operation("c", "3");
  executor.run_all();
  EXPECT_EQ(notes(1).size(), 2u);
  engine->forget_note(1);
  operation("d", "4");
  executor.run_all();
  EXPECT_EQ(notes(1), std::vector<std::string>{"no such group"});
}

TEST_F(GroupNotesTest, whoever_writes_the_fence_afterwards_ends_this_owner) {
  engine = make_group_commit(*faulty, executor, {number_key, 1, "F", {}});
  commit([](Batch& b) { b.insert("F", "epoch 1"); });
  executor.run_all();
  operation("a", "1");
  executor.run_all();
  EXPECT_FALSE(engine->broken());
  Batch other(1000);
  other.update("F", "epoch 2", 1);
  ASSERT_TRUE(memory->commit(other).ok());
  operation("b", "2");
  executor.run_all();
  EXPECT_TRUE(engine->broken());
  EXPECT_EQ(memory->get(nullptr, "b").value(), std::nullopt);
  EXPECT_EQ(engine->get(nullptr, "a").code(), EIO);
}

TEST_F(GroupNotesTest, an_owner_that_writes_its_fence_again_goes_on) {
  engine = make_group_commit(*faulty, executor, {number_key, 1, "F", {}});
  const Stamp first = commit([](Batch& b) { b.insert("F", "epoch 1"); });
  executor.run_all();
  commit([&](Batch& b) { b.update("F", "epoch 1, other settings", first); });
  executor.run_all();
  operation("a", "1");
  executor.run_all();
  EXPECT_FALSE(engine->broken());
  EXPECT_NE(memory->get(nullptr, "a").value(), std::nullopt);
}

TEST(Notes, a_value_that_is_none_is_refused) {
  EXPECT_EQ(unpack_notes(std::string("\x05"
                                     "abc"))
                .code(),
            EBADMSG);
  EXPECT_TRUE(unpack_notes("").value().empty());
}

}  // namespace
}  // namespace shoal::engine
