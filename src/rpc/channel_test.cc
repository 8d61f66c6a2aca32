// Promises of a channel and its server that hold over every transport.
#include "rpc/channel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "rpc/rpc_test_util.h"
#include "rpc/tls_test_util.h"
#include "sys/thread.h"

namespace shoal::rpc {
namespace {

enum class Over { kUnix, kTcp, kTls };

class ChannelTest : public ::testing::TestWithParam<Over> {
 protected:
  ChannelTest() {
    if (GetParam() != Over::kTls) return;
    TestCa ca(rig_.scratch.path("ca"), "CA");
    ca.sign(rig_.scratch.path("server"), {.name = "server"});
    server_tls_ = TlsContext::for_server(
                      {rig_.scratch.path("server") + ".pem", rig_.scratch.path("server") + ".key"})
                      .value();
    client_tls_ = TlsContext::for_client({.ca_file = ca.ca_file}).value();
  }
  std::unique_ptr<TestServer> serve(ServerOptions options = {}) {
    return serve(rig_.real(), options);
  }
  std::unique_ptr<TestServer> serve(Seams seams, ServerOptions options = {}) {
    options.tls = server_tls_;
    return std::make_unique<TestServer>(
        seams, GetParam() == Over::kUnix ? rig_.scratch.unix_address() : any_port(), options);
  }
  std::unique_ptr<Channel> connect(TestServer& server, ChannelOptions options = Rig::options()) {
    return connect(rig_.real(), server, std::move(options));
  }
  std::unique_ptr<Channel> connect(Seams seams, TestServer& server,
                                   ChannelOptions options = Rig::options()) {
    options.tls = client_tls_;
    return Channel::connect(seams, server.address(), std::move(options)).value();
  }

