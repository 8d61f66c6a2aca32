#include "meta/lock_table.h"

#include <gtest/gtest.h>

namespace shoal::meta {
namespace {

constexpr Ino kFile = 10;
constexpr uint64_t kEnd = ~uint64_t{0} >> 1;

Lock lock(LockType type, uint64_t start, uint64_t end, uint64_t owner,
          LockKind kind = LockKind::kPosix, uint64_t handle = 0) {
  return {kind, type, start, end, owner, handle == 0 ? owner : handle, 100};
}
Lock read(uint64_t s, uint64_t e, uint64_t o) { return lock(LockType::kRead, s, e, o); }
Lock write(uint64_t s, uint64_t e, uint64_t o) { return lock(LockType::kWrite, s, e, o); }
Lock unlock(uint64_t s, uint64_t e, uint64_t o) { return lock(LockType::kUnlock, s, e, o); }

struct Locks : testing::Test {
  LockTable table;
  int heard = -1;
  LockTable::Done hear() {
    return [this](Status status) { heard = status.code(); };
  }
  bool is_free(uint64_t at, uint64_t owner = 99) {
    return table.get(1, kFile, write(at, at, owner)).type == LockType::kUnlock;
  }
};

TEST_F(Locks, readers_share_writers_exclude) {
  EXPECT_EQ(table.set(1, kFile, read(0, 9, 1)).code(), 0);
  EXPECT_EQ(table.set(1, kFile, read(5, 20, 2)).code(), 0);
  EXPECT_EQ(table.set(1, kFile, write(9, 9, 3)).code(), EAGAIN);
  EXPECT_EQ(table.set(1, kFile, write(21, kEnd, 3)).code(), 0);
  EXPECT_EQ(table.set(2, kFile, write(30, 30, 3)).code(), EAGAIN);  // another session's owner 3
  const Lock found = table.get(1, kFile, write(0, kEnd, 4));
  EXPECT_EQ(found.type, LockType::kRead);
  EXPECT_EQ(found.start, 0u);
  EXPECT_EQ(found.pid, 100u);
  EXPECT_EQ(table.set(1, kFile, read(5, 4, 1)).code(), EINVAL);
}

TEST_F(Locks, ranges_split_merge_and_change_type) {
  ASSERT_TRUE(table.set(1, kFile, write(0, 99, 1)).ok());
  ASSERT_TRUE(table.set(1, kFile, unlock(40, 59, 1)).ok());
  EXPECT_FALSE(is_free(39));
  EXPECT_TRUE(is_free(40));
  EXPECT_TRUE(is_free(59));
  EXPECT_FALSE(is_free(60));
  EXPECT_EQ(table.granted_count(), 2u);
  ASSERT_TRUE(table.set(1, kFile, write(40, 59, 1)).ok());
  EXPECT_EQ(table.granted_count(), 1u);
  ASSERT_TRUE(table.set(1, kFile, read(10, 19, 1)).ok());
  EXPECT_EQ(table.granted_count(), 3u);
  EXPECT_EQ(table.set(1, kFile, read(10, 19, 2)).code(), 0);
  EXPECT_EQ(table.set(1, kFile, read(9, 19, 2)).code(), EAGAIN);
}

TEST_F(Locks, a_waiter_is_woken_by_unlock_close_and_release) {
  ASSERT_TRUE(table.set(1, kFile, write(0, 9, 1)).ok());
  EXPECT_NE(table.wait(1, kFile, write(0, 9, 2), hear()), 0u);
  EXPECT_EQ(heard, -1);
  ASSERT_TRUE(table.set(1, kFile, unlock(0, 9, 1)).ok());
  EXPECT_EQ(heard, 0);
  heard = -1;
  table.wait(1, kFile, read(0, 9, 3), hear());
  table.release_owner(1, kFile, 2);
  EXPECT_EQ(heard, 0);
  heard = -1;
  table.wait(1, kFile, write(0, 9, 4), hear());
  table.release_handle(1, kFile, 3);  // handle of owner 3
  EXPECT_EQ(heard, 0);
  heard = -1;
  table.wait(2, kFile, write(0, 9, 4), hear());
  table.release_session(1);
  EXPECT_EQ(heard, 0);
}

TEST_F(Locks, a_cancelled_wait_hears_eintr_and_gets_nothing) {
  ASSERT_TRUE(table.set(1, kFile, write(0, 9, 1)).ok());
  const uint64_t ticket = table.wait(1, kFile, write(0, 9, 2), hear());
  table.cancel(ticket);
  EXPECT_EQ(heard, EINTR);
  table.release_owner(1, kFile, 1);
  EXPECT_TRUE(is_free(5));
  table.cancel(ticket);  // again: no effect
}

TEST_F(Locks, a_cycle_of_waits_is_edeadlk_for_the_one_who_closes_it) {
  ASSERT_TRUE(table.set(1, kFile, write(0, 0, 1)).ok());
  ASSERT_TRUE(table.set(1, kFile, write(1, 1, 2)).ok());
  ASSERT_TRUE(table.set(1, 11, write(0, 0, 3)).ok());
  table.wait(1, kFile, write(1, 1, 1), hear());  // 1 waits for 2
  table.wait(1, 11, write(0, 0, 2), hear());     // 2 waits for 3
  EXPECT_EQ(heard, -1);
  int closing = -1;
  EXPECT_EQ(table.wait(1, kFile, write(0, 0, 3), [&](Status s) { closing = s.code(); }),
            0u);  // 3 waits for 1
  EXPECT_EQ(closing, EDEADLK);
  EXPECT_EQ(heard, -1);
  table.release_owner(1, 11, 3);
  EXPECT_EQ(heard, 0);
}

TEST_F(Locks, flock_and_record_locks_do_not_meet_and_conversion_gives_up_the_old_one) {
  auto flock = [](LockType type, uint64_t owner) {
    return lock(type, 0, kEnd, owner, LockKind::kFlock);
  };
  ASSERT_TRUE(table.set(1, kFile, write(0, kEnd, 1)).ok());
  ASSERT_TRUE(table.set(1, kFile, flock(LockType::kRead, 5)).ok());
  ASSERT_TRUE(table.set(1, kFile, flock(LockType::kRead, 6)).ok());
  EXPECT_EQ(table.set(1, kFile, flock(LockType::kWrite, 5)).code(),
            EAGAIN);  // and its read lock is gone
  EXPECT_EQ(table.set(1, kFile, flock(LockType::kWrite, 6)).code(), 0);
  table.release_owner(1, kFile, 6);  // close(2) of a descriptor does not drop a flock
  EXPECT_EQ(table.set(1, kFile, flock(LockType::kRead, 5)).code(), EAGAIN);
  table.release_handle(1, kFile, 6);
  EXPECT_EQ(table.set(1, kFile, flock(LockType::kRead, 5)).code(), 0);
}

}  // namespace
}  // namespace shoal::meta
