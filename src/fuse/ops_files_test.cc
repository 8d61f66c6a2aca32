// Open files and locks as the kernel sees them.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/falloc.h>
#include <unistd.h>

#include "fuse/fake_kernel_test_util.h"
#include "sys/on_behalf.h"

namespace shoal::fuse {
namespace {

TEST(Files, open_passes_the_flags_and_the_verdict_on_the_page_cache) {
  FakeKernel kernel;
  const auto file = kernel.create(1, "f", O_RDWR | O_EXCL);
  EXPECT_TRUE(kernel.client.seen().exclusive);
  const auto open = [&](uint32_t flags, uint32_t open_flags) {
    return as<fuse_open_out>(
        kernel.call(FUSE_OPEN, file.node, raw(fuse_open_in{flags, open_flags})));
  };
  EXPECT_EQ(open(O_RDONLY, 0).open_flags, uint32_t{FOPEN_KEEP_CACHE});
  EXPECT_TRUE(kernel.client.seen().open.read);
  EXPECT_FALSE(kernel.client.seen().open.write);
  kernel.client.set_keep_cache(false);
  EXPECT_EQ(open(O_WRONLY | O_APPEND | O_DIRECT | O_SYNC, 0).open_flags, 0u);
  EXPECT_FALSE(kernel.client.seen().open.read);
  EXPECT_TRUE(kernel.client.seen().open.append && kernel.client.seen().open.direct &&
              kernel.client.seen().open.sync);
  EXPECT_TRUE(kernel.transport.take_notifications().empty());
  open(O_RDWR | O_TRUNC, FUSE_OPEN_KILL_SUIDGID);
  EXPECT_TRUE(kernel.client.seen().open.truncate && kernel.client.seen().open.kill_privileges);
}

TEST(Files, bytes_go_through_whole_up_to_a_mebibyte) {
  FakeKernel kernel;
  const auto file = kernel.create(1, "f");
  std::string bytes(1 << 20, '\0');
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 7 + (i >> 12));
  EXPECT_EQ(as<fuse_write_out>(kernel.write(file, 5, bytes)).size, 1u << 20);
  EXPECT_EQ(kernel.read(file, 5, 1 << 20).payload, bytes);
  EXPECT_EQ(kernel.read(file, 5 + (1 << 20) - 3, 100).payload, bytes.substr(bytes.size() - 3));
  EXPECT_EQ(kernel.read(file, 1 << 30, 100).payload, "");
  EXPECT_EQ(kernel.read(file, 0, 8 << 20).error, EINVAL);  // more than was negotiated
  EXPECT_EQ(kernel.read({file.node, 999}, 0, 10).error, EBADF);
  fuse_write_in lie{};
  lie.fh = file.handle;
  lie.size = 100;
  EXPECT_EQ(kernel.call(FUSE_WRITE, file.node, raw(lie) + "short").error, EINVAL);
}

TEST(Files, killed_privileges_leave_the_kernels_cache_before_the_reply) {
  FakeKernel kernel;
  const auto file = kernel.create(1, "f");
  kernel.write(file, 0, "x");
  EXPECT_TRUE(kernel.transport.take_notifications().empty());
  const auto expect_attributes_dropped = [&] {
    const auto notifications = kernel.transport.take_notifications();
    ASSERT_EQ(notifications.size(), 1u);  // sent already when the reply is here
    fuse_notify_inval_inode_out out{};
    std::memcpy(&out, notifications[0].payload.data(), sizeof out);
    EXPECT_EQ(out.ino, file.node);
    EXPECT_LT(out.off, 0);
  };
  kernel.write(file, 0, "x", FUSE_WRITE_KILL_SUIDGID);
  expect_attributes_dropped();
  kernel.call(FUSE_FALLOCATE, file.node, raw(fuse_fallocate_in{file.handle, 0, 10, 0, 0}));
  expect_attributes_dropped();
  kernel.call(FUSE_COPY_FILE_RANGE, 1,
              raw(fuse_copy_file_range_in{file.handle, 0, file.node, file.handle, 20, 5, 0}));
  expect_attributes_dropped();
}

TEST(Files, mapped_pages_are_not_appended_though_the_kernel_picked_an_append_handle) {
  FakeKernel kernel;
  const auto file = kernel.create(1, "f", O_WRONLY | O_APPEND);
  kernel.write(file, 0, "0123456789");
  kernel.write(file, 0, "abc");
  EXPECT_EQ(kernel.client.lookup({}, 1, "f").value().size, 13u);
  kernel.write(file, 2, "MM", FUSE_WRITE_CACHE);
  kernel.write(file, 4, "NN", FUSE_WRITE_CACHE);
  const auto reader =
      as<fuse_open_out>(kernel.call(FUSE_OPEN, file.node, raw(fuse_open_in{O_RDONLY, 0})));
  EXPECT_EQ(kernel.read({file.node, reader.fh}, 0, 100).payload, "01MMNN6789abc");
  EXPECT_EQ(kernel.client.open_handles(), 3u);
  kernel.call(FUSE_RELEASE, file.node, raw(fuse_release_in{file.handle, 0, 0, 0}));
  kernel.call(FUSE_RELEASE, file.node, raw(fuse_release_in{reader.fh, 0, 0, 0}));
  EXPECT_EQ(kernel.client.open_handles(), 0u);
}

TEST(Files, an_open_that_the_kernel_gave_up_is_released) {
  FakeKernel kernel;
  kernel.transport.set_write_error(ENOENT);
  const auto file = kernel.create(1, "f", O_RDWR | O_APPEND);
  kernel.transport.set_write_error(0);
  kernel.transport.wait_idle();
  EXPECT_EQ(kernel.client.open_handles(), 0u);
  EXPECT_EQ(kernel.read(file, 0, 1).error, EBADF);
}

TEST(Files, a_tmpfile_has_no_name) {
  FakeKernel kernel;
  const fuse_create_in in{O_RDWR, S_IFREG | 0600, 0, 0};
  const FakeReply reply = kernel.call(FUSE_TMPFILE, 1, raw(in) + name("/"));
  EXPECT_EQ(as<fuse_entry_out>(reply).attr.nlink, 0u);
  EXPECT_NE(as<fuse_open_out>(reply, sizeof(fuse_entry_out)).fh, 0u);
  kernel.client.fail_next(EOPNOTSUPP);
  EXPECT_EQ(kernel.call(FUSE_TMPFILE, 1, raw(in) + name("/")).error, EOPNOTSUPP);
}

TEST(Files, fallocate_modes_and_refusals) {
  FakeKernel kernel;
  const auto file = kernel.create(1, "f");
  kernel.write(file, 0, "0123456789");
  const auto fallocate = [&](uint32_t mode, uint64_t offset, uint64_t length) {
    return kernel
        .call(FUSE_FALLOCATE, file.node,
              raw(fuse_fallocate_in{file.handle, offset, length, mode, 0}))
        .error;
  };
  EXPECT_EQ(fallocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 2, 3), 0);
  EXPECT_EQ(fallocate(FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 8, 10), 0);
  EXPECT_EQ(kernel.read(file, 0, 100).payload, std::string("01\0\0\0"
                                                           "567\0\0",
                                                           10));
  EXPECT_EQ(fallocate(FALLOC_FL_KEEP_SIZE, 0, 100), 0);
  EXPECT_EQ(kernel.client.lookup({}, 1, "f").value().size, 10u);
  EXPECT_EQ(fallocate(0, 0, 100), 0);
  EXPECT_EQ(kernel.client.lookup({}, 1, "f").value().size, 100u);
  for (const uint32_t mode : {uint32_t{FALLOC_FL_COLLAPSE_RANGE}, uint32_t{FALLOC_FL_INSERT_RANGE},
                              uint32_t{FALLOC_FL_UNSHARE_RANGE}, uint32_t{FALLOC_FL_PUNCH_HOLE}}) {
    EXPECT_EQ(fallocate(mode, 0, 10), EOPNOTSUPP) << mode;
  }
}

