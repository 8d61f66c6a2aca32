// Peers that mean ill, or are broken: each costs a bounded amount, gets nothing, and the others do
// not notice. Time is the test's.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "base/log.h"
#include "rpc/handshake.h"
#include "rpc/rpc_test_util.h"
#include "sys/thread.h"

namespace shoal::rpc {
namespace {

// A connection that the test speaks over by hand.
class Raw {
 public:
  Raw(Rig& rig, const NetAddress& address)
      : rig_(rig), connection_(rig.net.connect(address, 5s).value()) {}

  Result<Agreed> shake(const std::string& volume = "data", std::string_view token = kTestToken) {
    return client_handshake(*connection_, {volume, std::string(token), "raw"}, {1, 1}, 4, "",
                            rig_.random);
  }
  // False when the peer hung up already.
  bool send(std::string_view bytes) { return connection_->write_all(as_bytes(bytes), 10s).ok(); }
  bool send(const FrameHeader& header, std::string_view body = {}) {
    const auto head = encode_frame_header(with_body(header, body));
    return send(std::string(head.data(), head.size()) + std::string(body));
  }
  // The next frame's header; its body is skipped. nullopt: the peer hung up.
  std::optional<FrameHeader> frame() {
    std::string head(kFrameHeaderBytes, '\0');
    if (!connection_->read_all(as_mutable_bytes(head), 60s).ok()) return std::nullopt;
    const FrameHeader header = decode_frame_header(as_bytes(head), 1).value();
    std::string body(header.body_length, '\0');
    if (!body.empty() && !connection_->read_all(as_mutable_bytes(body), 60s).ok())
      return std::nullopt;
    return header;
  }
  // Everything until the peer hangs up.
  std::string rest() {
    std::string all;
    std::string some(64 << 10, '\0');
    for (;;) {
      const auto n = connection_->read(as_mutable_bytes(some), 60s);
      EXPECT_NE(n.code(), ETIMEDOUT) << "the server did not hang up";
      if (!n.ok() || *n == 0) return all;
      all.append(some, 0, *n);
    }
  }
  Connection& connection() { return *connection_; }

 private:
  Rig& rig_;
  std::unique_ptr<Connection> connection_;
};

FrameHeader request(uint64_t id, uint16_t method) {
  return {.kind = FrameKind::kRequest, .method = method, .request_id = id};
}

class HostileTest : public ::testing::Test {
 protected:
  HostileTest() {
    set_log_sink([this](LogLevel, std::string_view) { ++lines_; });
    ServerOptions options;
    options.limits.connections_max = 8;
    options.limits.unauthenticated_max = 4;
    options.limits.requests.requests_max = 4;
    options.limits.requests.request_bytes_max = 2 * kBodyBytesMax;
    options.limits.backlog_bytes_max = 9 << 20;
    server_ = std::make_unique<TestServer>(rig_.timed(), rig_.scratch.unix_address(), options);
    pumping_ = Thread("pump", [this] {
      eventually([this] {
        MutexLock lock(running_);
        rig_.manual.run_ready();
        return done_.load();
      });
    });
  }
  ~HostileTest() override {
    for (const auto& call : server_->take_held()) call->reply("");
    well_ = nullptr;
    server_->server->stop(0ms);
    done_ = true;
    pumping_.join();
    server_ = nullptr;
    set_log_sink(nullptr);
  }
  // Somebody who does nothing wrong, before and after.
  void expect_others_are_served() {
    if (well_ == nullptr) well_ = rig_.connect(server_->address());
    EXPECT_EQ(well_->call(kEcho, "fine", {}).result.value(), "fine");
  }
  void advance(std::chrono::seconds by) {
    MutexLock lock(running_);  // one thread at a time runs tasks
    rig_.manual.advance(by);
  }
  // An authenticated one; the server has noticed.
  Raw member() {
    size_t before = 0;
    {
      MutexLock lock(server_->mutex);
      before = server_->peers.size();
    }
    Raw peer = raw();
    EXPECT_TRUE(peer.shake().ok());
    EXPECT_TRUE(eventually([&] {
      MutexLock lock(server_->mutex);
      return server_->peers.size() > before;
    }));
    return peer;
  }
  Raw raw() { return {rig_, server_->address()}; }
  RpcServer::Counts counts() { return server_->server->counts(); }

