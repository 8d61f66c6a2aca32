// What sessions keep when the owner of their volume is replaced by a new one.
#include "metasvc/service_test_util.h"

namespace shoal::metasvc {
namespace {

using FailoverTest = ServiceTest;

TEST_F(FailoverTest, what_changes_something_happens_once_however_often_the_owner_dies) {
  constexpr int kThreads = 4, kEach = 100, kDeaths = 15;
  Mount& shared = mount({.heartbeat = 20ms});
  std::atomic<int> at_work = kThreads;
  std::vector<Thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back("worker", [&, t] {
      make_move_remove(shared, t, kEach);
      --at_work;
    });
  }
  int killed = 0;
  while (at_work > 0) {
    if (killed < kDeaths) {
      change_owner();
      ++killed;
    }
    Mutex never;
    CondVar nobody;
    MutexLock lock(never);
    nobody.wait_for(never, 10ms);
  }
  for (Thread& thread : threads) thread.join();
  EXPECT_GT(killed, 3);
  EXPECT_EQ(owner->metadata().getattr({}, kRootIno).value().entries,
            static_cast<uint64_t>(kThreads * kEach / 2));
  EXPECT_FALSE(shared.lost);
  EXPECT_EQ(service->sessions().size(), 1u);
}

TEST_F(FailoverTest, a_lock_outlives_the_owner) {
  Mount &one = mount({.heartbeat = 10ms}), &two = mount({.heartbeat = 10ms});
  const Ino ino = one.metadata->mknod(one.request, kRootIno, "f", S_IFREG | 0644, 0).value().ino;
  ASSERT_TRUE(one.metadata->lock_set(one.request, ino, write_lock(1)).ok());
  change_owner();
  EXPECT_EQ(two.metadata->lock_set(two.request, ino, write_lock(2)).code(), EAGAIN);
  change_owner();
  one.metadata->release_posix_locks(one.request, ino, 1);
  EXPECT_TRUE(two.metadata->lock_set(two.request, ino, write_lock(2)).ok());
  change_owner();
  EXPECT_EQ(one.metadata->lock_set(one.request, ino, write_lock(1)).code(), EAGAIN);
}

TEST_F(FailoverTest, a_lock_that_is_waited_for_is_granted_by_the_next_owner) {
  Mount &one = mount({.heartbeat = 10ms}), &two = mount({.heartbeat = 10ms});
  const Ino ino = one.metadata->mknod(one.request, kRootIno, "f", S_IFREG | 0644, 0).value().ino;
  ASSERT_TRUE(one.metadata->lock_set(one.request, ino, write_lock(1)).ok());
  std::atomic<int> told = -1;
  two.metadata->lock_wait(two.request, ino, write_lock(2),
                          [&told](const Status& status) { told = status.code(); });
  change_owner();
  one.metadata->release_posix_locks(one.request, ino, 1);
  EXPECT_TRUE(eventually([&] { return told == 0; }));
  EXPECT_EQ(one.metadata->lock_set(one.request, ino, write_lock(1)).code(), EAGAIN);
}

TEST_F(FailoverTest, the_locks_of_a_mount_that_does_not_return_are_free_after_its_ttl) {
  Mount& other = mount({.heartbeat = 10ms});
  Ino ino = 0;
  {
    Mount& gone = mount({.heartbeat = 1h});
    ino = gone.metadata->mknod(gone.request, kRootIno, "f", S_IFREG | 0644, 0).value().ino;
    ASSERT_TRUE(gone.metadata->lock_set(gone.request, ino, write_lock(1)).ok());
    mounts.pop_back();  // without a goodbye
  }
  change_owner();
  clock.advance(6s);
  service->tick();  // nobody waits for it any longer
  EXPECT_EQ(other.metadata->lock_set(other.request, ino, write_lock(2)).code(), EAGAIN);
  clock.advance(55s);
  EXPECT_TRUE(other.metadata->getattr(other.request, ino).ok());
  service->tick();
  EXPECT_TRUE(other.metadata->lock_set(other.request, ino, write_lock(2)).ok());
}

TEST_F(FailoverTest, an_open_file_without_a_name_outlives_the_owner) {
  Mount &one = mount({.heartbeat = 10ms}), &two = mount({.heartbeat = 10ms});
  const meta::OpenFlags flags{true, true};
  const Ino ino =
      one.metadata->create(one.request, kRootIno, "f", 0644, flags, true).value().opened.attr.ino;
  ASSERT_TRUE(two.metadata->unlink(two.request, kRootIno, "f").ok());
  change_owner();
  EXPECT_EQ(one.metadata->getattr(one.request, ino).value().nlink, 0u);
  change_owner();
  EXPECT_TRUE(one.metadata->release(one.request, ino, flags).ok());
  EXPECT_EQ(one.metadata->getattr(one.request, ino).code(), ENOENT);
}

TEST_F(FailoverTest, a_file_that_is_open_is_not_freed_by_an_unlink_at_the_next_owner) {
  Mount &one = mount({.heartbeat = 10ms}), &two = mount({.heartbeat = 10ms});
  const meta::OpenFlags flags{true, true};
  const Ino ino =
      one.metadata->create(one.request, kRootIno, "f", 0644, flags, true).value().opened.attr.ino;
  change_owner();
  ASSERT_TRUE(two.metadata->unlink(two.request, kRootIno, "f").ok());
  EXPECT_EQ(one.metadata->getattr(one.request, ino).value().nlink, 0u);
}

TEST_F(FailoverTest, files_are_created_written_and_unlinked_while_owners_die) {
  Mount& one = mount({.heartbeat = 20ms});
  std::atomic<bool> done = false;
  Thread worker("worker", [&] {
    const meta::OpenFlags flags{true, true};
    for (int i = 0; i < 150; ++i) {
      const std::string name = fmt::format("f{}", i);
      const auto made = one.metadata->create(one.request, kRootIno, name, 0644, flags, true);
      ASSERT_TRUE(made.ok()) << made.error().to_string();
      const Ino ino = made->opened.attr.ino;
      const auto unlinked = one.metadata->unlink(one.request, kRootIno, name);
      EXPECT_TRUE(unlinked.ok()) << unlinked.error().to_string();
      const auto attr = one.metadata->getattr(one.request, ino);
      EXPECT_TRUE(attr.ok()) << "file " << i << " is gone though it is open";
      EXPECT_TRUE(one.metadata->release(one.request, ino, flags).ok());
    }
    done = true;
  });
  for (int killed = 0; !done && killed < 30; ++killed) change_owner();
  worker.join();
  EXPECT_EQ(owner->metadata().getattr({}, kRootIno).value().entries, 0u);
}

// Without it the engine would fill up with replies.
TEST_F(FailoverTest, replies_that_were_acknowledged_go) {
  Mount& one = mount({.heartbeat = 1h, .slots = 2});
  for (int i = 0; i < 200; ++i)
    one.metadata->mkdir(one.request, kRootIno, fmt::format("d{}", i), 0755).value();
  ASSERT_TRUE(groups->sync().ok());
  const engine::Page page = engine->scan(nullptr, "N", "O", 1000).value();
  EXPECT_LE(page.items.size(), 5u);
  EXPECT_GE(page.items.size(), 1u);
}

}  // namespace
}  // namespace shoal::metasvc