TEST(Files, lseek_finds_data_and_holes) {
  FakeKernel kernel;
  const auto file = kernel.create(1, "f");
  kernel.write(file, 0, "0123456789");
  const auto lseek = [&](uint64_t offset, uint32_t whence) {
    return kernel.call(FUSE_LSEEK, file.node, raw(fuse_lseek_in{file.handle, offset, whence, 0}));
  };
  EXPECT_EQ(as<fuse_lseek_out>(lseek(3, SEEK_DATA)).offset, 3u);
  EXPECT_EQ(as<fuse_lseek_out>(lseek(3, SEEK_HOLE)).offset, 10u);
  EXPECT_EQ(lseek(10, SEEK_DATA).error, ENXIO);
  EXPECT_EQ(lseek(0, SEEK_CUR).error, EINVAL);
}

TEST(Files, copy_file_range_in_both_widths) {
  FakeKernel kernel;
  const auto from = kernel.create(1, "from");
  const auto to = kernel.create(1, "to");
  kernel.write(from, 0, "0123456789");
  fuse_copy_file_range_in in{from.handle, 2, to.node, to.handle, 0, 5, 0};
  EXPECT_EQ(as<fuse_write_out>(kernel.call(FUSE_COPY_FILE_RANGE, from.node, raw(in))).size, 5u);
  EXPECT_EQ(kernel.read(to, 0, 100).payload, "23456");
  in.len = ~uint64_t{0} >> 1;
  EXPECT_EQ(as<CopyFileRangeOut>(kernel.call(kOpCopyFileRange64, from.node, raw(in))).bytes_copied,
            8u);
  in.flags = 1;
  EXPECT_EQ(kernel.call(FUSE_COPY_FILE_RANGE, from.node, raw(in)).error, EINVAL);
}

