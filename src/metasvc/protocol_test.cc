#include <gtest/gtest.h>

#include <random>

#include "engine/memory/memory_engine.h"
#include "meta/owner.h"
#include "metasvc/codec.h"
#include "metasvc/loopback_test_util.h"
#include "sim/fake_clock.h"
#include "sim/manual_executor.h"
#include "sim/seeded_random.h"

namespace shoal::metasvc {
namespace {

std::string hex(std::string_view bytes) { return to_hex(as_bytes(bytes)); }

// Remembers the requests.
class RecordingLoopback final : public Loopback {
 public:
  using Loopback::Loopback;
  Result<std::string> call(uint16_t method, const rpc::Identity& identity,
                           std::string body) override {
    requests.emplace_back(method, body);
    return Loopback::call(method, identity, std::move(body));
  }
  std::vector<std::pair<uint16_t, std::string>> requests;
};

struct Protocol : ::testing::Test {
  Protocol() {
    meta::format_volume(*engine, {.name = "v", .bucket = "file:///b", .trash_days = 0}, clock,
                        random)
        .value();
    owner = meta::open_owner(*engine, clock, random, executor).value();
    transport = std::make_unique<RecordingLoopback>(owner->metadata());
    remote = make_remote_metadata(*transport);
    request.session = remote->session_open("host", "test").value();
    request.caller.kernel_checked = true;
  }

