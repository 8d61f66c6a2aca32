#include <gtest/gtest.h>

#include <random>

#include "client/world_test_util.h"
#include "sys/thread.h"

namespace shoal::client {
namespace {

std::string pattern(size_t bytes, char first = 'a') {
  std::string text(bytes, ' ');
  for (size_t i = 0; i < bytes; ++i) text[i] = static_cast<char>(first + static_cast<char>(i % 23));
  return text;
}

TEST(ClientWrite, bytes_are_the_same_buffered_journaled_durable_and_committed) {
  World world;
  const HandleId file = world.create("f");
  const std::string text = pattern(5000);
  ASSERT_TRUE(world.write(file, 100, text).ok());
  const std::string expected = std::string(100, '\0') + text;
  InodeRef none;
  EXPECT_EQ(world.read(file), expected);
  EXPECT_EQ(world.staging.appends, 0u);
  ASSERT_TRUE(world.client->flush(file, 0).ok());
  EXPECT_EQ(world.staging.appends, 1u);
  EXPECT_EQ(world.read(file), expected);
  ASSERT_TRUE(world.client->fsync(file, false).ok());
  EXPECT_EQ(world.client->status().buffered_bytes, 0u);
  EXPECT_EQ(world.read(file), expected);
  world.pump();
  EXPECT_EQ(world.client->status().uncommitted_operations, 0u);
  EXPECT_EQ(world.read(file), expected);
  EXPECT_EQ(world.stat("f").size, 5100u);
  world.client->release(file).value();
  EXPECT_EQ(world.content("f"), expected);
}

TEST(ClientWrite, contiguous_writes_become_one_record_of_at_most_a_mebibyte) {
  World world;
  const HandleId file = world.create("f");
  for (uint64_t at = 0; at < 3 << 20; at += 4096)
    ASSERT_TRUE(world.write(file, at, pattern(4096)).ok());
  EXPECT_EQ(world.staging.appends, 3u);
  world.pump();
  EXPECT_EQ(world.staging.appends, 3u);
  EXPECT_EQ(world.client->extents_of(world.who, world.ino("f"))->size(), 3u);
}

TEST(ClientWrite, a_mebibyte_of_scattered_writes_is_journaled_without_being_asked) {
  World world;
  const HandleId file = world.create("f");
  for (uint64_t i = 0; i < 256; ++i) ASSERT_TRUE(world.write(file, i * 8192, pattern(4096)).ok());
  EXPECT_GE(world.staging.appends, 255u);
}

TEST(ClientWrite, appends_of_two_handles_never_overwrite_each_other) {
  World world;
  const HandleId one = world.create("f", true);
  const HandleId two = world.create("f", true);
  std::string expected;
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(world.write(one, 0, "one ").ok());
    ASSERT_TRUE(world.write(two, 0, "two ").ok());
    expected += "one two ";
    if (i % 7 == 0) world.pump();
  }
  EXPECT_EQ(world.read(one), expected);
}

TEST(ClientWrite, a_read_beside_overwrites_sees_old_or_new_bytes_never_both) {
  World world;
  const HandleId file = world.create("f");
  ASSERT_TRUE(world.write(file, 0, std::string(4096, 'A')).ok());
  std::atomic<bool> stop = false;
  std::atomic<uint64_t> torn = 0, reads = 0;
  Thread reader("reader", [&] {
    while (!stop) {
      const std::string seen = world.read(file, 0, 4096);
      ++reads;
      if (seen != std::string(4096, seen[0])) ++torn;
    }
  });
  for (int i = 0; i < 300 || reads < 100; ++i) {
    ASSERT_TRUE(world.write(file, 0, std::string(4096, static_cast<char>('B' + i % 20))).ok());
    if (i % 40 == 0) world.pump();
  }
  stop = true;
  reader.join();
  EXPECT_EQ(torn, 0u);
}

TEST(ClientWrite, no_space_is_said_at_the_write_and_never_later) {
  World world;
  world.metadata.capacity_bytes = 100'000;
  const HandleId file = world.create("f");
  ASSERT_TRUE(world.write(file, 0, pattern(90'000)).ok());
  EXPECT_EQ(world.write(file, 90'000, pattern(20'000)).code(), ENOSPC);
  EXPECT_TRUE(world.client->fsync(file, false).ok());
  world.pump();
  EXPECT_EQ(world.stat("f").size, 90'000u);
  EXPECT_EQ(world.metadata.used_bytes(), 90'000u);
  EXPECT_EQ(world.client->statfs()->blocks_free, 10'000u / 4096);
}

TEST(ClientWrite, overwriting_in_a_full_volume_goes_on_and_needs_no_space_in_the_end) {
  World world;
  world.metadata.capacity_bytes = 100'000;
  const HandleId file = world.create("f");
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(world.write(file, 0, pattern(30'000)).ok()) << i;
  world.pump();
  EXPECT_EQ(world.metadata.used_bytes(), 30'000u);
  ASSERT_TRUE(world.client->setattr(world.who, world.ino("f"), {.size = 0}).ok());
  world.pump();
  EXPECT_TRUE(world.write(file, 0, pattern(99'000)).ok());
}

TEST(ClientWrite, writers_wait_for_the_journal_when_the_buffers_are_full) {
  World world({.buffer_bytes_max = 64 << 10});
  const HandleId file = world.create("f");
  for (uint64_t i = 0; i < 100; ++i) {
    ASSERT_TRUE(world.write(file, i * 8192, pattern(8000)).ok());
    ASSERT_LE(world.client->status().buffered_bytes, 64u << 10);
  }
  EXPECT_GE(world.staging.syncs, 8u);
  world.staging.fail_syncs = world.staging.fail_appends = 1 << 20;
  Status status;
  for (uint64_t i = 0; i < 10 && status.ok(); ++i)
    status = world.write(file, i * 8192, pattern(8000));
  EXPECT_EQ(status.code(), EIO);
  world.staging.fail_syncs = world.staging.fail_appends = 0;
}

TEST(ClientWrite, truncate_punch_zero_and_set_times_are_journaled_before_they_reply) {
  World world;
  const HandleId file = world.create("f");
  ASSERT_TRUE(world.write(file, 0, pattern(10'000)).ok());
  ASSERT_TRUE(
      world.client->setattr(world.who, world.ino("f"), {.size = 5000, .handle = file}).ok());
  EXPECT_EQ(world.staging.appends, 2u);
  ASSERT_TRUE(
      world.client->fallocate(world.who, file, {FallocateMode::Kind::kPunch, true}, 100, 100).ok());
  ASSERT_TRUE(
      world.client->fallocate(world.who, file, {FallocateMode::Kind::kZero, false}, 4900, 300)
          .ok());
  SetAttrRequest times;
  times.attr.mtime = meta::SetAttr::SetTime{false, {-5, 7}};
  ASSERT_TRUE(world.client->setattr(world.who, world.ino("f"), times).ok());
  EXPECT_EQ(world.staging.appends, 5u);
  std::string expected = pattern(10'000).substr(0, 5000) + std::string(200, '\0');
  expected.replace(100, 100, 100, '\0');
  expected.replace(4900, 100, 100, '\0');
  EXPECT_EQ(world.read(file), expected);
  EXPECT_EQ(world.stat("f").mtime, (Time{-5, 7}));
  world.kill();
  EXPECT_EQ(world.content("f"), expected);
  EXPECT_EQ(world.stat("f").mtime, (Time{-5, 7}));
}

TEST(ClientWrite, set_times_of_a_clean_file_goes_to_the_owner_alone) {
  World world;
  world.close(world.create("f"));
  SetAttrRequest times;
  times.attr.mtime = meta::SetAttr::SetTime{false, {12, 34}};
  EXPECT_EQ(world.client->setattr(world.who, world.ino("f"), times)->mtime, (Time{12, 34}));
  EXPECT_EQ(world.staging.appends, 0u);
}

TEST(ClientWrite, mtime_is_the_time_of_the_write_and_stays_so_when_committed) {
  World world;
  const HandleId file = world.create("f");
  ASSERT_TRUE(world.write(file, 0, "x").ok());
  const Time written = world.stat("f").mtime;
  EXPECT_GT(written, world.stat("f").btime);
  world.pump();
  EXPECT_EQ(world.stat("f").mtime, written);
}

TEST(ClientWrite, ctime_of_set_times_on_a_dirty_file_is_the_same_before_and_after_its_commit) {
  World world;
  const HandleId file = world.create("f");
  ASSERT_TRUE(world.write(file, 0, "x").ok());
  SetAttrRequest times;
  times.attr.mtime = meta::SetAttr::SetTime{false, {12, 34}};
  const Time changed = world.client->setattr(world.who, world.ino("f"), times)->ctime;
  world.pump();
  EXPECT_EQ(world.stat("f").mtime, (Time{12, 34}));
  EXPECT_EQ(world.stat("f").ctime, changed);
}

TEST(ClientWrite, holes_cost_no_blocks_and_are_found) {
  World world;
  const HandleId file = world.create("f");
  ASSERT_TRUE(world.write(file, 1 << 20, pattern(4096)).ok());
  auto check = [&] {
    EXPECT_EQ(world.stat("f").allocated, 4096u);
    EXPECT_EQ(world.client->seek_data(file, 0).value(), 1u << 20);
    EXPECT_EQ(world.client->seek_hole(file, 0).value(), 0u);
    EXPECT_EQ(world.client->seek_hole(file, 1 << 20).value(), (1u << 20) + 4096);
    EXPECT_EQ(world.client->seek_data(file, (1 << 20) + 4096).code(), ENXIO);
    EXPECT_EQ(world.client->seek_hole(file, (1 << 20) + 4096).code(), ENXIO);
  };
  check();
  world.pump();
  check();
  // Over what is committed: half replaced, half punched.
  ASSERT_TRUE(world.write(file, (1 << 20) - 2048, pattern(4096)).ok());
  EXPECT_EQ(world.stat("f").allocated, 4096u + 2048u);
  ASSERT_TRUE(
      world.client->fallocate(world.who, file, {FallocateMode::Kind::kPunch, true}, 1 << 20, 4096)
          .ok());
  EXPECT_EQ(world.stat("f").allocated, 2048u);
  EXPECT_EQ(world.client->seek_hole(file, (1 << 20) - 2048).value(), 1u << 20);
  world.pump();
  EXPECT_EQ(world.stat("f").allocated, 2048u);
}

TEST(ClientWrite, a_file_written_in_8192_random_pieces_reads_back) {
  World world;
  const HandleId file = world.create("f");
  std::vector<uint32_t> order(8192);
  for (uint32_t i = 0; i < 8192; ++i) order[i] = i;
  std::shuffle(order.begin(), order.end(), std::mt19937(7));
  for (const uint32_t block : order) {
    ASSERT_TRUE(
        world.write(file, uint64_t{block} * 4096, std::string(4096, static_cast<char>(block % 251)))
            .ok());
  }
  world.pump();
  for (uint32_t block = 0; block < 8192; block += 256) {
    const std::string part = world.read(file, uint64_t{block} * 4096, 1 << 20);
    ASSERT_EQ(part.size(), 1u << 20);
    for (uint32_t i = 0; i < 256; ++i)
      ASSERT_EQ(part[i * 4096 + 17], static_cast<char>((block + i) % 251));
  }
  EXPECT_EQ(world.client->status().uncommitted_operations, 0u);
}

TEST(ClientWrite, files_end_at_their_limit) {
  World world;
  const HandleId file = world.create("f");
  EXPECT_EQ(world.write(file, kFileBytesMax, "x").code(), EFBIG);
  EXPECT_EQ(world.client->write(world.who, file, kFileBytesMax - 1, as_bytes("xyz"), false)->bytes,
            1u);
  EXPECT_EQ(world.client->setattr(world.who, world.ino("f"), {.size = kFileBytesMax + 1}).code(),
            EFBIG);
}

TEST(ClientWrite, privileges_are_killed_once_and_again_after_a_chmod) {
  World world;
  const HandleId file = world.create("f");
  SetAttrRequest suid;
  suid.attr.mode = 04755;
  world.record();
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(world.client->setattr(world.who, world.ino("f"), suid).ok());
    world.events.clear();
    EXPECT_TRUE(world.client->write(world.who, file, 0, as_bytes("x"), true)->killed_privileges);
    EXPECT_FALSE(world.client->write(world.who, file, 0, as_bytes("x"), true)->killed_privileges);
    EXPECT_EQ(world.events, std::vector<std::string>{"kill_privileges"});
    EXPECT_EQ(world.stat("f").mode & 07777u, 0755u);
  }
  // A writer that may keep SUID still loses the capability.
  ASSERT_TRUE(world.client->setattr(world.who, world.ino("f"), suid).ok());
  ASSERT_TRUE(world.client
                  ->setxattr(world.who, world.ino("f"), "security.capability", "c",
                             meta::Metadata::XattrMode::kEither, false)
                  .ok());
  EXPECT_TRUE(world.client->write(world.who, file, 0, as_bytes("x"), false)->killed_privileges);
  EXPECT_EQ(world.stat("f").mode & 07777u, 04755u);
  EXPECT_FALSE(world.stat("f").has_capability);
}

TEST(ClientWrite, immutable_and_append_only_files_refuse) {
  World world;
  world.close(world.create("f"));
  const Ino ino = world.ino("f");
  SetAttrRequest flags;
  flags.attr.flags = format::kFlagAppendOnly;
  ASSERT_TRUE(world.client->setattr(world.who, ino, flags).ok());
  EXPECT_EQ(world.client->open(world.who, ino, {.write = true}).code(), EPERM);
  EXPECT_EQ(world.client->open(world.who, ino, {.read = true, .truncate = true}).code(), EPERM);
  EXPECT_EQ(world.client->setattr(world.who, ino, {.size = 0}).code(), EPERM);
  const HandleId append =
      world.client->open(world.who, ino, {.write = true, .append = true})->handle;
  EXPECT_TRUE(world.write(append, 0, "x").ok());
  EXPECT_EQ(
      world.client->fallocate(world.who, append, {FallocateMode::Kind::kPunch, true}, 0, 1).code(),
      EPERM);
  flags.attr.flags = format::kFlagImmutable;
  ASSERT_TRUE(world.client->setattr(world.who, ino, flags).ok());
  EXPECT_EQ(world.client->open(world.who, ino, {.write = true, .append = true}).code(), EPERM);
  EXPECT_EQ(world.metadata.open_count(ino), 1u);
}

TEST(ClientWrite, copy_range_shares_what_both_lists_made) {
  World world;
  const HandleId from = world.create("from"), to = world.create("to");
  ASSERT_TRUE(world.write(from, 0, pattern(8000)).ok());
  ASSERT_TRUE(world.write(to, 0, pattern(6000, 'B')).ok());
  world.record();
  EXPECT_EQ(world.client->copy_range(world.who, from, 1000, to, 2000, 100'000)->bytes, 7000u);
  EXPECT_EQ(world.when("copy_range"), world.events.size() - 1);
  EXPECT_EQ(world.read(to), pattern(6000, 'B').substr(0, 2000) + pattern(8000).substr(1000));
  EXPECT_EQ(world.client->copy_range(world.who, from, 8000, to, 0, 1)->bytes, 0u);
  EXPECT_EQ(world.client->copy_range(world.who, from, 0, from, 10, 100).code(), EINVAL);
  ASSERT_TRUE(world.write(to, 0, "new").ok());
  world.pump();
  EXPECT_EQ(world.metadata.conflicts, 0u);
  EXPECT_EQ(world.read(to, 0, 4), "newE");
}

TEST(ClientWrite, fallocate_extends_the_size_and_asks_for_the_space) {
  World world;
  world.metadata.capacity_bytes = 100'000;
  const HandleId file = world.create("f");
  const FallocateMode allocate{FallocateMode::Kind::kAllocate, false},
      keep{FallocateMode::Kind::kAllocate, true};
  EXPECT_EQ(world.client->fallocate(world.who, file, allocate, 0, 200'000).code(), ENOSPC);
  EXPECT_TRUE(world.client->fallocate(world.who, file, keep, 0, 50'000).ok());
  EXPECT_EQ(world.stat("f").size, 0u);
  EXPECT_TRUE(world.client->fallocate(world.who, file, allocate, 0, 50'000).ok());
  EXPECT_EQ(world.stat("f").size, 50'000u);
  EXPECT_EQ(world.client->fallocate(world.who, file, allocate, 0, 0).code(), EINVAL);
  EXPECT_EQ(world.client->fallocate(world.who, file, allocate, kFileBytesMax, 1).code(), EFBIG);
}

}  // namespace
}  // namespace shoal::client