TEST(Files, flush_fsync_syncfs_release) {
  FakeKernel kernel;
  const auto file = kernel.create(1, "f");
  EXPECT_EQ(kernel.call(FUSE_FLUSH, file.node, raw(fuse_flush_in{file.handle, 0, 0, 42})).error, 0);
  EXPECT_EQ(kernel.client.seen().flush_owner, 42u);
  EXPECT_EQ(kernel.call(FUSE_FSYNC, file.node, raw(fuse_fsync_in{file.handle, 1, 0})).error, 0);
  EXPECT_EQ(kernel.call(FUSE_SYNCFS, 1, raw(fuse_syncfs_in{})).error, 0);
  EXPECT_EQ(kernel.client.seen().flush_alls, 1);
  kernel.client.fail_next(EDQUOT);
  EXPECT_EQ(kernel.call(FUSE_FLUSH, file.node, raw(fuse_flush_in{file.handle, 0, 0, 42})).error,
            EDQUOT);
  EXPECT_EQ(kernel.call(FUSE_RELEASE, file.node, raw(fuse_release_in{file.handle, 0, 0, 0})).error,
            0);
  EXPECT_EQ(kernel.client.seen().released, 1);
}

TEST(Locks, flock_and_record_locks_are_told_apart_and_remember_their_handle) {
  FakeKernel kernel;
  const auto file = kernel.create(1, "f");
  EXPECT_EQ(kernel.lock(FUSE_SETLK, file, 5, F_WRLCK, FUSE_LK_FLOCK).error, 0);
  EXPECT_EQ(kernel.client.seen().lock.kind, meta::LockKind::kFlock);
  EXPECT_EQ(kernel.client.seen().lock.handle, file.handle);
  EXPECT_EQ(kernel.client.seen().lock.pid, 77u);
  EXPECT_EQ(kernel.lock(FUSE_SETLK, file, 6, F_WRLCK, FUSE_LK_FLOCK).error, EAGAIN);
  EXPECT_EQ(kernel.lock(FUSE_SETLK, file, 6, F_WRLCK, 0).error, 0);
  const auto held = as<fuse_lk_out>(kernel.lock(FUSE_GETLK, file, 9, F_RDLCK, 0));
  EXPECT_EQ(held.lk.type, uint32_t{F_WRLCK});
  EXPECT_EQ(held.lk.pid, 77u);
  const auto free = as<fuse_lk_out>(kernel.lock(FUSE_GETLK, file, 6, F_RDLCK, 0));
  EXPECT_EQ(free.lk.type, uint32_t{F_UNLCK});
  EXPECT_EQ(kernel.lock(FUSE_SETLK, file, 6, 17, 0).error, EINVAL);
  const fuse_release_in in{file.handle, 0, FUSE_RELEASE_FLOCK_UNLOCK, 5};
  EXPECT_EQ(kernel.call(FUSE_RELEASE, file.node, raw(in)).error, 0);
  const auto again = kernel.create(1, "f", O_RDWR);
  EXPECT_EQ(kernel.lock(FUSE_SETLK, again, 6, F_WRLCK, FUSE_LK_FLOCK).error, 0);
  EXPECT_EQ(kernel.lock(FUSE_SETLK, again, 7, F_WRLCK, 0).error, 0);  // the record lock went too
}

