#include <gtest/gtest.h>

#include "base/log.h"
#include "client/world_test_util.h"

namespace shoal::client {
namespace {

// Errors that a test provokes are not for the terminal; a test may look at them.
class ClientSync : public testing::Test {
 protected:
  void SetUp() override {
    set_log_sink([this](LogLevel, std::string_view line) { log_ += std::string(line) + "\n"; });
  }
  void TearDown() override { set_log_sink(nullptr); }
  std::string log_;
};

TEST_F(ClientSync, close_journals_and_survives_a_kill_without_an_fdatasync) {
  World world;
  const HandleId file = world.create("f");
  ASSERT_TRUE(world.write(file, 0, "closed").ok());
  world.close(file);
  EXPECT_EQ(world.staging.syncs, 0u);
  world.kill();
  EXPECT_EQ(world.content("f"), "closed");
}

TEST_F(ClientSync, what_was_not_closed_is_lost_by_a_kill_and_nothing_else) {
  World world;
  const HandleId file = world.create("f");
  ASSERT_TRUE(world.write(file, 0, "closed").ok());
  ASSERT_TRUE(world.client->flush(file, 0).ok());
  ASSERT_TRUE(world.write(file, 0, "OPEN").ok());
  world.kill();
  EXPECT_EQ(world.content("f"), "closed");
}

TEST_F(ClientSync, fsync_makes_bytes_and_names_durable_and_syncs_the_engine_only_for_names) {
  World world;
  const HandleId file = world.create("f");
  ASSERT_TRUE(world.write(file, 0, "one").ok());
  world.record();
  ASSERT_TRUE(world.client->fsync(file, false).ok());
  EXPECT_EQ(world.events, (std::vector<std::string>{"sync_staging", "sync_engine"}));
  world.events.clear();
  ASSERT_TRUE(world.write(file, 0, "two").ok());
  ASSERT_TRUE(world.client->fsync(file, false).ok());
  EXPECT_EQ(world.events, (std::vector<std::string>{"sync_staging"}));
  world.events.clear();
  ASSERT_TRUE(world.client->fsync(file, false).ok());
  EXPECT_TRUE(world.events.empty());
  world.cut_power();
  EXPECT_EQ(world.content("f"), "two");
}

TEST_F(ClientSync, class_object_waits_for_commit_store_and_engine_in_this_order) {
  World world;
  world.metadata.durability = format::Durability::kObject;
  world.client.reset();
  world.start();
  const HandleId file = world.create("f");
  ASSERT_TRUE(world.write(file, 0, "one").ok());
  world.record();
  ASSERT_TRUE(world.client->fsync(file, false).ok());
  EXPECT_EQ(world.events, (std::vector<std::string>{"sync_staging", "commit_data", "store_inode",
                                                    "sync_engine"}));
}

TEST_F(ClientSync, the_nearest_ancestor_with_a_setting_decides_the_class) {
  World world;
  const Ino above = world.client->mkdir(world.who, kRootIno, "d", 0755)->ino;
  const Ino below = world.client->mkdir(world.who, above, "e", 0755)->ino;
  const OpenOptions both{.read = true, .write = true};
  const HandleId file = world.client->create(world.who, below, "f", 0644, both, true)->handle;
  auto stores_for_fsync = [&] {
    EXPECT_TRUE(world.write(file, 0, "x").ok());
    const uint64_t before = world.staging.stores;
    EXPECT_TRUE(world.client->fsync(file, false).ok());
    return world.staging.stores - before;
  };
  auto set = [&](Ino ino, std::string_view value) {
    world.client
        ->setxattr(world.who, ino, kDurabilityXattr, value, meta::Metadata::XattrMode::kEither,
                   false)
        .value();
  };
  EXPECT_EQ(stores_for_fsync(), 0u);
  set(above, "object");
  EXPECT_EQ(stores_for_fsync(), 1u);
  set(below, "local");
  EXPECT_EQ(stores_for_fsync(), 0u);
  world.client->removexattr(world.who, below, kDurabilityXattr).value();
  EXPECT_EQ(stores_for_fsync(), 1u);
  // Moving the directory away from the setting.
  world.client->rename(world.who, above, "e", kRootIno, "e", meta::RenameMode::kReplace).value();
  EXPECT_EQ(stores_for_fsync(), 0u);
}

TEST_F(ClientSync, o_sync_makes_each_write_durable_before_its_reply) {
  World world;
  world.close(world.create("f"));
  const HandleId file = world.open(world.ino("f"), {.read = true, .write = true, .sync = true});
  ASSERT_TRUE(world.write(file, 0, "one").ok());
  world.cut_power();
  EXPECT_EQ(world.content("f"), "one");
}

TEST_F(ClientSync, rename_over_a_file_commits_the_new_bytes_first) {
  World world;
  world.close(world.create("old"));
  const HandleId file = world.create("new");
  ASSERT_TRUE(world.write(file, 0, "bytes").ok());
  world.record();
  ASSERT_TRUE(
      world.client->rename(world.who, kRootIno, "new", kRootIno, "old", meta::RenameMode::kReplace)
          .ok());
  EXPECT_EQ(world.events, (std::vector<std::string>{"sync_staging", "commit_data", "rename"}));
  world.client->fsync_dir(kRootIno).value();
  world.cut_power();
  EXPECT_EQ(world.content("old"), "bytes");
}

TEST_F(ClientSync, rename_over_a_name_that_appears_meanwhile_commits_the_new_bytes_first) {
  World world;
  const HandleId file = world.create("new");
  ASSERT_TRUE(world.write(file, 0, "bytes").ok());
  bool made = false;
  world.metadata.before_rename = [&] {
    if (!made) world.close(world.create("old"));
    made = true;
  };
  world.record();
  ASSERT_TRUE(
      world.client->rename(world.who, kRootIno, "new", kRootIno, "old", meta::RenameMode::kReplace)
          .ok());
  EXPECT_LT(world.when("commit_data"), world.events.size() - 1);
  EXPECT_EQ(world.events.back(), "rename");
  EXPECT_EQ(world.content("old"), "bytes");
}

TEST_F(ClientSync, rename_over_in_a_folder_of_class_object_stores_the_new_bytes_first) {
  World world;
  const Ino folder = world.client->mkdir(world.who, kRootIno, "d", 0755)->ino;
  world.client
      ->setxattr(world.who, folder, kDurabilityXattr, "object", meta::Metadata::XattrMode::kEither,
                 false)
      .value();
  const OpenOptions both{.read = true, .write = true};
  world.close(world.client->create(world.who, folder, "old", 0644, both, true)->handle);
  const HandleId file = world.create("new");
  ASSERT_TRUE(world.write(file, 0, "bytes").ok());
  world.record();
  ASSERT_TRUE(
      world.client->rename(world.who, kRootIno, "new", folder, "old", meta::RenameMode::kReplace)
          .ok());
  EXPECT_LT(world.when("commit_data"), world.when("store_inode"));
  EXPECT_LT(world.when("store_inode"), world.when("sync_engine"));
  EXPECT_LT(world.when("sync_engine"), world.when("rename"));
}

TEST_F(ClientSync, exchange_commits_both_and_a_rename_to_a_free_name_none) {
  World world;
  const HandleId a = world.create("a"), b = world.create("b");
  ASSERT_TRUE(world.write(a, 0, "a").ok());
  ASSERT_TRUE(world.write(b, 0, "b").ok());
  world.record();
  ASSERT_TRUE(
      world.client->rename(world.who, kRootIno, "a", kRootIno, "free", meta::RenameMode::kReplace)
          .ok());
  EXPECT_EQ(world.events, (std::vector<std::string>{"rename"}));
  ASSERT_TRUE(
      world.client->rename(world.who, kRootIno, "free", kRootIno, "b", meta::RenameMode::kExchange)
          .ok());
  EXPECT_EQ(world.client->status().uncommitted_operations, 0u);
  EXPECT_EQ(world.events.back(), "rename");
  EXPECT_EQ(world.content("b"), "a");
}

TEST_F(ClientSync, pages_written_after_close_under_any_handle_are_committed_by_the_timer) {
  World world;
  const HandleId one = world.create("f"), two = world.open(world.ino("f"));
  ASSERT_TRUE(world.write(one, 0, "one").ok());
  ASSERT_TRUE(world.client->flush(one, 0).ok());
  ASSERT_TRUE(world.write(one, 3, "late").ok());  // a mapping's page
  world.client->release(one).value();
  world.pump();
  EXPECT_EQ(world.client->status().uncommitted_operations, 0u);
  world.client->release(two).value();
  world.metadata.sync().value();
  world.cut_power();
  EXPECT_EQ(world.content("f"), "onelate");
}

TEST_F(ClientSync, the_list_of_an_inode_without_name_and_handle_ends_and_gives_its_space_back) {
  World world;
  const HandleId file = world.create("f");
  ASSERT_TRUE(world.write(file, 0, "doomed").ok());
  ASSERT_TRUE(world.client->flush(file, 0).ok());
  ASSERT_TRUE(world.client->unlink(world.who, kRootIno, "f").ok());
  EXPECT_EQ(world.read(file), "doomed");  // still open
  EXPECT_EQ(world.client->status().uncommitted_operations, 1u);
  world.client->release(file).value();
  EXPECT_EQ(world.client->status().uncommitted_operations, 0u);
  EXPECT_EQ(world.staging.uncommitted(), 0u);
  EXPECT_EQ(world.client->status().buffered_bytes, 0u);

  const HandleId closed = world.create("g");
  ASSERT_TRUE(world.write(closed, 0, "doomed").ok());
  world.close(closed);
  ASSERT_TRUE(world.client->unlink(world.who, kRootIno, "g").ok());
  EXPECT_EQ(world.client->status().uncommitted_operations, 0u);
  world.pump();
  EXPECT_EQ(world.metadata.commit_calls, 0u);
}

TEST_F(ClientSync, an_unlinked_open_file_keeps_its_bytes_through_commits) {
  World world;
  const HandleId file = world.create("f");
  ASSERT_TRUE(world.client->unlink(world.who, kRootIno, "f").ok());
  ASSERT_TRUE(world.write(file, 0, "bytes").ok());
  world.pump();
  EXPECT_EQ(world.read(file), "bytes");
  EXPECT_EQ(world.client->getattr(world.who, world.client->ino_of(file))->nlink, 0u);
}

TEST_F(ClientSync, a_failed_fdatasync_is_made_good_from_the_buffers) {
  World world;
  const HandleId file = world.create("f");
  ASSERT_TRUE(world.write(file, 0, "one").ok());
  world.pump();
  ASSERT_TRUE(world.write(file, 0, "two").ok());
  ASSERT_TRUE(world.write(file, 100, "far").ok());
  world.staging.fail_syncs = 1;
  EXPECT_TRUE(world.client->fsync(file, false).ok());
  EXPECT_EQ(world.staging.appends, 5u);
  world.cut_power();
  EXPECT_EQ(world.content("f").substr(0, 3), "two");
  EXPECT_EQ(world.metadata.conflicts, 0u);
}

TEST_F(ClientSync, the_timer_makes_good_a_failed_fdatasync_too) {
  World world;
  const HandleId file = world.create("f");
  ASSERT_TRUE(world.write(file, 0, "one").ok());
  world.staging.fail_syncs = 1;
  world.pump();
  EXPECT_EQ(world.client->status().uncommitted_operations, 0u);
  EXPECT_TRUE(world.client->fsync(file, false).ok());
  EXPECT_EQ(world.read(file), "one");
}

TEST_F(ClientSync, every_open_file_hears_of_a_lasting_error_once) {
  World world;
  const HandleId one = world.create("f"), two = world.open(world.ino("f"));
  ASSERT_TRUE(world.write(one, 0, "bytes").ok());
  world.staging.fail_syncs = 3;  // and the tries that follow
  EXPECT_FALSE(world.client->committer().commit_everything().ok());
  EXPECT_EQ(world.client->fsync(one, false).code(), EIO);
  EXPECT_TRUE(world.client->fsync(one, false).ok());
  EXPECT_EQ(world.client->flush(two, 0).code(), EIO);
  EXPECT_TRUE(world.client->flush(two, 0).ok());
  const HandleId three = world.open(world.ino("f"));
  EXPECT_TRUE(world.client->fsync(three, false).ok());
  EXPECT_EQ(world.read(three), "bytes");  // nothing was lost after all
  EXPECT_NE(log_.find("is not safe"), std::string::npos);
}

TEST_F(ClientSync, an_error_that_nobody_heard_of_waits_for_the_next_open) {
  World world;
  const HandleId file = world.create("f");
  ASSERT_TRUE(world.write(file, 0, "bytes").ok());
  world.client->release(file).value();
  world.staging.fail_appends = 1;
  EXPECT_FALSE(world.client->committer().commit_everything().ok());
  world.pump();
  const HandleId later = world.open(world.ino("f"));
  EXPECT_EQ(world.client->fsync(later, false).code(), EIO);
  EXPECT_TRUE(world.client->fsync(later, false).ok());
}

TEST_F(ClientSync, close_reports_that_it_could_not_journal) {
  World world;
  const HandleId file = world.create("f");
  ASSERT_TRUE(world.write(file, 0, "bytes").ok());
  world.staging.fail_appends = 1;
  world.staging.append_code = ENOSPC;
  EXPECT_EQ(world.client->flush(file, 0).code(), ENOSPC);
  EXPECT_TRUE(world.client->flush(file, 0).ok());
}

TEST_F(ClientSync, a_refused_commit_is_tried_again) {
  World world;
  const HandleId file = world.create("f");
  ASSERT_TRUE(world.write(file, 0, "bytes").ok());
  world.metadata.fail_commits = 1;
  EXPECT_FALSE(world.client->committer().commit_everything().ok());
  EXPECT_EQ(world.read(file), "bytes");
  world.pump();
  EXPECT_EQ(world.client->status().uncommitted_operations, 0u);
  EXPECT_EQ(world.staging.appends, 1u);
}

TEST_F(ClientSync, nothing_is_committed_before_it_is_durable) {
  World world;
  world.metadata.before_commit = [&] {
    EXPECT_EQ(world.staging.synced_position(), world.staging.appends);
  };
  for (int i = 0; i < 20; ++i) {
    const HandleId file = world.create("f" + std::to_string(i));
    ASSERT_TRUE(world.write(file, 0, "bytes").ok());
    world.close(file);
  }
  world.pump();
  EXPECT_EQ(world.metadata.commit_calls, 1u);  // many inodes, one message
  world.metadata.before_commit = [] {};
}

TEST_F(ClientSync, a_segment_freed_behind_the_reader_is_looked_up_once_more) {
  World world;
  const HandleId file = world.create("f");
  ASSERT_TRUE(world.write(file, 0, "bytes").ok());
  world.pump();
  world.reader.fail_enoent = 1;
  EXPECT_EQ(world.read(file), "bytes");
  world.reader.fail_enoent = 2;
  std::string into(5, '?');
  EXPECT_EQ(world.client->read(file, 0, as_mutable_bytes(into)).code(), EIO);
  EXPECT_NE(log_.find("volume test: inode 100 bytes 0+5 cannot be read"), std::string::npos);
  EXPECT_NE(log_.find("segment"), std::string::npos);
}

TEST_F(ClientSync, a_commit_between_two_looks_at_a_file_is_not_missed) {
  World world;
  world.metadata.extent_page_max = 2;  // reads take several fetches
  const HandleId file = world.create("f");
  std::string expected;
  for (int i = 0; i < 20; ++i) {
    const std::string part(10, static_cast<char>('a' + i));
    ASSERT_TRUE(world.write(file, static_cast<uint64_t>(2 * i * 10), part).ok());
    expected += part + std::string(10, '\0');
  }
  expected.resize(390);
  world.pump();
  bool once = true;
  world.reader.before_read = [&] {
    if (!once) return;
    once = false;
    world.write(file, 0, "XXXXXXXXXX").value();
    world.pump();
  };
  EXPECT_EQ(world.read(file).substr(10), expected.substr(10));
  EXPECT_EQ(world.read(file, 0, 10), "XXXXXXXXXX");
}

TEST_F(ClientSync, pages_are_kept_while_only_this_mount_changes_the_file) {
  World world;
  const HandleId file = world.create("f");
  ASSERT_TRUE(world.write(file, 0, "bytes").ok());
  world.close(file);
  EXPECT_TRUE(world.client->open(world.who, world.ino("f"), {.read = true})->keep_cache);
  world.pump();
  EXPECT_TRUE(world.client->open(world.who, world.ino("f"), {.read = true})->keep_cache);
  const Ino ino = world.ino("f");
  world.client.reset();
  world.start();  // a new mount knows of no pages
  EXPECT_FALSE(world.client->open(world.who, ino, {.read = true})->keep_cache);
  EXPECT_TRUE(world.client->open(world.who, ino, {.read = true})->keep_cache);
}

TEST_F(ClientSync, opens_and_releases_balance) {
  World world;
  const HandleId file = world.create("f");
  const Ino ino = world.ino("f");
  EXPECT_EQ(world.metadata.open_count(ino), 1u);
  const HandleId truncated = world.open(ino, {.write = true, .truncate = true});
  EXPECT_EQ(world.metadata.open_count(ino), 2u);
  world.client->release(file).value();
  world.client->release(truncated).value();
  EXPECT_EQ(world.metadata.open_count(ino), 0u);
  EXPECT_EQ(world.client->release(file).code(), EBADF);
  EXPECT_EQ(world.write(file, 0, "x").code(), EBADF);
}

TEST_F(ClientSync, closing_any_descriptor_drops_the_owners_locks) {
  World world;
  const HandleId file = world.create("f");
  world.record();
  world.client->flush(file, 77).value();
  EXPECT_TRUE(world.events.empty());  // nobody ever locked: nothing to ask
  meta::Lock lock;
  lock.type = meta::LockType::kWrite;
  ASSERT_TRUE(world.client->lock_set(world.who, world.ino("f"), lock).ok());
  lock.kind = meta::LockKind::kFlock;
  ASSERT_TRUE(world.client->lock_set(world.who, world.ino("f"), lock).ok());
  world.client->flush(file, 77).value();
  world.client->release(file).value();
  EXPECT_EQ(world.events,
            (std::vector<std::string>{"release_posix_locks 77", "release_handle_locks"}));
}

TEST_F(ClientSync, a_read_only_mount_changes_nothing) {
  World world;
  world.close(world.create("f"));
  const Ino ino = world.ino("f");
  world.client.reset();
  world.options.read_only = true;
  world.start();
  EXPECT_EQ(world.client->open(world.who, ino, {.write = true}).code(), EROFS);
  EXPECT_EQ(world.client->open(world.who, ino, {.read = true, .truncate = true}).code(), EROFS);
  EXPECT_EQ(world.client->create(world.who, kRootIno, "g", 0644, {.write = true}, false).code(),
            EROFS);
  EXPECT_EQ(world.client->setattr(world.who, ino, {.size = 1}).code(), EROFS);
  EXPECT_EQ(world.client->unlink(world.who, kRootIno, "f").code(), EROFS);
  EXPECT_TRUE(world.client->open(world.who, ino, {.read = true}).ok());
}

TEST_F(ClientSync, the_end_of_the_mount_journals_commits_syncs_and_returns_space) {
  World world;
  const HandleId file = world.create("f");
  ASSERT_TRUE(world.write(file, 0, "bytes").ok());
  const Ino ino = world.ino("f");
  world.client.reset();
  EXPECT_EQ(world.metadata.open_count(ino), 0u);
  EXPECT_EQ(world.metadata.granted(), 0u);
  world.metadata.lose_unsynced();
  world.start();
  EXPECT_EQ(world.content("f"), "bytes");
}

TEST_F(ClientSync, sequences_are_remembered_until_the_engine_is_synced) {
  World world;
  HandleId file = world.create("f");
  world.client->fsync_dir(kRootIno).value();
  ASSERT_TRUE(world.write(file, 0, "one").ok());
  world.close(file);
  world.pump();  // committed, the engine may still lose it
  file = world.open(world.ino("f"));
  ASSERT_TRUE(world.write(file, 3, "two").ok());
  ASSERT_TRUE(world.client->flush(file, 0).ok());
  world.staging.sync().value();
  world.cut_power();
  EXPECT_EQ(world.metadata.conflicts, 0u);
  EXPECT_EQ(world.content("f"), "onetwo");
  world.client->committer().sync_engine();
  EXPECT_EQ(world.client->inodes().remembered(), 0u);
}

using ClientSyncDeathTest = ClientSync;
TEST_F(ClientSyncDeathTest, an_engine_that_cannot_sync_ends_the_process) {
  World world;
  const HandleId file = world.create("f");
  world.metadata.fail_syncs = 1;
  EXPECT_DEATH(world.client->fsync(file, false).ignore("dies"), "");
  world.metadata.fail_syncs = 0;
}

}  // namespace
}  // namespace shoal::client
