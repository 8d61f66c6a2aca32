// Sessions, exactly-once and locks, over real sockets whose connections are cut.
#include <set>

#include "metasvc/service_test_util.h"
#include "sys/on_behalf.h"

namespace shoal::metasvc {
namespace {

TEST_F(ServiceTest, two_mounts_see_what_the_other_did_at_once) {
  Mount &one = mount(), &two = mount();
  const Ino ino = one.metadata->mkdir(one.request, kRootIno, "dir", 0755).value().ino;
  EXPECT_EQ(two.metadata->lookup(two.request, kRootIno, "dir").value().ino, ino);
  EXPECT_EQ(two.metadata->mkdir(two.request, kRootIno, "dir", 0755).code(), EEXIST);
  two.metadata->rmdir(two.request, kRootIno, "dir").value();
  EXPECT_EQ(one.metadata->getattr(one.request, ino).code(), ENOENT);
  EXPECT_EQ(service->sessions().size(), 2u);
  ASSERT_TRUE(one.metadata->session_close(one.request.session).ok());
  EXPECT_EQ(service->sessions().size(), 1u);
}

TEST_F(ServiceTest, a_mount_learns_where_another_serves_what_it_has_staged) {
  Mount &one = mount(), &two = mount();
  const uint32_t store =
      one.metadata
          ->store_open(one.request.session, Uuid{{5}}, "node", "/state", 1, "tcp:10.0.0.1:99")
          .value();
  one.metadata->segment_open(one.request, {1, 1}, store).value();
  const meta::SegmentPlace place = two.metadata->segment_place({1, 1}).value();
  EXPECT_EQ(place.store, store);
  EXPECT_EQ(place.host, "node");
  EXPECT_EQ(place.address, "tcp:10.0.0.1:99");
  EXPECT_EQ(two.metadata->segment_place({1, 2}).code(), ENOENT);
  one.metadata->segment_stored(one.request, {1, 1}, 100, true).value();
  EXPECT_EQ(two.metadata->segment_place({1, 1})->state, format::Segment::State::kStored);
}

TEST_F(ServiceTest, a_session_hears_that_another_writes_its_file_also_when_its_connection_was_cut) {
  Mount &one = mount(), &two = mount();
  struct Heard {
    Mutex mutex;
    std::set<Ino> inos GUARDED_BY(mutex);  // may be heard again, in any order
  };
  const auto heard = std::make_shared<Heard>();
  one.metadata->session_events(one.request.session, [heard](const meta::SessionEvent& event) {
    MutexLock lock(heard->mutex);
    if (event.kind == meta::SessionEvent::Kind::kWrittenBySeveral) heard->inos.insert(event.ino);
  });
  const auto told = [&](Ino ino) {
    return eventually([&] {
      MutexLock lock(heard->mutex);
      return heard->inos.contains(ino);
    });
  };
  constexpr meta::OpenFlags kWrite{false, true};
  const auto make = [&](const std::string& name) {
    const auto made = one.metadata->create(one.request, kRootIno, name, 0644, kWrite, true);
    EXPECT_FALSE(made->opened.written_by_several);
    return made->opened.attr.ino;
  };
  const Ino first = make("first"), second = make("second");
  EXPECT_TRUE(two.metadata->open(two.request, first, kWrite)->written_by_several);
  EXPECT_TRUE(told(first));
  cut_all();  // there is nobody to tell until it has connected again
  EXPECT_TRUE(owner->metadata().open(two.request, second, kWrite)->written_by_several);
  EXPECT_TRUE(told(second));
}

TEST_F(ServiceTest, what_changes_something_happens_once_however_often_the_connection_is_cut) {
  constexpr int kThreads = 4, kEach = 150;
  Mount& shared = mount();  // before: opening a session again leaves one behind, for its TTL
  std::atomic<bool> done = false;
  Thread cutter("cutter", [&] {
    while (!done) {
      cut_all();
      Mutex never;
      CondVar nobody;
      MutexLock lock(never);
      nobody.wait_for(never, 2ms);
    }
  });
  std::vector<Thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back("worker", [&, t] { make_move_remove(shared, t, kEach); });
  }
  for (Thread& thread : threads) thread.join();
  done = true;
  cutter.join();
  EXPECT_EQ(owner->metadata().getattr({}, kRootIno).value().entries,
            static_cast<uint64_t>(kThreads * kEach / 2));
  EXPECT_FALSE(shared.lost);
  EXPECT_EQ(service->sessions().size(), 1u);
}

TEST_F(ServiceTest, a_lock_that_is_waited_for_is_granted_over_a_connection_that_came_later) {
  Mount &one = mount(), &two = mount();
  const Ino ino = one.metadata->mknod(one.request, kRootIno, "f", S_IFREG | 0644, 0).value().ino;
  for (int round = 0; round < 20; ++round) {
    ASSERT_TRUE(one.metadata->lock_set(one.request, ino, write_lock(1)).ok());
    std::atomic<int> told = -1;
    two.metadata->lock_wait(two.request, ino, write_lock(2),
                            [&told](const Status& status) { told = status.code(); });
    if (round % 2 == 0) cut_all();
    EXPECT_EQ(told, -1);
    one.metadata->release_posix_locks(one.request, ino, 1);
    if (round % 3 == 0) cut_all();
    ASSERT_TRUE(eventually([&] { return told == 0; })) << "round " << round;
    two.metadata->release_posix_locks(two.request, ino, 2);
  }
}

TEST_F(ServiceTest, a_wait_for_a_lock_can_be_given_up) {
  Mount &one = mount(), &two = mount();
  const Ino ino = one.metadata->mknod(one.request, kRootIno, "f", S_IFREG | 0644, 0).value().ino;
  ASSERT_TRUE(one.metadata->lock_set(one.request, ino, write_lock(1)).ok());
  std::atomic<int> told = -1;
  const uint64_t ticket = two.metadata->lock_wait(
      two.request, ino, write_lock(2), [&told](const Status& status) { told = status.code(); });
  two.metadata->lock_cancel(ticket);
  EXPECT_TRUE(eventually([&] { return told == EINTR; }));
}

TEST_F(ServiceTest, a_session_that_was_silent_for_too_long_ends_and_its_locks_are_free) {
  Mount& silent = mount({.heartbeat = 1h});
  Mount& other = mount({.heartbeat = 1h});
  const Ino ino =
      silent.metadata->mknod(silent.request, kRootIno, "f", S_IFREG | 0644, 0).value().ino;
  ASSERT_TRUE(silent.metadata->lock_set(silent.request, ino, write_lock(1)).ok());
  clock.advance(59s);
  service->tick();
  EXPECT_EQ(service->sessions().size(), 2u);
  EXPECT_EQ(other.metadata->lock_set(other.request, ino, write_lock(2)).code(), EAGAIN);
  clock.advance(2s);
  service->tick();
  EXPECT_EQ(service->sessions().size(), 1u) << "the other one has spoken meanwhile";
  EXPECT_TRUE(other.metadata->lock_set(other.request, ino, write_lock(2)).ok());
  EXPECT_EQ(silent.metadata->getattr(silent.request, ino).code(), ESTALE);
  EXPECT_TRUE(eventually([&] { return silent.lost.load(); }));
  EXPECT_EQ(silent.metadata->getattr(silent.request, ino).code(), ESTALE);
  // By another session it goes on, what changes something too.
  silent.lost = false;
  silent.request.session = silent.metadata->session_open("host", "again").value();
  EXPECT_EQ(silent.metadata->getattr(silent.request, ino)->ino, ino);
  for (int i = 0; i < 100; ++i)
    silent.metadata->mkdir(silent.request, kRootIno, std::to_string(i), 0755).value();
  EXPECT_FALSE(silent.lost);
}

TEST_F(ServiceTest, the_heartbeat_keeps_a_session_alive) {
  mount({.heartbeat = 1ms});
  for (int i = 0; i < 10; ++i) {
    clock.advance(50s);
    const uint64_t before = server->counts().calls;
    // The second of them at least began after the clock was set forward.
    ASSERT_TRUE(eventually([&] { return server->counts().calls >= before + 2; }));
    service->tick();
    ASSERT_EQ(service->sessions().size(), 1u);
  }
}

TEST_F(ServiceTest, a_hard_mount_waits_for_its_owner_and_goes_on) {
  Mount& hard = mount();
  stop();
  std::atomic<bool> answered = false;
  Thread waiter("waiter", [&] {
    EXPECT_TRUE(hard.metadata->mkdir(hard.request, kRootIno, "dir", 0755).ok());
    answered = true;
  });
  EXPECT_FALSE(answered);
  start();
  waiter.join();
  EXPECT_EQ(hard.metadata->mkdir(hard.request, kRootIno, "dir", 0755).code(), EEXIST);
}

TEST_F(ServiceTest, a_soft_mount_fails_when_nobody_answers_for_its_time) {
  Mount& soft = mount({.soft_timeout = 50ms, .heartbeat = 10ms, .slots = 2});
  for (int round = 0; round < 3; ++round) {
    const std::string name = fmt::format("dir{}", round);
    stop();
    for (int i = 0; i < 3; ++i)  // one more than there are slots
      EXPECT_EQ(soft.metadata->mkdir(soft.request, kRootIno, name, 0755).code(), EIO);
    start();
    // Somebody answers again, and no slot was lost.
    EXPECT_TRUE(eventually(
        [&] { return soft.metadata->mkdir(soft.request, kRootIno, name, 0755).code() != EIO; }));
    EXPECT_EQ(soft.metadata->mkdir(soft.request, kRootIno, name, 0755).code(), EEXIST);
  }
}

TEST_F(ServiceTest, a_program_that_is_killed_does_not_wait_for_the_owner) {
  Mount& hard = mount();
  stop();
  const OnBehalf program([] { return true; });
  EXPECT_EQ(hard.metadata->mkdir(hard.request, kRootIno, "dir", 0755).code(), EINTR);
}

TEST_F(ServiceTest, more_requests_at_once_than_slots_wait_their_turn) {
  Mount& few = mount({.slots = 2});
  std::vector<Thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back("worker", [&, t] {
      for (int i = 0; i < 20; ++i) {
        const auto made =
            few.metadata->mkdir(few.request, kRootIno, fmt::format("d{}-{}", t, i), 0755);
        ASSERT_TRUE(made.ok()) << made.error().to_string();
      }
    });
  }
  for (Thread& thread : threads) thread.join();
  EXPECT_EQ(owner->metadata().getattr({}, kRootIno).value().entries, 160u);
}

}  // namespace
}  // namespace shoal::metasvc