  sim::FakeClock clock;
  sim::SeededRandom random{1};
  sim::ManualExecutor executor{clock};
  std::unique_ptr<engine::KvEngine> engine = engine::make_memory_engine();
  std::unique_ptr<meta::OwnerHandle> owner;
  std::unique_ptr<RecordingLoopback> transport;
  std::unique_ptr<meta::Metadata> remote;
  meta::Request request;
};

TEST_F(Protocol, the_remote_metadata_is_the_owners) {
  const std::string name("caf\xc3\xa9\xff", 6);  // names are bytes
  const meta::Attr dir = remote->mkdir(request, kRootIno, "dir", 0750).value();
  const meta::Created made =
      remote->create(request, dir.ino, name, 0640, {.read = true, .write = true}, true).value();
  EXPECT_FALSE(made.existed);
  EXPECT_TRUE(made.opened.extents_known);
  meta::SetAttr change;
  change.mtime = meta::SetAttr::SetTime{false, {-5, 999'999'999}};
  change.uid = 7;
  ASSERT_TRUE(remote->setattr(request, made.opened.attr.ino, change).ok());
  ASSERT_TRUE(remote
                  ->setxattr(request, made.opened.attr.ino, "user.a", std::string("\0b", 2),
                             meta::Metadata::XattrMode::kCreate, false)
                  .ok());
  const meta::Attr here = remote->lookup(request, dir.ino, name).value();
  const meta::Attr there = owner->metadata().lookup(request, dir.ino, name).value();
  EXPECT_EQ(hex(encode(here)), hex(encode(there)));
  EXPECT_EQ(here.mtime, (Time{-5, 999'999'999}));
  EXPECT_EQ(here.uid, 7u);
  EXPECT_EQ(remote->getxattr(request, here.ino, "user.a").value(), std::string("\0b", 2));
  const meta::DirPage page = remote->readdir(request, dir.ino, "", 10, true).value();
  ASSERT_EQ(page.entries.size(), 1u);
  EXPECT_EQ(page.entries[0].name, name);
  EXPECT_EQ(page.entries[0].attr->ino, here.ino);
  const auto renamed =
      remote->rename(request, dir.ino, name, kRootIno, "x", meta::RenameMode::kNoReplace).value();
  EXPECT_EQ(renamed.moved.ino, here.ino);
  EXPECT_FALSE(renamed.replaced.has_value());
}

TEST_F(Protocol, errors_keep_their_number_and_their_text) {
  const auto here = remote->lookup(request, kRootIno, "absent");
  EXPECT_EQ(here.code(), ENOENT);
  EXPECT_EQ(remote->mkdir(request, kRootIno, "a/b", 0755).code(), EINVAL);
  const auto many = remote->getattr_many(request, {kRootIno, 99});
  ASSERT_EQ(many.size(), 2u);
  EXPECT_TRUE(many[0].ok());
  EXPECT_EQ(many[1].code(), ENOENT);
}

TEST_F(Protocol, a_lock_that_is_waited_for_is_answered_when_it_is_granted_or_given_up) {
  const Ino ino =
      remote->create(request, kRootIno, "f", 0644, {.write = true}, true).value().opened.attr.ino;
  meta::Lock lock;
  lock.type = meta::LockType::kWrite;
  lock.owner = 1;
  ASSERT_TRUE(remote->lock_set(request, ino, lock).ok());
  lock.owner = 2;
  EXPECT_EQ(remote->lock_set(request, ino, lock).code(), EAGAIN);
  EXPECT_EQ(remote->lock_get(request, ino, lock).value().owner, 1u);
  std::vector<int> told;
  const auto note = [&told](const Status& status) { told.push_back(status.code()); };
  const uint64_t first = remote->lock_wait(request, ino, lock, note);
  remote->lock_cancel(first);
  EXPECT_EQ(told, std::vector<int>{EINTR});
  remote->lock_wait(request, ino, lock, note);
  remote->release_posix_locks(request, ino, 1);
  executor.run_ready();
  EXPECT_EQ(told, (std::vector<int>{EINTR, 0}));
}

TEST_F(Protocol, garbage_is_refused_and_changes_nothing) {
  remote->mkdir(request, kRootIno, "dir", 0755).value();
  remote->create(request, kRootIno, "file", 0644, {}, true).value();
  remote->readdir(request, kRootIno, "", 10, true).value();
  remote->getattr_many(request, {1, 2, 3});
  const auto sent = transport->requests;
  const uint64_t inodes = owner->metadata().usage().value().inodes;
  std::mt19937_64 chance(7);
  int refused = 0;
  for (int round = 0; round < 20'000; ++round) {
    auto [method, body] = sent[chance() % sent.size()];
    if (chance() % 3 == 0) body.resize(chance() % (body.size() + 1));
    for (uint64_t n = chance() % 4; n > 0 && !body.empty(); --n)
      body[chance() % body.size()] = static_cast<char>(chance());
    if (chance() % 5 == 0) method = static_cast<uint16_t>(chance() % 70);
    if (changes_anything(method)) {
      // What is well-formed by chance would change something: only whether it decodes.
      body.resize(body.size() / 2);
    }
    const rpc::Identity identity{.session = request.session};
    refused += dispatch(owner->metadata(), method, identity, body).code() == EBADMSG;
  }
  EXPECT_GT(refused, 5'000);
  EXPECT_EQ(owner->metadata().usage().value().inodes, inodes);
}

TEST_F(Protocol, deep_or_long_bodies_cost_nothing_before_they_are_refused) {
  EXPECT_EQ(decode<Asked<GetAttr>>(std::string(100'000, '\x91')).code(), EBADMSG);
  EXPECT_EQ(decode<Asked<GetAttr>>("\xdd\xff\xff\xff\xff").code(), EBADMSG);  // 2^32-1 items
  EXPECT_EQ(decode<Asked<GetAttr>>("\xc6\xff\xff\xff\xff").code(), EBADMSG);  // … bytes
  EXPECT_EQ(decode<Asked<GetAttr>>("").code(), EBADMSG);
  EXPECT_EQ(decode<Asked<GetAttr>>(encode(Asked<GetAttr>{}) + "x").code(), EBADMSG);
}

TEST_F(Protocol, a_newer_peer_may_append_fields_and_an_older_one_leave_them_out) {
  const std::string whole = encode(meta::OpenFlags{true, true});
  ASSERT_EQ(hex(whole), "92c3c3");
  const auto newer = decode<meta::OpenFlags>("\x93\xc3\xc3\x05").value();
  EXPECT_TRUE(newer.read && newer.write);
  const auto older = decode<meta::OpenFlags>("\x91\xc3").value();
  EXPECT_TRUE(older.read && !older.write);
}

TEST_F(Protocol, golden_bytes) {
  Lookup lookup;
  lookup.parent = 1;
  lookup.name = "ab";
  Asked<Lookup> asked;
  asked.caller = {
      .uid = 1, .gid = 2, .pid = 3, .umask = 022, .groups = {4}, .kernel_checked = true};
  asked.arguments = lookup;
  EXPECT_EQ(hex(encode(asked)),
            "92960102031291"
            "04c3"
            "9201c4026162");
  meta::DataOutcome outcome;
  outcome.kind = meta::DataOutcome::Kind::kConflict;
  outcome.placed_at = 300;
  EXPECT_EQ(hex(encode(outcome)), "9203cd012c");
  EXPECT_EQ(hex(encode(SegmentId{1, 2})), "920102");
  EXPECT_EQ(hex(encode(Result<Ino>(5))), "920005");
}

}  // namespace
}  // namespace shoal::metasvc
