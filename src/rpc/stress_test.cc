// Many threads on one channel, calls cancelled and connections lost among them. Meant for the
// sanitizer for threads; every answer is checked.
#include <gtest/gtest.h>

#include <vector>

#include "rpc/rpc_test_util.h"
#include "rpc/tls_test_util.h"
#include "sim/seeded_random.h"
#include "sys/thread.h"

namespace shoal::rpc {
namespace {

class StressTest : public ::testing::Test {
 protected:
  void hammer(Channel& channel, int callers, int calls) {
    std::vector<Thread> threads;
    std::atomic<int> right = 0;
    for (int c = 0; c < callers; ++c) {
      threads.emplace_back("caller", [&, c] {
        sim::SeededRandom random(static_cast<uint64_t>(c));
        for (int i = 0; i < calls; ++i) {
          const std::string body = fmt::format("{}:{}:", c, i) +
                                   std::string(random.chance(2) ? random.below(40'000) : 20, 'b');
          const Answer answer =
              channel.call(kEcho, body, {.deadline = random.chance(50) ? 600s : 0s});
          right +=
              answer.outcome == Outcome::kAnswered && answer.result.ok() && *answer.result == body;
        }
      });
    }
    threads.clear();
    EXPECT_EQ(right, callers * calls);
  }
  Rig rig_;
};

TEST_F(StressTest, sixty_four_callers_get_their_own_answers) {
  TestServer server(rig_.real(), rig_.scratch.unix_address());
  auto channel = rig_.connect(server.address());
  hammer(*channel, 64, 200);
  EXPECT_EQ(server.server->counts().calls, 64u * 200);
}

TEST_F(StressTest, sixty_four_callers_share_little_credit) {
  ServerOptions options;
  options.limits.requests.requests_max = 3;
  TestServer server(rig_.real(), any_port(), options);
  auto channel = rig_.connect(server.address());
  hammer(*channel, 64, 50);
}

TEST_F(StressTest, sixty_four_callers_over_tls) {
  TestCa ca(rig_.scratch.path("ca"), "CA");
  ca.sign(rig_.scratch.path("server"), {.name = "server"});
  TestServer server(rig_.real(), any_port(),
                    {.tls = TlsContext::for_server({rig_.scratch.path("server") + ".pem",
                                                    rig_.scratch.path("server") + ".key"})
                                .value()});
  ChannelOptions options = Rig::options();
  options.tls = TlsContext::for_client({.ca_file = ca.ca_file}).value();
  auto channel = Channel::connect(rig_.real(), server.address(), options).value();
  hammer(*channel, 64, 50);
}

// Clients come, call, cancel and go while the server pushes, drops some and stops in the end:
// nothing is answered twice or never.
TEST_F(StressTest, every_call_ends_once_whatever_happens_to_its_connection) {
  TestServer server(rig_.real(), rig_.scratch.unix_address());
  std::atomic<int> started = 0;
  std::atomic<int> ended = 0;
  std::atomic<bool> stopping = false;
  std::vector<Thread> threads;
  for (int c = 0; c < 8; ++c) {
    threads.emplace_back("client", [&, c] {
      sim::SeededRandom random(static_cast<uint64_t>(c));
      for (int round = 0; round < 20; ++round) {
        ChannelOptions options = Rig::options();
        options.notified = [](uint16_t, const std::string&) {};
        options.closed = [](const Error& why) { (void)why.code(); };
        auto channel = Channel::connect(rig_.real(), server.address(), std::move(options));
        if (!channel.ok()) continue;
        for (int i = 0; i < 20; ++i) {
          const uint16_t method = random.chance(20) ? kHold : random.chance(20) ? kPush : kEcho;
          ++started;
          const uint64_t id =
              (*channel)->start(method, "3", {.deadline = 600s}, [&](Answer answer) {
                (void)answer.result.code();
                ++ended;
              });
          if (random.chance(30)) (*channel)->cancel(id);
        }
        if (random.chance(50)) (*channel)->call(kEcho, "", {.deadline = 600s}).result.code();
      }
    });
  }
  threads.emplace_back("server", [&] {
    sim::SeededRandom random(99);
    while (!stopping) {
      for (const auto& call : server.take_held()) {
        if (random.chance(10)) call->peer()->drop(Error(ESTALE, "evicted"));
        call->fail(Error(EINTR));
      }
      std::shared_ptr<Peer> peer;
      {
        MutexLock lock(server.mutex);
        if (!server.peers.empty()) peer = server.peers[random.below(server.peers.size())];
      }
      if (peer != nullptr) peer->notify(1, "news");
    }
  });
  for (size_t i = 0; i + 1 < threads.size(); ++i) threads[i].join();
  server.server->stop(0ms);
  stopping = true;
  threads.back().join();
  EXPECT_EQ(ended, started);
}

TEST_F(StressTest, a_server_may_stop_at_any_moment) {
  for (int round = 0; round < 20; ++round) {
    TestServer server(rig_.real(), rig_.scratch.unix_address());
    std::vector<Thread> threads;
    for (int c = 0; c < 4; ++c) {
      threads.emplace_back("client", [&] {
        auto channel = Channel::connect(rig_.real(), server.address(), Rig::options());
        while (channel.ok() && (*channel)->call(kEcho, "x", {}).outcome == Outcome::kAnswered) {
        }
        (void)channel.code();
      });
    }
    EXPECT_TRUE(eventually([&] { return server.server->counts().calls > 50; }));
    server.server->stop(round % 2 == 0 ? 0ms : 60'000ms);
  }
}

}  // namespace
}  // namespace shoal::rpc