TEST(Locks, a_blocking_lock_is_answered_when_it_is_granted) {
  FakeKernel kernel;
  const auto file = kernel.create(1, "f");
  ASSERT_EQ(kernel.lock(FUSE_SETLK, file, 5, F_WRLCK, FUSE_LK_FLOCK).error, 0);
  kernel.transport.push(kernel.request(
      FUSE_SETLKW, file.node, FakeKernel::lock_arguments(file, 6, F_WRLCK, FUSE_LK_FLOCK)));
  const uint64_t unique = kernel.last_unique;
  kernel.client.wait_until_lock_waits();
  EXPECT_FALSE(kernel.transport.has_reply(unique));
  EXPECT_EQ(kernel.lock(FUSE_SETLK, file, 5, F_UNLCK, FUSE_LK_FLOCK).error, 0);
  EXPECT_EQ(kernel.transport.take_reply(unique).error, 0);
  EXPECT_EQ(kernel.lock(FUSE_SETLK, file, 5, F_WRLCK, FUSE_LK_FLOCK).error, EAGAIN);
  EXPECT_EQ(kernel.lock(FUSE_SETLKW, file, 6, F_UNLCK, FUSE_LK_FLOCK).error, 0);
}

TEST(Locks, an_interrupt_ends_the_wait_also_when_it_comes_first) {
  FakeKernel kernel;
  const auto file = kernel.create(1, "f");
  ASSERT_EQ(kernel.lock(FUSE_SETLK, file, 5, F_WRLCK, FUSE_LK_FLOCK).error, 0);
  const auto waiting = FakeKernel::lock_arguments(file, 6, F_WRLCK, FUSE_LK_FLOCK);
  kernel.transport.push(kernel.request(FUSE_SETLKW, file.node, waiting));
  const uint64_t unique = kernel.last_unique;
  kernel.client.wait_until_lock_waits();
  kernel.tell(FUSE_INTERRUPT, 0, raw(fuse_interrupt_in{unique}));
  EXPECT_EQ(kernel.transport.take_reply(unique).error, EINTR);
  EXPECT_EQ(kernel.client.waiting_locks(), 0u);
  const std::string late = kernel.request(FUSE_SETLKW, file.node, waiting);
  const uint64_t late_unique = kernel.last_unique;
  kernel.tell(FUSE_INTERRUPT, 0, raw(fuse_interrupt_in{late_unique}));
  kernel.transport.push(late);
  EXPECT_EQ(kernel.transport.take_reply(late_unique).error, EINTR);
  for (uint64_t i = 0; i < 1000; ++i) {
    kernel.transport.push(kernel.request(FUSE_INTERRUPT, 0, raw(fuse_interrupt_in{i})));
  }
  kernel.transport.wait_idle();
}

TEST(Files, an_interrupt_ends_an_fsync_that_waits_also_when_it_comes_first) {
  FakeKernel kernel;
  const auto file = kernel.create(1, "f");
  std::atomic<bool> waits = false;
  kernel.client.in_fsync = [&] {
    waits = true;
    while (!given_up()) std::this_thread::yield();
  };
  fuse_fsync_in in{};
  in.fh = file.handle;
  kernel.transport.push(kernel.request(FUSE_FSYNC, file.node, raw(in)));
  const uint64_t unique = kernel.last_unique;
  while (!waits) std::this_thread::yield();
  kernel.tell(FUSE_INTERRUPT, 0, raw(fuse_interrupt_in{unique}));
  EXPECT_EQ(kernel.transport.take_reply(unique).error, EINTR);
  const std::string late = kernel.request(FUSE_FSYNC, file.node, raw(in));
  const uint64_t late_unique = kernel.last_unique;
  kernel.tell(FUSE_INTERRUPT, 0, raw(fuse_interrupt_in{late_unique}));
  kernel.transport.push(late);
  EXPECT_EQ(kernel.transport.take_reply(late_unique).error, EINTR);
}

TEST(Locks, those_still_waited_for_at_the_end_are_answered) {
  FakeTransport* transport = nullptr;
  auto kernel = std::make_unique<FakeKernel>();
  transport = &kernel->transport;
  const auto file = kernel->create(1, "f");
  kernel->lock(FUSE_SETLK, file, 5, F_WRLCK, 0);
  transport->push(
      kernel->request(FUSE_SETLKW, file.node, FakeKernel::lock_arguments(file, 6, F_WRLCK, 0)));
  const uint64_t unique = kernel->last_unique;
  kernel->client.wait_until_lock_waits();
  transport->close();
  kernel->session.reset();
  EXPECT_EQ(transport->take_reply(unique).error, EINTR);
}

}  // namespace
}  // namespace shoal::fuse