  std::atomic<int> lines_ = 0;
  Mutex running_;
  Rig rig_;
  std::unique_ptr<TestServer> server_;
  std::unique_ptr<Channel> well_;
  std::atomic<bool> done_ = false;
  Thread pumping_;
};

// --- before the handshake is done: nothing but 4 KiB and a thread, for a bounded time ---

TEST_F(HostileTest, whoever_does_not_speak_the_protocol_is_hung_up_on) {
  expect_others_are_served();
  const std::string hello = encode(Hello{{1, 1}, "data", std::string(kNonceBytes, 'n'), "raw", 0});
  const auto with = [&](size_t at, std::string_view bytes) {
    std::string changed = hello;
    return changed.replace(at, bytes.size(), bytes);
  };
  struct Row {
    const char* what;
    std::string bytes;
  };
  for (const Row& row : {
           Row{"HTTP", "GET / HTTP/1.1\r\nHost: here\r\n\r\n"},
           Row{"zeros", std::string(4096, '\0')},
           Row{"a huge length", with(12, "\xff\xff\xff\xff")},
           Row{"a proof first", encode(Proof{std::string(kMacBytes, 'p')}, 1)},
           Row{"a frame first", std::string(kFrameHeaderBytes, '\x01')},
           Row{"a body that is no protobuf", with(16, "\xff\xff\xff\xff")},
           Row{"two hellos", hello + hello},
       }) {
    Raw peer = raw();
    peer.send(row.bytes);
    // At most the challenge, which is the same for everyone.
    EXPECT_LE(peer.rest().size(), encode(Challenge{1, std::string(kNonceBytes, 'c')}).size())
        << row.what;
  }
  EXPECT_EQ(counts().calls, 1u);
  expect_others_are_served();
}

TEST_F(HostileTest, versions_that_are_not_spoken_are_answered_with_those_that_are) {
  Raw peer = raw();
  peer.send(encode(Hello{{7, 9}, "data", std::string(kNonceBytes, 'n'), "raw", 0}));
  EXPECT_EQ(peer.rest(), encode(Refused{{1, 1}, EPROTONOSUPPORT, "no common protocol version"}));
}

TEST_F(HostileTest, slow_handshakes_end_at_their_time) {
  Raw silent = raw();
  Raw half = raw();
  half.send("SHOALRPC");
  Raw stuck = raw();
  stuck.send(encode(Hello{{1, 1}, "data", std::string(kNonceBytes, 'n'), "raw", 0}));
  EXPECT_TRUE(eventually([&] { return counts().unauthenticated == 3; }));
  for (int i = 0; i < 9; ++i) {
    advance(1s);
    if (i < 7) half.send(".");  // a byte now and then does not help
  }
  EXPECT_EQ(counts().unauthenticated, 3u);
  advance(1s);
  silent.rest();
  half.rest();
  stuck.rest();
  EXPECT_TRUE(eventually([&] { return counts().unauthenticated == 0; }));
  expect_others_are_served();
}

TEST_F(HostileTest, too_many_handshakes_delay_a_newcomer_a_second_each_time_and_the_oldest_go) {
  std::vector<std::unique_ptr<Raw>> crowd;
  for (int i = 0; i < 12; ++i) crowd.push_back(std::make_unique<Raw>(rig_, server_->address()));
  std::atomic<bool> served = false;
  Thread newcomer("newcomer", [&] {
    expect_others_are_served();
    served = true;
  });
  EXPECT_TRUE(eventually([&] { return counts().unauthenticated == 4; }));
  int seconds = 0;
  EXPECT_TRUE(eventually([&] {
    EXPECT_LE(counts().unauthenticated, 4u);
    // The four of each second have come.
    if (seconds < 3 && counts().accepted >= std::min<uint64_t>(13, 4u * (seconds + 1))) {
      ++seconds;
      advance(1s);
    }
    return served.load();
  }));
  EXPECT_EQ(seconds, 3);
  crowd[0]->rest();
}

// After a fail-over they all come at once, and none may be dropped for it.
TEST_F(HostileTest, a_crowd_of_good_clients_gets_in_whole) {
  std::vector<Thread> clients;
  std::atomic<int> in = 0;
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back("client", [&] {
      auto channel = rig_.connect(server_->address());
      in += channel->call(kEcho, "", {}).result.ok();
      eventually([&] { return in == 8; });
    });
  }
  clients.clear();
  EXPECT_EQ(in, 8);
}

TEST_F(HostileTest, more_connections_than_there_is_room_for_are_closed) {
  std::vector<std::unique_ptr<Channel>> all;
  for (int i = 0; i < 8; ++i) all.push_back(rig_.connect(server_->address()));
  EXPECT_TRUE(eventually([&] { return counts().connections == 8; }));
  EXPECT_FALSE(Channel::connect(rig_.real(), server_->address(), Rig::options()).ok());
  for (const auto& channel : all) EXPECT_TRUE(channel->call(kEcho, "", {}).result.ok());
  all.clear();
  EXPECT_TRUE(eventually([&] { return counts().connections == 0; }));
  expect_others_are_served();
}

// The three cases are the same bytes on the wire, after the same number of messages.
TEST_F(HostileTest, a_wrong_token_an_unknown_volume_and_a_hidden_one_are_answered_alike) {
  const auto answer = [&](const std::string& volume) {
    Raw peer = raw();
    peer.send(encode(Hello{{1, 1}, volume, std::string(kNonceBytes, 'n'), "raw", 0}));
    std::string challenge(encode(Challenge{1, std::string(kNonceBytes, 'c')}).size(), '\0');
    peer.connection().read_all(as_mutable_bytes(challenge), 60s).value();
    peer.send(encode(Proof{std::string(kMacBytes, 'p')}, 1));
    return peer.rest();
  };
  const std::string expected =
      encode(Refused{{1, 1}, EACCES, "no access: check the volume's name and the token"});
  EXPECT_EQ(answer("data"), expected);
  EXPECT_EQ(answer("nosuch"), expected);
  EXPECT_EQ(answer("hidden"), expected);
  EXPECT_EQ(counts().connections, 0u);
  EXPECT_EQ(counts().calls, 0u);
  EXPECT_EQ(raw().shake("data", "another token of some length").code(), EACCES);
}

TEST_F(HostileTest, a_recorded_handshake_is_worthless) {
  auto listener = rig_.net.listen(any_port()).value();
  std::string recorded;
  {
    Thread middle("middle", [&] {
      auto left = listener->accept().value();
      auto right = rig_.net.connect(server_->address(), 5s).value();
      Thread back("back", [&] { pump(*right, *left); });
      pump(*left, *right, &recorded);
    });
    auto channel = rig_.connect(listener->address());
    EXPECT_TRUE(channel->call(kEcho, "secret", {}).result.ok());
  }
  const uint64_t calls = counts().calls;
  Raw peer = raw();
  peer.send(recorded);
  const std::string got = peer.rest();
  EXPECT_EQ(got.find("secret"), std::string::npos);
  EXPECT_EQ(counts().calls, calls);
  EXPECT_TRUE(eventually([&] { return counts().refused == 1; }));
}

TEST_F(HostileTest, who_floods_the_server_does_not_flood_the_log) {
  for (int i = 0; i < 200; ++i) {
    Raw peer = raw();
    peer.send(std::string(kHandshakeHeaderBytes, 'x'));
    peer.rest();
  }
  EXPECT_TRUE(eventually([&] { return counts().refused == 200; }));
  EXPECT_LE(lines_, 10);
  advance(1s);
  EXPECT_TRUE(eventually([&] { return lines_ == 11; })) << lines_;
}

// --- authenticated, but breaking the rules: dropped ---

TEST_F(HostileTest, frames_that_break_a_rule_drop_the_connection) {
  expect_others_are_served();
  struct Row {
    const char* what;
    std::function<void(Raw&)> act;
  };
  const auto patched = [](const FrameHeader& header, size_t at, std::string_view bytes) {
    const auto head = encode_frame_header(header);
    return std::string(head.data(), head.size()).replace(at, bytes.size(), bytes);
  };
  for (const Row& row : std::initializer_list<Row>{
           {"garbage", [](Raw& peer) { peer.send(std::string(4096, '\x5a')); }},
           {"a header with a wrong CRC",
            [&](Raw& peer) { peer.send(patched(request(1, kEcho), 0, "\x01\x02\x03\x04")); }},
           {"a huge length",
            [&](Raw& peer) { peer.send(patched(request(1, kEcho), 8, "\xff\xff\xff\xff")); }},
           {"a body with a wrong CRC",
            [](Raw& peer) {
              const auto head = encode_frame_header(with_body(request(1, kEcho), "right"));
              peer.send(std::string(head.data(), head.size()) + "wrong");
            }},
           {"a reply", [](Raw& peer) { peer.send({.kind = FrameKind::kReply, .request_id = 1}); }},
           {"a notification", [](Raw& peer) { peer.send({.kind = FrameKind::kNotify}); }},
           {"credit for nothing",
            [](Raw& peer) { peer.send({.kind = FrameKind::kCredit, .value = 1}); }},
           {"an id used twice at once",
            [](Raw& peer) {
              peer.send(request(1, kHold));
              peer.send(request(1, kHold));
            }},
           {"more requests than it has credit for",
            [](Raw& peer) {
              for (uint64_t id = 1; id <= 5; ++id) peer.send(request(id, kHold));
            }},
           {"half a frame, then the end",
            [](Raw& peer) {
              peer.send("half a header");
              peer.connection().shutdown();
            }},
       }) {
    Raw peer = member();
    row.act(peer);
    peer.rest();
    EXPECT_TRUE(eventually([&] { return counts().connections == 1; })) << row.what;
    for (const auto& call : server_->take_held()) call->reply("");
    expect_others_are_served();
  }
}

TEST_F(HostileTest, requests_of_more_bytes_than_allowed_at_once_drop_the_connection) {
  Raw peer = member();
  const std::string body(kBodyBytesMax, 'x');
  EXPECT_TRUE(peer.send(request(1, kHold), body));
  EXPECT_TRUE(peer.send(request(2, kHold), body.substr(1)));
  const auto held = server_->take_held(2);
  peer.send(request(3, kHold), "xx");  // one byte too many; the two are still unanswered
  EXPECT_NE(server_->last_end().find("more than it may"), std::string::npos);
  for (const auto& call : held) call->reply("");
}

// A long body that does not come costs what did come, and ends as silence.
TEST_F(HostileTest, a_frame_that_never_ends_is_given_up_after_the_silence) {
  Raw peer = member();
  const auto head =
      encode_frame_header(with_body(request(1, kEcho), std::string(kBodyBytesMax, 'x')));
  peer.send(std::string(head.data(), head.size()) + "the beginning");
  Raw watch = member();
  advance(59s);
  EXPECT_EQ(counts().connections, 2u);
  advance(1s);
  peer.rest();
  EXPECT_NE(server_->last_end().find("said nothing for 60 s"), std::string::npos);
}

TEST_F(HostileTest, silence_is_probed_and_whoever_answers_stays) {
  Raw peer = member();
  for (int i = 0; i < 10; ++i) {
    advance(15s);
    const auto ping = peer.frame();
    ASSERT_TRUE(ping.has_value()) << server_->last_end();
    EXPECT_EQ(ping->kind, FrameKind::kPing);
    peer.send({.kind = FrameKind::kPong});
    peer.send({.kind = FrameKind::kPing});
    EXPECT_EQ(peer.frame().value().kind, FrameKind::kPong);  // so it has seen ours
  }
  EXPECT_EQ(counts().connections, 1u);
  advance(15s);
  EXPECT_EQ(peer.frame().value().kind, FrameKind::kPing);
  advance(44s);
  EXPECT_EQ(counts().connections, 1u);
  advance(1s);
  EXPECT_EQ(peer.frame(), std::nullopt);
}

TEST_F(HostileTest, who_did_not_hear_the_goodbye_is_answered_that_nothing_was_executed) {
  Raw peer = member();
  Thread stopping("stopping", [&] { server_->server->stop(60s); });
  EXPECT_EQ(peer.frame().value().kind, FrameKind::kGoodbye);
  peer.send(request(1, kEcho), "too late");
  const FrameHeader answer = peer.frame().value();
  EXPECT_EQ(answer.kind, FrameKind::kError);
  EXPECT_EQ(answer.method, kErrorNotExecuted);
  EXPECT_EQ(answer.value, static_cast<uint32_t>(ESHUTDOWN));
  EXPECT_EQ(counts().calls, 0u);
  peer.connection().shutdown();
}

// --- readers that do not read ---

TEST_F(HostileTest, replies_that_nobody_reads_are_bounded_by_the_backlog) {
  Raw peer = member();
  // Breaks no rule but that it does not read: each reply gives its credit back.
  const std::string size = std::to_string(kBodyBytesMax);
  uint64_t id = 0;
  while (id < 100 && peer.send(request(++id, kMuch), size)) {
    if (!eventually([&] { return counts().calls >= id || counts().connections == 0; })) break;
    if (counts().connections == 0) break;
  }
  EXPECT_LE(id, 5u);
  EXPECT_TRUE(eventually([&] { return counts().connections == 0; }));
  EXPECT_NE(server_->last_end().find("does not read"), std::string::npos) << server_->last_end();
  expect_others_are_served();
}

TEST_F(HostileTest, a_stalled_reader_holds_up_nobody_and_is_dropped_in_time) {
  Raw peer = member();
  ASSERT_TRUE(peer.send(request(1, kMuch), std::to_string(kBodyBytesMax)));
  EXPECT_TRUE(eventually([&] { return counts().calls == 1; }));
  expect_others_are_served();  // the test's executor has one thread
  advance(15s);
  EXPECT_NE(server_->last_end().find("did not read for"), std::string::npos) << server_->last_end();
  expect_others_are_served();
}

TEST_F(HostileTest, notifications_that_nobody_handles_are_bounded) {
  Raw peer = member();  // whose window is 4
  auto to = server_->peer();
  int taken = 0;
  while (taken < 100 && to->notify(1, std::string(1 << 20, 'x'))) ++taken;
  EXPECT_GE(taken, 4);
  EXPECT_LE(taken, 13);
  EXPECT_TRUE(eventually([&] { return counts().connections == 0; }));
}

TEST_F(HostileTest, pings_are_answered_within_the_backlog) {
  Raw peer = member();
  const auto head = encode_frame_header({.kind = FrameKind::kPing});
  std::string pings;
  for (int i = 0; i < 10'000; ++i) pings.append(head.data(), head.size());
  int sent = 0;
  while (sent < 1000 && peer.send(pings)) ++sent;
  EXPECT_LT(sent, 1000);
  EXPECT_TRUE(eventually([&] { return counts().connections == 0; }));
}

// --- servers that mean ill ---

class HostileServerTest : public ::testing::Test {
 protected:
  // A client whose server does what the test writes.
  void connect(ChannelOptions options = Rig::options(), const RequestLimits& limits = {}) {
    auto listener = rig_.net.listen(rig_.scratch.unix_address()).value();
    Thread accepting("accepting", [&] {
      connection_ = listener->accept().value();
      server_handshake(
          *connection_, {}, {1, 1}, limits,
          [](const Applicant&) -> Result<std::string> { return std::string(kTestToken); }, "",
          rig_.random)
          .value();
    });
    options.closed = [this](const Error& why) {
      MutexLock lock(mutex_);
      why_ = why.text();
    };
    channel_ = Channel::connect(rig_.timed(), listener->address(), std::move(options)).value();
    accepting.join();
  }
  void send(const FrameHeader& header, std::string_view body = {}) {
    const auto head = encode_frame_header(with_body(header, body));
    connection_->write_all(as_bytes(std::string(head.data(), head.size()) + std::string(body)), 60s)
        .ignore("the client may have hung up");
  }
  std::string why() {
    EXPECT_TRUE(eventually([&] {
      rig_.manual.run_ready();
      MutexLock lock(mutex_);
      return !why_.empty();
    }));
    MutexLock lock(mutex_);
    return why_;
  }

  Rig rig_;
  std::unique_ptr<Connection> connection_;
  std::unique_ptr<Channel> channel_;
  Mutex mutex_;
  std::string why_ GUARDED_BY(mutex_);
};

TEST_F(HostileServerTest, answers_to_what_was_not_asked_end_the_channel) {
  connect();
  Answers answers;
  channel_->start(kEcho, "", {}, answers.next());
  send({.kind = FrameKind::kReply, .request_id = 99});
  EXPECT_NE(why().find("was not asked"), std::string::npos);
  EXPECT_EQ(answers.take(1)[0].outcome, Outcome::kUnknown);
}

TEST_F(HostileServerTest, a_connection_lost_without_a_word_tells_unknown_from_never_sent) {
  connect(Rig::options(), {.requests_max = 1});
  Answers sent;
  Answers waiting;
  channel_->start(kEcho, "", {}, sent.next());
  channel_->start(kEcho, "", {}, waiting.next());
  connection_->shutdown();
  const Answer unknown = sent.take(1)[0];
  EXPECT_EQ(unknown.outcome, Outcome::kUnknown);
  EXPECT_EQ(unknown.result.code(), ECONNRESET);
  EXPECT_EQ(unknown.result.error().text(), "connection lost: unknown outcome");
  EXPECT_EQ(waiting.take(1)[0].outcome, Outcome::kNotExecuted);
  EXPECT_NE(why(), "");
}

TEST_F(HostileServerTest, requests_and_garbage_end_the_channel) {
  connect();
  send(request(1, kEcho));
  EXPECT_NE(why().find("kind 1"), std::string::npos);
}

TEST_F(HostileServerTest, more_notifications_than_the_window_end_the_channel) {
  ChannelOptions options = Rig::options();
  options.notifications_max = 3;
  options.notified = [](uint16_t, const std::string&) {};
  connect(options);
  for (int i = 0; i < 4; ++i) send({.kind = FrameKind::kNotify});
  EXPECT_TRUE(eventually([&] { return !channel_->usable().ok(); }));  // no task runs meanwhile
  EXPECT_NE(why().find("more notifications"), std::string::npos);
}

TEST_F(HostileServerTest, a_silent_server_is_probed_and_given_up) {
  connect();
  Answers answers;
  channel_->start(kEcho, "", {}, answers.next());
  rig_.manual.advance(60s);
  EXPECT_NE(why().find("said nothing for 60 s"), std::string::npos);
  EXPECT_EQ(answers.take(1)[0].outcome, Outcome::kUnknown);
}

TEST_F(HostileServerTest, a_server_that_never_shakes_hands_costs_the_time_to_connect) {
  auto listener = rig_.net.listen(rig_.scratch.unix_address()).value();
  int code = 0;
  Thread connecting("connecting", [&] {
    code = Channel::connect(rig_.timed(), listener->address(), Rig::options()).code();
  });
  auto connection = listener->accept().value();
  std::string hello(kHandshakeHeaderBytes, '\0');
  connection->read_all(as_mutable_bytes(hello), 60s).value();
  rig_.manual.advance(10s);
  connecting.join();
  EXPECT_EQ(code, ETIMEDOUT);
}

}  // namespace
}  // namespace shoal::rpc
