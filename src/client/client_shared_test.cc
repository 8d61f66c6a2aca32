// Two mounts of one volume: what each promise of docs/semantics.md, "Shared volumes", means.
#include <gtest/gtest.h>

#include <algorithm>

#include "client/shared_test_util.h"
#include "sys/thread.h"

namespace shoal::client {
namespace {

using meta::LockType;

constexpr OpenOptions kRead{.read = true};
constexpr OpenOptions kAppend{.read = true, .write = true, .append = true};

TEST(ClientShared, what_one_mount_closed_another_reads_after_its_open) {
  SharedWorld w;
  w[0].put("f", "one");
  EXPECT_EQ(w[1].content("f"), "one");
  const HandleId again = w[0].open("f");
  w[0].write(again, 1, "NEWER");
  w[0].close(again);
  EXPECT_EQ(w[1].content("f"), "oNEWER");
  EXPECT_EQ(w[1].stat("f").size, 6u);
}

TEST(ClientShared, what_fsync_acknowledged_the_owner_has) {
  SharedWorld w;
  const HandleId file = w[0].create("f");
  w[0].write(file, 0, "synced");
  EXPECT_EQ(w[1].stat("f").size, 0u);
  w[0].client->fsync(file, false).value();
  EXPECT_EQ(w[1].content("f"), "synced");
}

TEST(ClientShared, a_reader_that_has_the_file_open_keeps_its_handle_and_gets_on) {
  SharedWorld w;
  w[0].put("f", "old");
  const HandleId reader = w[1].open("f", kRead);
  EXPECT_EQ(w[1].read(reader), "old");
  w[0].put("f", "newer");
  EXPECT_TRUE(w[1].sink.pages.empty());
  EXPECT_EQ(w[1].stat("f").size, 5u);  // the kernel asks after a second
  EXPECT_EQ(w[1].sink.pages, std::set<Ino>{w[1].ino("f")});
  EXPECT_EQ(w[1].read(reader), "newer");
}

TEST(ClientShared, a_read_that_meets_newer_extents_sees_the_newer_file_whole) {
  SharedWorld w;
  const HandleId writer = w[0].create("f");
  for (uint64_t i = 0; i < 6; ++i)
    w[0].write(writer, 100 * i, "x");  // too many to come with an open
  w[0].client->flush(writer, 0).value();
  const HandleId reader = w[1].open("f", kRead);
  w[0].write(writer, 1000, "END");
  w[0].close(writer);
  w[1].read(reader, 0, 10);
  EXPECT_EQ(w[1].read(reader, 1000), "END");
  EXPECT_TRUE(w[1].sink.pages.contains(w[1].client->ino_of(reader)));
}

TEST(ClientShared, the_kernels_pages_are_kept_if_nobody_else_changed_the_file_and_only_then) {
  SharedWorld w;
  w[0].put("f", "one");
  const auto reopened = [&](size_t mount) {
    const OpenedFile file = w[mount].opened("f", kRead);
    w[mount].read(file.handle);
    w[mount].close(file.handle);
    return file.keep_cache;
  };
  EXPECT_TRUE(reopened(0));
  EXPECT_FALSE(reopened(1));
  EXPECT_TRUE(reopened(1));
  w[0].put("f", "two");
  EXPECT_TRUE(reopened(0));
  EXPECT_FALSE(reopened(1));
  EXPECT_TRUE(reopened(1));
  // Both change it: a commit of ours over one that we have not seen.
  const HandleId ours = w[1].open("f");
  w[0].put("f", "three");
  w[1].write(ours, 0, "T");
  w[1].close(ours);
  EXPECT_FALSE(reopened(1));
  EXPECT_EQ(w[1].content("f"), "Three");
}

TEST(ClientShared, pages_are_not_kept_by_an_open_before_an_earlier_one_has_dropped_them) {
  SharedWorld w;
  w[0].put("f", "one");
  w[1].content("f");
  w[0].put("f", "two");
  const OpenedFile first = w[1].opened("f", kRead);
  EXPECT_FALSE(first.keep_cache);
  EXPECT_FALSE(w[1].opened("f", kRead).keep_cache);  // the first reply may still be on its way
  w[1].read(first.handle);
  EXPECT_TRUE(w[1].opened("f", kRead).keep_cache);
}

TEST(ClientShared, ranges_that_two_mounts_wrote_are_both_there) {
  SharedWorld w;
  w[0].put("f", "..........");
  const HandleId a = w[0].open("f"), b = w[1].open("f", {.write = true});
  w[0].write(a, 0, "AAA");
  w[1].write(b, 5, "BBB");
  w[1].close(b);
  w[0].write(a, 9, "AAA");
  w[0].close(a);
  EXPECT_EQ(w[0].content("f"), "AAA..BBB.AAA");
  EXPECT_EQ(w[1].content("f"), "AAA..BBB.AAA");
}

TEST(ClientShared, what_is_not_committed_stays_laid_over_what_others_commit) {
  SharedWorld w;
  w[0].put("f", "..........");
  // No events: the second opens it only to look.
  const HandleId a = w[0].open("f");
  w[0].write(a, 2, "aa");
  {
    // Another mount's operation that nobody has it open for.
    SetAttrRequest grow;
    grow.size = 14;
    w[1].client->setattr(w[1].who, w[1].ino("f"), grow).value();
  }
  EXPECT_EQ(w[0].stat("f").size, 14u);
  EXPECT_EQ(w[0].read(a), std::string("..aa......\0\0\0\0", 14));
  w[0].close(a);
  EXPECT_EQ(w[1].content("f"), std::string("..aa......\0\0\0\0", 14));
}

TEST(ClientShared, growth_and_truncation_by_another_mount_are_seen_by_getattr) {
  SharedWorld w;
  w[0].put("f", "12345");
  const HandleId open = w[1].open("f");
  const Ino ino = w[1].ino("f");
  const auto size = [&] { return w[1].client->getattr(w[1].who, ino)->size; };
  SetAttrRequest change;
  change.size = 2;
  w[0].client->setattr(w[0].who, ino, change).value();
  EXPECT_EQ(size(), 2u);
  EXPECT_EQ(w[1].read(open), "12");
  change.size = 4;
  w[0].client->setattr(w[0].who, ino, change).value();
  EXPECT_EQ(size(), 4u);
  EXPECT_EQ(w[1].read(open), std::string("12\0\0", 4));
}

TEST(ClientShared, appends_of_two_mounts_never_overwrite_each_other) {
  SharedWorld w;
  w[0].put("log", "");
  // One after the other, each buffered until its close.
  const HandleId a = w[0].open("log", kAppend);
  w[0].write(a, 0, "a1 ");
  const HandleId b = w[1].open("log", kAppend);
  w.run();
  w[1].write(b, 0, "b1 ");
  w[0].write(a, 3, "a2 ");
  w[1].write(b, 3, "b2 ");
  w[0].close(a);
  w[1].close(b);
  EXPECT_EQ(w[0].content("log"), "a1 b1 a2 b2 ");
  EXPECT_EQ(w[1].content("log"), "a1 b1 a2 b2 ");
}

TEST(ClientShared, an_append_goes_behind_what_others_committed_meanwhile) {
  SharedWorld w;
  w[0].put("log", "0");
  const HandleId a = w[0].open("log", kAppend);
  w[0].write(a, 1, "aa");
  SetAttrRequest grow;
  grow.size = 3;
  w[1].client->setattr(w[1].who, w[1].ino("log"), grow).value();
  EXPECT_EQ(w[0].stat("log").size, 5u);
  w[0].write(a, 3, "AA");
  EXPECT_EQ(w[0].read(a), std::string("0\0\0aaAA", 7));
  w[0].close(a);
  EXPECT_EQ(w[1].content("log"), std::string("0\0\0aaAA", 7));
  EXPECT_TRUE(w[0].sink.pages.contains(w[0].ino("log")));
}

TEST(ClientShared, what_is_left_of_a_list_is_laid_over_what_a_commit_met) {
  SharedWorld w;
  w[0].put("f", "0");
  const HandleId plain = w[0].open("f"), append = w[0].open("f", kAppend);
  for (uint64_t i = 0; i < kPageEntriesMax; ++i) w[0].write(plain, 2 * i, "x");
  w[0].write(append, 1999, "END");
  SetAttrRequest grow;
  grow.size = 3000;
  w[1].client->setattr(w[1].who, w[1].ino("f"), grow).value();
  std::vector<std::string> seen;  // after the first message with records
  w[0].sink.on_pages = [&] { seen.push_back(w[0].read(plain, 2998)); };
  w[0].client->fsync(plain, false).value();
  ASSERT_FALSE(seen.empty());
  EXPECT_EQ(seen[0], std::string("\0\0END", 5));
  EXPECT_EQ(w[1].content("f").substr(2998), std::string("\0\0END", 5));
}

TEST(ClientShared, what_was_written_under_a_lock_is_committed_when_its_handle_goes) {
  SharedWorld w;
  w[0].put("f", "old.");
  const HandleId a = w[0].open("f"), other = w[0].open("f", kRead), b = w[1].open("f", kRead);
  ASSERT_TRUE(w[0].lock_set(other, LockType::kWrite).ok());
  w[0].write(a, 0, "NEW");
  w[0].client->release(other).value();
  ASSERT_TRUE(w[1].lock_set(b, LockType::kWrite).ok());
  EXPECT_EQ(w[1].read(b), "NEW.");
}

TEST(ClientShared, the_first_writer_writes_through_once_another_mount_writes_too) {
  SharedWorld w;
  w[0].put("f", "....");
  const OpenedFile a = w[0].opened("f");
  EXPECT_FALSE(a.direct);
  w[0].write(a.handle, 0, "A");
  EXPECT_EQ(w[1].content("f"), "....");
  const OpenedFile b = w[1].opened("f", {.write = true});
  EXPECT_TRUE(b.direct);
  w.run();
  EXPECT_EQ(w[1].content("f"), "A...");
  w[0].write(a.handle, 1, "A");
  EXPECT_EQ(w[1].content("f"), "AA..");
  w[1].write(b.handle, 2, "B");
  EXPECT_EQ(w[0].content("f"), "AAB.");
  EXPECT_TRUE(w[0].opened("f", kRead).direct);
}

TEST(ClientShared, a_lock_grant_sees_what_the_unlocker_wrote) {
  SharedWorld w;
  w[0].put("f", "old.");
  const HandleId a = w[0].open("f"), b = w[1].open("f", kRead);
  EXPECT_EQ(w[1].read(b), "old.");
  ASSERT_TRUE(w[0].lock_set(a, LockType::kWrite).ok());
  w[0].write(a, 0, "NEW");
  EXPECT_EQ(w[1].lock_set(b, LockType::kWrite).code(), EAGAIN);
  ASSERT_TRUE(w[0].lock_set(a, LockType::kUnlock).ok());
  ASSERT_TRUE(w[1].lock_set(b, LockType::kWrite).ok());
  EXPECT_TRUE(w[1].sink.pages.contains(w[1].ino("f")));
  EXPECT_EQ(w[1].read(b), "NEW.");
}

TEST(ClientShared, a_lock_that_was_waited_for_sees_what_the_unlocker_wrote) {
  SharedWorld w;
  w[0].put("f", "old.");
  const HandleId a = w[0].open("f"), b = w[1].open("f", kRead);
  EXPECT_EQ(w[1].read(b), "old.");
  ASSERT_TRUE(w[0].lock_set(a, LockType::kWrite).ok());
  std::optional<Status> granted;
  w[1].client->lock_wait(w[1].who, w[1].ino("f"), w[1].lock(b, LockType::kWrite),
                         [&](Status status) { granted = std::move(status); });
  w[1].sink.pages.clear();
  w[0].write(a, 0, "NEW");
  w[0].close(a);  // drops the lock
  w.run();
  ASSERT_TRUE(granted && granted->ok());
  EXPECT_TRUE(w[1].sink.pages.contains(w[1].client->ino_of(b)));
  EXPECT_EQ(w[1].read(b), "NEW.");
}

TEST(ClientShared, names_are_the_owners_on_every_mount) {
  SharedWorld w;
  w[0].put("a", "A");
  w[1].put("b", "B");
  w[1].client->rename(w[1].who, kRootIno, "a", kRootIno, "b", meta::RenameMode::kReplace).value();
  EXPECT_EQ(w[0].client->lookup(w[0].who, kRootIno, "a").code(), ENOENT);
  EXPECT_EQ(w[0].content("b"), "A");
  // Removed there while open here: readable and writable until it is closed.
  const HandleId open = w[0].open("b");
  w[1].client->unlink(w[1].who, kRootIno, "b").value();
  EXPECT_EQ(w[0].client->lookup(w[0].who, kRootIno, "b").code(), ENOENT);
  w[0].write(open, 1, "more");
  w[0].client->fsync(open, false).value();
  EXPECT_EQ(w[0].read(open), "Amore");
  w[0].close(open);
  EXPECT_EQ(w.metadata().usage()->inodes, 1u);
}

TEST(ClientShared, a_rename_of_what_another_mount_still_writes_keeps_both) {
  SharedWorld w;
  w[0].put("f", "1");
  const HandleId open = w[0].open("f");
  w[0].write(open, 1, "2");
  w[1].client->rename(w[1].who, kRootIno, "f", kRootIno, "g", meta::RenameMode::kReplace).value();
  w[0].write(open, 2, "3");
  w[0].close(open);
  EXPECT_EQ(w[1].content("g"), "123");
}

TEST(ClientShared, a_rename_over_a_file_waits_until_the_bucket_has_what_another_mount_staged) {
  RealNet net;
  ThreadPool pool("rpc", 2);
  SystemClock clock;
  SystemRandom random;
  SharedWorld w(1);
  data::Holders holders({net, pool, clock, random}, w.metadata(),
                        {.volume = "v", .timeout = std::chrono::milliseconds(100)});
  w.holders = &holders;
  SharedWorld::Mount& other = w.add();
  holders.own_store(other.number);
  w[0].put("old", "OLD");
  w[0].put("new", "NEW");
  const auto rename = [&] {
    return other.client->rename(other.who, kRootIno, "new", kRootIno, "old",
                                meta::RenameMode::kReplace);
  };
  other.client
      ->setxattr(other.who, kRootIno, kDurabilityXattr, "object",
                 meta::Metadata::XattrMode::kEither, false)
      .value();
  EXPECT_EQ(rename().code(), EIO) << "its holder serves nobody";
  EXPECT_EQ(other.content("old"), "OLD");
  EXPECT_EQ(other.content("new"), "NEW");
  const auto extents = other.client->extents_of(other.who, other.ino("new")).value();
  ASSERT_EQ(extents.size(), 1u);
  EXPECT_TRUE(w[0].staging->upload_soon(extents[0].target.segment));
  EXPECT_FALSE(other.staging->upload_soon(extents[0].target.segment));
  w.run();
  rename().value();
  EXPECT_EQ(w[0].content("old"), "NEW");
  pool.stop();
}

TEST(ClientShared, a_second_session_waits_until_the_first_has_committed_what_it_closed) {
  SharedWorld w(1);
  SharedWorld::Mount& first = w[0];
  first.put("f", "closed");
  EXPECT_FALSE(first.client->shared());
  EXPECT_EQ(w.metadata().lookup({}, kRootIno, "f")->size, 0u);  // journaled only
  SharedWorld::Mount& second = w.add();
  EXPECT_TRUE(first.client->shared());
  EXPECT_TRUE(second.client->shared());
  EXPECT_EQ(first.sink.everything, 1);
  EXPECT_EQ(second.content("f"), "closed");
  EXPECT_FALSE(second.client->open_directory(second.who, kRootIno)->cache);
}

TEST(ClientShared, what_a_dead_mount_did_not_commit_is_not_laid_over_what_others_did) {
  SharedWorld w;
  w[0].put("f", "....");
  w[0].put("g", "....");
  const HandleId f = w[0].open("f"), g = w[0].open("g");
  w[0].write(f, 0, "LOST");
  w[0].write(g, 0, "LATE");
  for (const Ino ino : {w[0].ino("f"), w[0].ino("g")}) {
    const InodeRef inode = w[0].client->inodes().find(ino);
    w[0].client->committer().journal(*inode).value();
  }
  SetAttrRequest cut;
  cut.size = 2;
  w[1].client->setattr(w[1].who, w[1].ino("f"), cut).value();
  w[0].kill();
  w[0].start();
  EXPECT_EQ(w[0].replay.applied, 1u);
  EXPECT_EQ(w[0].replay.conflicts, 1u);
  EXPECT_EQ(w[1].content("f"), "..");
  EXPECT_EQ(w[1].content("g"), "LATE");
}

TEST(ClientShared, records_behind_a_refused_one_are_refused_though_they_knew_the_newer_version) {
  SharedWorld w;
  w[1].put("f", "....");
  const HandleId open = w[0].open("f");
  InodeRef inode = w[0].client->inodes().find(w[0].ino("f"));
  w[0].write(open, 0, "LOST");
  w[0].client->committer().journal(*inode).value();
  SetAttrRequest cut;
  cut.size = 2;
  w[1].client->setattr(w[1].who, w[1].ino("f"), cut).value();
  EXPECT_EQ(w[0].stat("f").size, 4u);  // what it wrote lies over what it sees
  w[0].write(open, 4, "TOO");
  w[0].client->committer().journal(*inode).value();
  inode.reset();
  w[0].kill();
  w[0].start();
  EXPECT_EQ(w[0].replay.conflicts, 2u);
  EXPECT_EQ(w[1].content("f"), "..");
}

TEST(ClientShared, appends_of_a_dead_mount_go_behind_what_others_wrote_before_its_last_commit) {
  SharedWorld w;
  w[0].put("f", "0");
  const HandleId append = w[0].open("f", kAppend);
  InodeRef inode = w[0].client->inodes().find(w[0].ino("f"));
  meta::DataRecord first;
  for (const char* bytes : {"aa", "AA"}) {
    w[0].write(append, 0, bytes);
    w[0].client->committer().make_durable(*inode).value();
    MutexLock lock(inode->latch);
    first = inode->list.at(inode->list.first_id()).place.record;
  }
  inode.reset();
  const HandleId other = w[1].open("f");
  w[1].write(other, 1, "BBBBBBBBB");
  w[1].close(other);
  // It dies between the two messages of one commit.
  first.live = first.append = true;
  const auto reply = w.metadata().commit_data({}, w[0].number, {first});
  EXPECT_EQ(reply->outcomes[0].placed_at, 10u);
  w[0].kill();
  w[0].start();
  EXPECT_EQ(w[0].replay.applied, 1u);
  EXPECT_EQ(w[1].content("f"), "0BBBBBBBBBaaAA");
}

TEST(ClientShared, a_replay_knows_what_was_committed_before_others_wrote) {
  SharedWorld w;
  w[0].put("f", "AAAA");
  w[1].put("f", "BB");
  w[0].kill();
  w[0].start();
  EXPECT_EQ(w[0].replay.conflicts, 0u);
  EXPECT_EQ(w[0].replay.already, w[0].replay.records);
  EXPECT_GT(w[0].replay.records, 0u);
  EXPECT_EQ(w[0].content("f"), "BBAA");
}

TEST(ClientShared, after_a_lost_session_clean_handles_go_on_and_the_others_are_dead_until_closed) {
  SharedWorld w;
  w[0].put("f", "one");
  w[0].put("dirty", "one");
  w[0].put("locked", "one");
  const HandleId clean = w[0].open("f"), reader = w[0].open("dirty", kRead),
                 dirty = w[0].open("dirty"), locked = w[0].open("locked");
  w[0].write(dirty, 0, "LOST");
  ASSERT_TRUE(w[0].lock_set(locked, LockType::kWrite).ok());
  w.metadata().session_close(w[0].session).value();  // it was silent for too long
  const HandleId other = w[1].open("locked");
  ASSERT_TRUE(w[1].lock_set(other, LockType::kWrite).ok());
  w[1].put("f", "two");
  w[0].new_session();
  for (const HandleId dead : {dirty, locked}) {
    std::string bytes(4, '?');
    EXPECT_EQ(w[0].client->read(dead, 0, as_mutable_bytes(bytes)).code(), EIO);
    EXPECT_EQ(w[0].client->write(w[0].who, dead, 0, as_bytes(std::string_view("x")), false).code(),
              EIO);
    EXPECT_EQ(w[0].client->fsync(dead, false).code(), EIO);
    EXPECT_EQ(w[0].client->flush(dead, 0).code(), EIO);
    EXPECT_TRUE(w[0].client->release(dead).ok());
  }
  EXPECT_EQ(w[0].client->status().uncommitted_operations, 0u);
  EXPECT_EQ(w[0].read(reader), "one");
  EXPECT_EQ(w[0].read(clean), "two");
  w[0].write(clean, 0, "T");
  w[0].close(clean);
  EXPECT_EQ(w[1].content("f"), "Two");
  EXPECT_EQ(w[1].content("dirty"), "one");
  EXPECT_EQ(w[0].content("dirty"), "one");
  // Open at the new session: unlinked, it is still there.
  w[1].client->unlink(w[1].who, kRootIno, "dirty").value();
  EXPECT_EQ(w[0].read(reader), "one");
}

// A counter under a lock, and a log that everybody appends to, by threads of two mounts.
TEST(ClientShared, threads_of_two_mounts_lose_no_increment_and_no_line) {
  constexpr int kThreads = 3, kEach = 40;
  ThreadPool pool("work", 3);
  SharedWorld w(2, &pool);
  w[0].put("counter", "0");
  w[0].put("log", "");
  const auto locked = [](SharedWorld::Mount& mount, HandleId handle) {
    Mutex mutex;
    CondVar changed;
    std::optional<Status> granted;
    mount.client->lock_wait(mount.who, mount.client->ino_of(handle),
                            mount.lock(handle, LockType::kWrite), [&](Status status) {
                              MutexLock lock(mutex);
                              granted = std::move(status);
                              changed.notify_all();
                            });
    MutexLock lock(mutex);
    while (!granted) changed.wait(mutex);
    return granted->ok();
  };
  const auto work = [&](SharedWorld::Mount& mount, char name) {
    for (int i = 0; i < kEach; ++i) {
      const HandleId counter = mount.open("counter");
      CHECK(locked(mount, counter));
      const int count = std::stoi(mount.read(counter));
      mount.write(counter, 0, std::to_string(count + 1));
      mount.close(counter);  // unlocks
      const HandleId log = mount.open("log", kAppend);
      mount.write(log, 0, std::string(1, name));
      mount.write(log, 0, std::string(1, name));
      mount.close(log);
      mount.stat("log");
    }
  };
  {
    std::vector<std::unique_ptr<Thread>> threads;
    for (int t = 0; t < 2 * kThreads; ++t) {
      threads.push_back(std::make_unique<Thread>("worker", [&work, &w, t] {
        work(w[static_cast<size_t>(t % 2)], static_cast<char>('a' + t));
      }));
    }
    for (const auto& thread : threads) thread->join();
  }
  for (size_t m = 0; m < 2; ++m) {
    EXPECT_EQ(w[m].content("counter"), std::to_string(2 * kThreads * kEach));
    const std::string log = w[m].content("log");
    for (int t = 0; t < 2 * kThreads; ++t)
      EXPECT_EQ(std::count(log.begin(), log.end(), static_cast<char>('a' + t)), 2 * kEach);
  }
}

// Under a lock a file is one file, whichever mount has it.
void run_locked(uint64_t seed) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  SharedWorld w(3);
  sim::SeededRandom random(seed);
  w[0].put("f", "");
  std::string model;
  std::vector<HandleId> handles, appenders;
  for (size_t m = 0; m < 3; ++m) {
    handles.push_back(w[m].open("f"));
    appenders.push_back(w[m].open("f", kAppend));
  }
  for (int step = 0; step < 300; ++step) {
    const size_t m = random.u64() % 3;
    SharedWorld::Mount& mount = w[m];
    ASSERT_TRUE(mount.lock_set(handles[m], LockType::kWrite).ok());
    ASSERT_EQ(mount.read(handles[m]), model) << "step " << step;
    for (uint64_t count = random.u64() % 4; count > 0; --count) {
      const uint64_t at = random.u64() % 40;
      const std::string bytes(1 + random.u64() % 10, static_cast<char>('a' + random.u64() % 26));
      switch (random.u64() % 4) {
        case 0: {
          SetAttrRequest cut;
          cut.size = at;
          cut.handle = handles[m];
          mount.client->setattr(mount.who, mount.client->ino_of(handles[m]), cut).value();
          model.resize(at);
          break;
        }
        case 1:
          mount.write(appenders[m], model.size(), bytes);
          model += bytes;
          break;
        default:
          mount.write(handles[m], at, bytes);
          if (model.size() < at + bytes.size()) model.resize(at + bytes.size());
          model.replace(at, bytes.size(), bytes);
          break;
      }
      ASSERT_EQ(mount.read(handles[m]), model) << "step " << step;
    }
    ASSERT_TRUE(mount.lock_set(handles[m], LockType::kUnlock).ok());
    if (random.u64() % 8 == 0) w.run();
    ASSERT_EQ(w[random.u64() % 3].stat("f").size, model.size()) << "step " << step;
  }
}

TEST(ClientShared, under_a_lock_a_file_is_one_file_on_three_mounts) {
  for (uint64_t seed = 1; seed <= 10; ++seed) run_locked(seed);
}

}  // namespace
}  // namespace shoal::client
