#include "fuse/given_out.h"

#include "fuse/fake_kernel_test_util.h"
#include "fuse/notifier.h"

namespace shoal::fuse {
namespace {

using namespace std::chrono_literals;

fuse_attr_out getattr(FakeKernel& kernel, uint64_t node) {
  return as<fuse_attr_out>(kernel.call(FUSE_GETATTR, node, raw(fuse_getattr_in{})));
}
fuse_entry_out lookup(FakeKernel& kernel, std::string_view child) {
  return as<fuse_entry_out>(kernel.call(FUSE_LOOKUP, 1, name(child)));
}
void forget(FakeKernel& kernel, uint64_t node, uint64_t lookups) {
  kernel.tell(FUSE_FORGET, node, raw(fuse_forget_in{lookups}));
}
// As ClientImpl does it: all the kernel was told by then.
std::vector<FakeNotification> become_shared(FakeKernel& kernel) {
  kernel.client.shared_now = true;
  client::InvalidationSink* const sink = kernel.client.sink();
  sink->invalidate_everything();
  Mutex mutex;
  CondVar changed;
  bool dropped = false;
  sink->when_dropped([&] {
    MutexLock lock(mutex);
    dropped = true;
    changed.notify_all();
  });
  MutexLock lock(mutex);
  while (!dropped) changed.wait(mutex);
  return kernel.transport.take_notifications();
}
std::multiset<std::string> names_in(const std::vector<FakeNotification>& notifications) {
  std::multiset<std::string> names;
  for (const FakeNotification& one : notifications) {
    if (one.code == FUSE_NOTIFY_INVAL_ENTRY)
      names.insert(one.payload.substr(sizeof(fuse_notify_inval_entry_out)).c_str());
  }
  return names;
}
std::multiset<uint64_t> nodes_in(const std::vector<FakeNotification>& notifications) {
  std::multiset<uint64_t> nodes;
  for (const FakeNotification& one : notifications) {
    if (one.code != FUSE_NOTIFY_INVAL_INODE) continue;
    fuse_notify_inval_inode_out out{};
    std::memcpy(&out, one.payload.data(), sizeof out);
    nodes.insert(out.ino);
  }
  return nodes;
}

TEST(GivenOut, answers_live_for_a_second_once_the_volume_is_shared) {
  FakeKernel kernel;
  const auto file = kernel.create(1, "f");
  EXPECT_EQ(lookup(kernel, "f").entry_valid, 3600u);
  EXPECT_EQ(lookup(kernel, "absent").entry_valid, 3600u);
  EXPECT_EQ(getattr(kernel, file.node).attr_valid, 3600u);
  become_shared(kernel);
  EXPECT_EQ(lookup(kernel, "f").entry_valid, 1u);
  EXPECT_EQ(lookup(kernel, "f").attr_valid, 1u);
  EXPECT_EQ(lookup(kernel, "absent").entry_valid, 1u);
  EXPECT_EQ(getattr(kernel, file.node).attr_valid, 1u);
}

// The reply to OPEN has no size in it, and a read ends at the size that the kernel believes in.
TEST(Shared, an_open_whose_pages_are_not_kept_drops_the_attributes_before_its_reply) {
  FakeKernel kernel;
  const auto file = kernel.create(1, "f");
  become_shared(kernel);
  const auto open = [&] {
    kernel.call(FUSE_OPEN, file.node, raw(fuse_open_in{O_RDONLY, 0}));
    return nodes_in(kernel.transport.take_notifications());
  };
  EXPECT_EQ(open(), std::multiset<uint64_t>{}) << "nobody changed it";
  kernel.client.set_keep_cache(false);
  EXPECT_EQ(open(), std::multiset<uint64_t>{file.node});
}

// The kernel looks the name up again before it tells the program.
TEST(Shared, a_node_that_is_gone_is_a_stale_one) {
  FakeKernel kernel;
  const auto file = kernel.create(1, "f");
  const auto code = [&](uint32_t opcode, const std::string& arguments) {
    kernel.client.fail_next(ENOENT);
    return kernel.call(opcode, file.node, arguments).error;
  };
  EXPECT_EQ(code(FUSE_OPEN, raw(fuse_open_in{O_RDONLY, 0})), ENOENT);
  EXPECT_EQ(code(FUSE_GETATTR, raw(fuse_getattr_in{})), ENOENT);
  become_shared(kernel);
  EXPECT_EQ(code(FUSE_OPEN, raw(fuse_open_in{O_RDONLY, 0})), ESTALE);
  EXPECT_EQ(code(FUSE_GETATTR, raw(fuse_getattr_in{})), ESTALE);
  EXPECT_EQ(code(FUSE_SETATTR, raw(fuse_setattr_in{})), ESTALE);
  EXPECT_EQ(code(FUSE_LOOKUP, name("g")), 0) << "a missing name is none";
}

TEST(GivenOut, what_was_given_out_before_leaves_the_kernel) {
  FakeKernel kernel;
  const auto file = kernel.create(1, "f");
  lookup(kernel, "absent");
  kernel.create(1, "old");
  kernel.call(FUSE_RENAME, 1, raw(fuse_rename_in{1}) + name("old") + name("new"));
  kernel.create(1, "gone");
  kernel.call(FUSE_UNLINK, 1, name("gone"));
  const auto told = become_shared(kernel);
  EXPECT_EQ(names_in(told), (std::multiset<std::string>{"absent", "f", "new"}));
  EXPECT_TRUE(nodes_in(told).contains(file.node));
  EXPECT_TRUE(nodes_in(told).contains(FUSE_ROOT_ID));
}

TEST(GivenOut, what_the_kernel_forgot_is_not_remembered) {
  FakeKernel kernel;
  const uint64_t directory = kernel.mkdir(1, "d");
  const auto inside = kernel.create(directory, "f");
  const auto file = kernel.create(1, "f");
  lookup(kernel, "f");
  forget(kernel, file.node, 1);  // one of two lookups
  forget(kernel, inside.node, 1);
  forget(kernel, directory, 1);
  const auto told = become_shared(kernel);
  EXPECT_EQ(nodes_in(told), (std::multiset<uint64_t>{FUSE_ROOT_ID, file.node}));
  EXPECT_EQ(names_in(told), (std::multiset<std::string>{"d", "f"}));  // the root's
}

TEST(GivenOut, a_kernel_that_can_forgets_all_names_at_once) {
  FakeTransport transport;
  transport.take_epochs();
  FakeClient client;
  GivenOut given_out(client, {}, {1s, 1s, 1s});
  Notifier notifier(transport, NodeIds{}, given_out);
  ASSERT_TRUE(notifier.increase_epoch());
  given_out.spare_names();
  {
    const GivenOut::Answer answer(given_out);
    EXPECT_EQ(answer.entry(1, "f", 7).entries, 1h);
  }
  client.shared_now = true;
  notifier.invalidate_everything();
  EXPECT_EQ(transport.epochs(), 2);
  const FakeNotification first = transport.wait_notification();
  EXPECT_EQ(first.code, FUSE_NOTIFY_INVAL_INODE);
}

TEST(GivenOut, what_does_not_fit_lives_for_a_short_time) {
  FakeClient client;
  GivenOut given_out(client, {}, {1s, 1s, 1s});
  const GivenOut::Answer answer(given_out);
  for (size_t i = 0; i < GivenOut::kNamesMax; ++i)
    ASSERT_EQ(answer.entry(1, std::to_string(i), i + 2).entries, 1h);
  EXPECT_EQ(answer.entry(1, "one more", 5).entries, 1s);
  EXPECT_EQ(answer.entry(1, "7", 5).entries, 1h);
  EXPECT_EQ(answer.negative(1, "another").negative, 1s);
  EXPECT_FALSE(answer.renamed(1, "moved"));
  EXPECT_EQ(answer.attributes(3).attributes, 1h);
  EXPECT_EQ(answer.attributes(GivenOut::kNamesMax + 100).attributes, 1s);
  given_out.removed(1, "7");
  EXPECT_EQ(answer.entry(1, "one more", 5).entries, 1h);
}

TEST(GivenOut, a_file_that_several_mounts_write_is_opened_for_direct_io) {
  FakeKernel kernel;
  kernel.client.set_keep_cache(false);
  const auto file = kernel.create(1, "f");
  const auto flags = [&] {
    return as<fuse_open_out>(kernel.call(FUSE_OPEN, file.node, raw(fuse_open_in{O_RDONLY, 0})))
        .open_flags;
  };
  EXPECT_EQ(flags() & FOPEN_DIRECT_IO, 0u);
  kernel.client.direct = true;
  EXPECT_NE(flags() & FOPEN_DIRECT_IO, 0u);
}

}  // namespace
}  // namespace shoal::fuse
