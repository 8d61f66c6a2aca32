// INIT, malformed requests, interrupts, invalidations, threads.
#include "fuse/session.h"

#include <gtest/gtest.h>

#include "fuse/fake_kernel_test_util.h"
#include "fuse/worker_pool.h"

namespace shoal::fuse {
namespace {

TEST(Session, init_takes_what_the_kernel_offers_and_never_the_writeback_cache) {
  FakeKernel kernel;
  const auto out = as<fuse_init_out>(kernel.init_reply);
  EXPECT_EQ(out.major, 7u);
  EXPECT_EQ(out.max_write, 1u << 20);
  EXPECT_EQ(out.max_pages, 256);
  EXPECT_EQ(out.max_background, 256);
  EXPECT_EQ(out.time_gran, 1u);
  const uint64_t flags = out.flags | uint64_t{out.flags2} << 32;
  for (const char* feature :
       {"async_read", "big_writes", "max_pages", "init_ext", "async_dio", "parallel_dirops",
        "readdirplus", "readdirplus_auto", "cache_symlinks", "explicit_inval_data",
        "handle_killpriv_v2", "posix_acl", "dont_mask", "setxattr_ext", "posix_locks",
        "flock_locks", "export_support", "create_supp_group"}) {
    EXPECT_NE(flags & feature_flag(feature), 0u) << feature;
  }
  EXPECT_EQ(flags & FUSE_WRITEBACK_CACHE, 0u);
  EXPECT_EQ(flags & FUSE_AUTO_INVAL_DATA, 0u);
  EXPECT_EQ(flags & FUSE_NO_OPEN_SUPPORT, 0u);
  EXPECT_EQ(flags, kernel.session->features());
}

TEST(Session, init_without_the_extended_flags_ignores_their_half) {
  FakeKernel kernel({}, FakeKernel::kAllFlags & ~uint64_t{FUSE_INIT_EXT});
  EXPECT_EQ(as<fuse_init_out>(kernel.init_reply).flags2, 0u);
}

TEST(Session, an_old_kernel_gets_only_what_it_knows) {
  FakeKernel kernel({}, FUSE_ASYNC_READ | FUSE_BIG_WRITES | FUSE_AUTO_INVAL_DATA | FUSE_POSIX_ACL,
                    27);
  // Without DONT_MASK the kernel applies the umask, which default ACLs must override: no ACLs.
  EXPECT_EQ(kernel.session->features(),
            uint64_t{FUSE_ASYNC_READ | FUSE_BIG_WRITES | FUSE_AUTO_INVAL_DATA});
  EXPECT_TRUE(kernel.session->wait_ready().ok());
}

TEST(Session, every_feature_can_be_switched_off) {
  SessionOptions options;
  options.disabled_features = FUSE_DO_READDIRPLUS | FUSE_EXPLICIT_INVAL_DATA;
  FakeKernel kernel(options);
  const uint64_t off = FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO | FUSE_EXPLICIT_INVAL_DATA;
  EXPECT_EQ(kernel.session->features() & off, 0u);
  EXPECT_NE(kernel.session->features() & FUSE_AUTO_INVAL_DATA, 0u);
}

TEST(Session, a_kernel_too_old_is_refused_with_its_version) {
  FakeKernel kernel({}, 0, 22);
  EXPECT_EQ(kernel.init_reply.error, EPROTO);
  const Status ready = kernel.session->wait_ready();
  EXPECT_EQ(ready.code(), EPROTO);
  EXPECT_NE(ready.error().text().find("7.22"), std::string::npos);
}

TEST(Session, a_kernel_of_a_newer_major_version_is_told_ours) {
  FakeKernel kernel({}, 0, 1, 8);
  EXPECT_EQ(as<fuse_init_out>(kernel.init_reply).major, 7u);
  EXPECT_EQ(kernel.call(FUSE_STATFS, 1, "").error, EIO);  // not initialized yet
}

TEST(Session, malformed_requests_are_answered_and_do_no_harm) {
  FakeKernel kernel;
  for (uint32_t opcode = 1; opcode < 60; ++opcode) {
    if (opcode == FUSE_FORGET || opcode == FUSE_BATCH_FORGET || opcode == FUSE_INTERRUPT ||
        opcode == FUSE_NOTIFY_REPLY || opcode == FUSE_DESTROY) {
      continue;
    }
    for (const char* arguments : {"", "x", "0123456789abcdef"}) {
      const int code = kernel.call(opcode, 999, arguments).error;
      const bool needs_no_arguments = opcode == FUSE_STATFS || opcode == FUSE_SYNCFS ||
                                      opcode == FUSE_RELEASEDIR || opcode == FUSE_OPENDIR;
      EXPECT_TRUE(code != 0 || needs_no_arguments) << opcode << " '" << arguments << "'";
    }
  }
  std::string lies = kernel.request(FUSE_GETATTR, 1, "");
  lies += "more than it says";
  kernel.transport.push(lies);
  EXPECT_EQ(kernel.transport.take_reply(kernel.last_unique).error, EIO);
  kernel.transport.push("short");
  EXPECT_EQ(kernel.call(FUSE_GETATTR, 1, raw(fuse_getattr_in{})).error, 0);
  EXPECT_EQ(kernel.call(FUSE_INIT, 0, raw(fuse_init_in{7, 45})).error, EINVAL);
}

TEST(Session, what_we_do_not_implement_is_enosys) {
  FakeKernel kernel;
  for (const uint32_t opcode : {uint32_t{FUSE_ACCESS}, uint32_t{FUSE_BMAP}, uint32_t{FUSE_POLL},
                                uint32_t{FUSE_SETUPMAPPING}, uint32_t{54}, uint32_t{4096}}) {
    EXPECT_EQ(kernel.call(opcode, 1, std::string(64, '\0')).error, ENOSYS) << opcode;
  }
}

TEST(Session, invalidations_reach_the_kernel_in_order) {
  FakeKernel kernel;
  client::InvalidationSink* const sink = kernel.client.sink();
  ASSERT_NE(sink, nullptr);
  sink->invalidate_attributes(7);
  sink->invalidate_pages(8, 4096, 100);
  sink->invalidate_entry(kRootIno, "gone");
  const FakeNotification attributes = kernel.transport.wait_notification();
  EXPECT_EQ(attributes.code, FUSE_NOTIFY_INVAL_INODE);
  fuse_notify_inval_inode_out inode{};
  std::memcpy(&inode, attributes.payload.data(), sizeof inode);
  EXPECT_EQ(inode.ino, 7u);
  EXPECT_LT(inode.off, 0);
  const FakeNotification pages = kernel.transport.wait_notification();
  std::memcpy(&inode, pages.payload.data(), sizeof inode);
  EXPECT_EQ(inode.ino, 8u);
  EXPECT_EQ(inode.off, 4096);
  EXPECT_EQ(inode.len, 100);
  const FakeNotification entry = kernel.transport.wait_notification();
  EXPECT_EQ(entry.code, FUSE_NOTIFY_INVAL_ENTRY);
  EXPECT_EQ(entry.payload.substr(sizeof(fuse_notify_inval_entry_out)), name("gone"));
}

TEST(Session, the_end_of_the_mount_ends_it) {
  FakeKernel kernel;
  kernel.transport.close();
  EXPECT_TRUE(kernel.session->wait().ok());
  EXPECT_EQ(kernel.session->wait_ready().code(), ENODEV);
  EXPECT_EQ(kernel.client.sink(), nullptr);
}

TEST(Session, others_are_served_while_reads_block) {
  FakeKernel kernel;
  const auto file = kernel.create(1, "f");
  fuse_read_in in{};
  in.fh = file.handle;
  in.offset = FakeClient::kBlockedOffset;
  in.size = 10;
  std::vector<uint64_t> blocked;
  for (int i = 0; i < 10; ++i) {
    kernel.transport.push(kernel.request(FUSE_READ, file.node, raw(in)));
    blocked.push_back(kernel.last_unique);
  }
  EXPECT_EQ(kernel.call(FUSE_GETATTR, 1, raw(fuse_getattr_in{})).error, 0);
  for (const uint64_t unique : blocked) EXPECT_FALSE(kernel.transport.has_reply(unique));
  EXPECT_GE(kernel.session->threads(), 11);
  kernel.client.unblock();
  for (const uint64_t unique : blocked) EXPECT_EQ(kernel.transport.take_reply(unique).error, 0);
}

TEST(WorkerPool, a_stall_that_nobody_announced_gets_another_reader) {
  FakeTransport transport;
  Mutex mutex;
  CondVar changed;
  bool entered = false;
  bool go_on = false;
  WorkerOptions options;
  options.waiting_min = 1;
  WorkerPool pool(
      transport,
      [&](MutableBytes, size_t length) {
        if (length != 1) return;
        MutexLock lock(mutex);
        entered = true;
        changed.notify_all();
        while (!go_on) changed.wait(mutex);
      },
      options);
  pool.start();
  transport.wait_readers(1);
  transport.push("x");
  {
    MutexLock lock(mutex);
    while (!entered) changed.wait(mutex);
  }
  pool.check_stall();
  transport.wait_readers(1);
  EXPECT_EQ(pool.threads(), 2);
  {
    MutexLock lock(mutex);
    go_on = true;
    changed.notify_all();
  }
  transport.wait_readers(2);
  transport.close();
  EXPECT_EQ(pool.join().code(), ENODEV);
}

TEST(WorkerPool, never_more_threads_than_allowed) {
  FakeTransport transport;
  WorkerOptions options;
  options.waiting_min = 1;
  options.threads_max = 3;
  Mutex mutex;
  CondVar changed;
  int blocked = 0;
  bool go_on = false;
  WorkerPool* self = nullptr;
  WorkerPool pool(
      transport,
      [&](MutableBytes, size_t) {
        self->ensure_reader();
        MutexLock lock(mutex);
        ++blocked;
        changed.notify_all();
        while (!go_on) changed.wait(mutex);
      },
      options);
  self = &pool;
  pool.start();
  for (int i = 0; i < 5; ++i) transport.push("x");
  {
    MutexLock lock(mutex);
    while (blocked < 3) changed.wait(mutex);
  }
  pool.ensure_reader();
  EXPECT_EQ(pool.threads(), 3);
  {
    MutexLock lock(mutex);
    go_on = true;
    changed.notify_all();
    while (blocked < 5) changed.wait(mutex);
  }
  transport.close();
  EXPECT_EQ(pool.join().code(), ENODEV);
}

}  // namespace
}  // namespace shoal::fuse