  Rig rig_;
  std::shared_ptr<const TlsContext> server_tls_;
  std::shared_ptr<const TlsContext> client_tls_;
};

std::string name_of(const ::testing::TestParamInfo<Over>& over) {
  switch (over.param) {
    case Over::kUnix:
      return "Unix";
    case Over::kTcp:
      return "Tcp";
    default:
      return "Tls";
  }
}
INSTANTIATE_TEST_SUITE_P(Over, ChannelTest, ::testing::Values(Over::kUnix, Over::kTcp, Over::kTls),
                         name_of);

TEST_P(ChannelTest, answers_errors_and_identities_come_back) {
  auto server = serve();
  auto channel = connect(*server);
  EXPECT_EQ(channel->call(kEcho, "hello", {}).result.value(), "hello");
  EXPECT_EQ(channel->call(kEcho, "", {}).result.value(), "");
  const Answer failed = channel->call(kFail, "no room left", {});
  EXPECT_EQ(failed.outcome, Outcome::kAnswered);
  EXPECT_EQ(failed.result.code(), ENOSPC);
  EXPECT_EQ(failed.result.error().message(), "no room left");
  const Identity identity{.session = 1ull << 60, .sequence = 7, .slot = 3};
  EXPECT_EQ(channel->call(kIdentity, "", {.identity = identity}).result.value(),
            fmt::format("{} 7 3", 1ull << 60));
}

TEST_P(ChannelTest, the_server_knows_who_calls) {
  auto server = serve();
  auto channel = connect(*server);
  const PeerInfo& info = server->peer()->info();
  EXPECT_EQ(info.who.volume, "data");
  EXPECT_EQ(info.who.description, "test");
  EXPECT_EQ(info.version, kVersionMax);
  EXPECT_EQ(info.who.process.pid, GetParam() == Over::kUnix ? ::getpid() : -1);
}

TEST_P(ChannelTest, bodies_up_to_the_limit_pass_longer_ones_are_refused) {
  auto server = serve();
  auto channel = connect(*server);
  std::string much(kBodyBytesMax, '\0');
  std::iota(much.begin(), much.end(), '\0');
  for (const size_t size : {1u, 16u << 10, (16u << 10) + 1, 100'000u, kBodyBytesMax}) {
    EXPECT_EQ(channel->call(kEcho, much.substr(0, size), {}).result.value(), much.substr(0, size));
  }
  const Answer request = channel->call(kEcho, much + "x", {});
  EXPECT_EQ(request.outcome, Outcome::kNotExecuted);
  EXPECT_EQ(request.result.code(), EMSGSIZE);
  const Answer reply = channel->call(kMuch, std::to_string(kBodyBytesMax + 1), {});
  EXPECT_EQ(reply.outcome, Outcome::kAnswered);
  EXPECT_EQ(reply.result.code(), EMSGSIZE);
  EXPECT_TRUE(channel->usable().ok());
}

TEST_P(ChannelTest, replies_may_come_in_another_order) {
  auto server = serve();
  auto channel = connect(*server);
  std::vector<int> order;
  Answers answers;
  for (int i = 0; i < 3; ++i) {
    channel->start(kHold, std::to_string(i), {}, [&, done = answers.next()](Answer answer) {
      order.push_back(std::stoi(*answer.result));  // all on the reading thread
      done(std::move(answer));
    });
  }
  auto held = server->take_held(3);
  std::sort(held.begin(), held.end(),
            [](const auto& a, const auto& b) { return a->body() > b->body(); });
  for (const auto& call : held) call->reply(call->body());
  answers.take(3);
  EXPECT_EQ(order, (std::vector{2, 1, 0}));
}

TEST_P(ChannelTest, a_call_that_the_handler_lost_is_an_error) {
  auto server = serve();
  auto channel = connect(*server);
  const Answer answer = channel->call(kForget, "", {});
  EXPECT_EQ(answer.outcome, Outcome::kAnswered);
  EXPECT_EQ(answer.result.code(), EIO);
}

// --- deadlines and cancelling ---

TEST_P(ChannelTest, after_its_deadline_a_call_is_unknown_and_the_server_is_told) {
  auto server = serve();
  auto channel = connect(rig_.timed(), *server);
  Answers answers;
  channel->start(kHold, "", {.deadline = 5s}, answers.next());
  channel->start(kHold, "", {.deadline = 500s}, answers.next());
  auto held = server->take_held(2);
  rig_.manual.advance(4s);
  EXPECT_EQ(answers.size(), 0u);
  rig_.manual.advance(1s);
  const auto late = answers.take(1);
  EXPECT_EQ(late[0].outcome, Outcome::kUnknown);
  EXPECT_EQ(late[0].result.code(), ETIMEDOUT);
  EXPECT_TRUE(eventually([&] { return server->cancels == 1; }));
  for (const auto& call : held) call->reply("late");
  EXPECT_EQ(answers.take(1)[0].result.value(), "late");  // the other one
  EXPECT_EQ(answers.size(), 0u);
}

TEST_P(ChannelTest, the_server_sees_how_much_time_is_left) {
  auto server = serve();
  auto channel = connect(*server);
  Answers answers;
  channel->start(kHold, "", {.deadline = 3600s}, answers.next());
  channel->start(kHold, "", {}, answers.next());
  int limited = 0;
  for (const auto& call : server->take_held(2)) {
    if (const auto left = call->time_left()) {
      ++limited;
      EXPECT_GT(*left, 0s);
      EXPECT_LE(*left, 3600s);
    }
    call->reply("");
  }
  EXPECT_EQ(limited, 1);
  answers.take(2);
}

TEST_P(ChannelTest, a_request_whose_time_is_over_is_never_executed) {
  auto server = serve(rig_.timed());  // handlers run when the test says so
  auto channel = connect(*server);
  Answers answers;
  channel->start(kEcho, "", {.deadline = 3600s}, answers.next());
  EXPECT_TRUE(eventually([&] { return rig_.manual.waiting() >= 2; }));  // the tick, and the call
  rig_.fake.advance(3601s);
  EXPECT_TRUE(rig_.manual.run_one());  // the call, which was due before the next tick
  const auto late = answers.take(1);
  EXPECT_EQ(late[0].outcome, Outcome::kNotExecuted);
  EXPECT_EQ(late[0].result.code(), ETIMEDOUT);
  EXPECT_EQ(server->server->counts().calls, 0u);
}

TEST_P(ChannelTest, a_cancelled_call_ends_with_what_the_server_answers) {
  auto server = serve();
  auto channel = connect(*server);
  Canceller canceller;
  Thread caller("caller", [&] {
    const Answer answer = channel->call(kHold, "", {.canceller = &canceller});
    EXPECT_EQ(answer.outcome, Outcome::kAnswered);
    EXPECT_EQ(answer.result.code(), EINTR);
  });
  auto held = server->take_held(1);
  canceller.cancel();
  EXPECT_TRUE(eventually([&] { return server->cancels == 1; }));
  EXPECT_TRUE(held[0]->cancelled());
  std::atomic<bool> told = false;
  held[0]->on_cancel([&] { told = true; });
  EXPECT_TRUE(eventually([&] { return told.load(); }));
  held[0]->fail(Error(EINTR));
}

TEST_P(ChannelTest, who_cancelled_before_calling_does_not_wait_for_a_turn) {
  ServerOptions limited;
  limited.limits.requests.requests_max = 1;
  auto server = serve(limited);
  auto channel = connect(*server);
  Answers answers;
  channel->start(kHold, "", {}, answers.next());
  Canceller canceller;
  canceller.cancel();
  const Answer answer = channel->call(kEcho, "x", {.canceller = &canceller});
  EXPECT_EQ(answer.outcome, Outcome::kNotExecuted);
  EXPECT_EQ(answer.result.code(), ECANCELED);
  server->take_held(1)[0]->reply("");
  answers.take(1);
}

TEST_P(ChannelTest, a_call_cancelled_before_its_turn_is_not_executed) {
  auto server = serve(rig_.timed());
  auto channel = connect(*server);
  Answers answers;
  const uint64_t id = channel->start(kEcho, "", {}, answers.next());
  EXPECT_TRUE(eventually([&] { return rig_.manual.waiting() >= 2; }));
  channel->cancel(id);
  channel->start(kEcho, "", {}, answers.next());  // behind the cancel
  EXPECT_TRUE(eventually([&] { return rig_.manual.waiting() >= 3; }));
  rig_.manual.run_ready();
  int unseen = 0;
  for (const Answer& answer : answers.take(2)) unseen += answer.outcome == Outcome::kNotExecuted;
  EXPECT_EQ(unseen, 1);
  EXPECT_EQ(server->server->counts().calls, 1u);
}

// --- flow control ---

TEST_P(ChannelTest, without_credit_calls_wait_in_order_and_go_on_when_it_comes_back) {
  ServerOptions limited;
  limited.limits.requests.requests_max = 2;
  auto server = serve(limited);
  ChannelOptions options = Rig::options();
  options.waiting_max = 3;
  auto channel = connect(*server, options);
  EXPECT_EQ(channel->agreed().limits.requests_max, 2u);
  Answers answers;
  std::vector<uint64_t> ids;
  for (int i = 0; i < 5; ++i)
    ids.push_back(channel->start(kHold, std::to_string(i), {}, answers.next()));
  channel->start(kHold, "one too many", {}, answers.next());
  const auto refused = answers.take(1);
  EXPECT_EQ(refused[0].outcome, Outcome::kNotExecuted);
  EXPECT_EQ(refused[0].result.code(), EAGAIN);
  channel->cancel(ids[3]);  // waits, so the server never hears of it
  const auto cancelled = answers.take(1);
  EXPECT_EQ(cancelled[0].outcome, Outcome::kNotExecuted);
  EXPECT_EQ(cancelled[0].result.code(), ECANCELED);

  auto held = server->take_held(2);
  EXPECT_EQ(server->holding, 2);
  for (const auto& call : held) call->reply(call->body());
  held = server->take_held(2);
  EXPECT_EQ(server->holding, 4);
  std::set<std::string> later;
  for (const auto& call : held) {
    later.insert(call->body());
    call->reply(call->body());
  }
  EXPECT_EQ(later, (std::set<std::string>{"2", "4"}));
  answers.take(4);
  EXPECT_EQ(server->cancels, 0);
}

TEST_P(ChannelTest, unanswered_bytes_are_limited_too) {
  ServerOptions limited;
  limited.limits.requests.request_bytes_max = kBodyBytesMax;
  auto server = serve(limited);
  auto channel = connect(*server);
  Answers answers;
  for (int i = 0; i < 3; ++i)
    channel->start(kHold, std::string(kBodyBytesMax / 2 + 1, 'x'), {}, answers.next());
  for (int i = 1; i <= 3; ++i) {
    const auto held = server->take_held(1);
    EXPECT_EQ(server->holding, i);
    held[0]->reply("");
  }
  answers.take(3);
}

TEST_P(ChannelTest, a_call_that_waits_past_its_deadline_is_not_executed) {
  ServerOptions limited;
  limited.limits.requests.requests_max = 1;
  auto server = serve(limited);
  auto channel = connect(rig_.timed(), *server);
  Answers answers;
  channel->start(kHold, "", {}, answers.next());
  channel->start(kEcho, "", {.deadline = 5s}, answers.next());
  rig_.manual.advance(5s);
  const auto late = answers.take(1);
  EXPECT_EQ(late[0].outcome, Outcome::kNotExecuted);
  EXPECT_EQ(late[0].result.code(), ETIMEDOUT);
  server->take_held(1)[0]->reply("");
  answers.take(1);
  EXPECT_EQ(server->server->counts().calls, 1u);
}

// --- notifications ---

TEST_P(ChannelTest, notifications_come_in_order_however_small_the_window) {
  auto server = serve();
  for (const uint32_t window : {1u, 2u, 7u, 1000u}) {
    Mutex mutex;
    std::vector<std::string> seen;
    ChannelOptions options = Rig::options();
    options.notifications_max = window;
    options.notified = [&](uint16_t method, std::string body) {
      EXPECT_EQ(method, 9);
      MutexLock lock(mutex);
      seen.push_back(std::move(body));
    };
    auto channel = connect(*server, options);
    EXPECT_EQ(channel->call(kPush, "300", {}).result.value(), "pushed");
    EXPECT_TRUE(eventually([&] {
      MutexLock lock(mutex);
      return seen.size() == 300;
    }));
    MutexLock lock(mutex);
    for (size_t i = 0; i < seen.size(); ++i) ASSERT_EQ(seen[i], std::to_string(i));
  }
}

TEST_P(ChannelTest, notifications_that_nobody_wants_are_dropped_by_the_client) {
  auto server = serve();
  ChannelOptions options = Rig::options();
  options.notifications_max = 2;
  auto channel = connect(*server, options);
  EXPECT_EQ(channel->call(kPush, "1000", {}).result.value(), "pushed");
  EXPECT_EQ(channel->call(kEcho, "still here", {}).result.value(), "still here");
}

// --- the end ---

TEST_P(ChannelTest, a_lost_connection_tells_unknown_from_never_sent) {
  ServerOptions limited;
  limited.limits.requests.requests_max = 1;
  auto server = serve(limited);
  ChannelOptions options = Rig::options();
  std::atomic<int> closed = 0;
  options.closed = [&](const Error&) { ++closed; };
  auto channel = connect(*server, options);
  Answers answers;
  channel->start(kHold, "sent", {}, answers.next());
  channel->start(kHold, "waits", {}, answers.next());
  auto held = server->take_held(1);
  server->server->stop(0ms);
  int unknown = 0;
  for (const Answer& answer : answers.take(2)) {
    unknown += answer.outcome == Outcome::kUnknown;
    if (answer.outcome == Outcome::kUnknown) {
      EXPECT_EQ(answer.result.code(), ECONNRESET);
    }
    EXPECT_NE(answer.outcome, Outcome::kAnswered);
  }
  EXPECT_EQ(unknown, 1);
  EXPECT_TRUE(eventually([&] { return closed == 1; }));
  EXPECT_FALSE(channel->usable().ok());
  const Answer after = channel->call(kEcho, "", {});
  EXPECT_EQ(after.outcome, Outcome::kNotExecuted);
  held[0]->reply("to nobody");
  channel.reset();
  EXPECT_EQ(closed, 1);
}

TEST_P(ChannelTest, a_server_that_stops_lets_running_calls_finish) {
  auto server = serve();
  ChannelOptions options = Rig::options();
  Mutex mutex;
  std::string why;
  options.closed = [&](const Error& reason) {
    MutexLock lock(mutex);
    why = reason.text();
  };
  auto channel = connect(*server, options);
  Answers answers;
  for (int i = 0; i < 3; ++i) channel->start(kHold, "", {}, answers.next());
  auto held = server->take_held(3);
  Thread stopping("stopping", [&] { server->server->stop(1h); });
  EXPECT_TRUE(eventually([&] { return !channel->usable().ok(); }));
  const Answer refused = channel->call(kEcho, "", {});
  EXPECT_EQ(refused.outcome, Outcome::kNotExecuted);
  for (const auto& call : held) call->reply("in time");
  for (const Answer& answer : answers.take(3)) EXPECT_EQ(answer.result.value(), "in time");
  stopping.join();  // the client hung up by itself
  EXPECT_TRUE(eventually([&] {
    MutexLock lock(mutex);
    return why.find("the server stops") != std::string::npos;
  }));
}

TEST_P(ChannelTest, a_client_that_leaves_is_noticed_and_its_calls_are_cancelled) {
  auto server = serve();
  auto channel = connect(*server);
  Answers answers;
  channel->start(kHold, "", {}, answers.next());
  auto held = server->take_held(1);
  channel.reset();
  EXPECT_EQ(answers.take(1)[0].outcome, Outcome::kUnknown);
  EXPECT_TRUE(eventually([&] { return server->cancels == 1; }));
  EXPECT_NE(server->last_end().find("said goodbye"), std::string::npos) << server->last_end();
  EXPECT_FALSE(held[0]->peer()->connected());
  EXPECT_FALSE(held[0]->peer()->notify(1, "anyone?"));
  held[0]->reply("to nobody");
  EXPECT_TRUE(eventually([&] { return server->server->counts().connections == 0; }));
}

TEST_P(ChannelTest, a_dropped_client_is_told_why) {
  auto server = serve();
  ChannelOptions options = Rig::options();
  Mutex mutex;
  std::optional<Error> why;
  options.closed = [&](const Error& reason) {
    MutexLock lock(mutex);
    why = reason;
  };
  auto channel = connect(*server, options);
  server->peer()->drop(Error(ESTALE, "the session was evicted"));
  EXPECT_TRUE(eventually([&] {
    MutexLock lock(mutex);
    return why.has_value();
  }));
  MutexLock lock(mutex);
  EXPECT_EQ(why->code(), ESTALE);
  EXPECT_NE(why->text().find("the session was evicted"), std::string::npos);
}

}  // namespace
}  // namespace shoal::rpc
