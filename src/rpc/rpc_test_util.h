// A server that does what tests want, and the seams around it.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "rpc/channel.h"
#include "rpc/server.h"
#include "sim/fake_clock.h"
#include "sim/manual_executor.h"
#include "sim/scratch_folder.h"
#include "sys/executor.h"
#include "sys/local_fs.h"
#include "sys/mutex.h"

namespace shoal::rpc {

using namespace std::chrono_literals;

// True as soon as `holds()`; false after many tries.
template <typename Condition>
bool eventually(Condition holds) {
  Mutex mutex;
  CondVar never;
  for (int i = 0; i < 20'000; ++i) {
    if (holds()) return true;
    MutexLock lock(mutex);
    never.wait_for(mutex, 1ms);
  }
  return false;
}

inline constexpr std::string_view kTestToken = "a token of some length";

// Methods of the test server.
inline constexpr uint16_t kEcho = 1;
inline constexpr uint16_t kFail = 2;      // ENOSPC with the body as text
inline constexpr uint16_t kHold = 3;      // is answered when the test says so
inline constexpr uint16_t kIdentity = 4;  // tells it
inline constexpr uint16_t kMuch = 5;      // answers as many bytes as the body says
inline constexpr uint16_t kForget = 6;    // never answers
inline constexpr uint16_t kPush = 7;      // notifies as many times as the body says, then answers

class Scratch : public sim::ScratchFolder {
 public:
  NetAddress unix_address() const { return NetAddress::parse("unix:" + path("s")).value(); }
};

// Hands on what comes from `from` until it ends, or `to` takes no more; keeps a copy in `seen`.
inline void pump(Connection& from, Connection& to, std::string* seen = nullptr) {
  std::string some(4096, '\0');
  for (;;) {
    const auto n = from.read(as_mutable_bytes(some), 0ms);
    if (!n.ok() || *n == 0) break;
    if (seen != nullptr) seen->append(some, 0, *n);
    if (!to.write_all(as_bytes(std::string_view(some).substr(0, *n)), 0ms).ok()) break;
  }
  to.shutdown();
}

inline NetAddress any_port() { return NetAddress::parse("tcp:127.0.0.1:0").value(); }

class TestServer {
 public:
  TestServer(Seams seams, const NetAddress& address, ServerOptions options = {}) {
    if (!options.authenticate) {
      options.authenticate = [](const Applicant& who) -> Result<std::string> {
        if (who.volume == "hidden") return error(EPERM, "not from there");
        if (who.volume != "data") return error(ENOENT, "no such volume");
        return std::string(kTestToken);
      };
    }
    server = RpcServer::start(seams, address, std::move(options),
                              {.call = [this](std::shared_ptr<Call> call) { serve(call); },
                               .connected =
                                   [this](const std::shared_ptr<Peer>& peer) {
                                     MutexLock lock(mutex);
                                     peers.push_back(peer);
                                   },
                               .disconnected =
                                   [this](const std::shared_ptr<Peer>&, const Error& why) {
                                     MutexLock lock(mutex);
                                     ends.push_back(why);
                                   }})
                 .value();
  }
  ~TestServer() {
    server->stop(0ms);
    for (const auto& call : take_held()) call->reply("");
  }

  void serve(const std::shared_ptr<Call>& call) {
    switch (call->method()) {
      case kEcho:
        return call->reply(call->body());
      case kFail:
        return call->fail(Error(ENOSPC, call->body()));
      case kIdentity:
        return call->reply(fmt::format("{} {} {}", call->identity().session,
                                       call->identity().sequence, call->identity().slot));
      case kMuch:
        return call->reply(std::string(std::stoul(call->body()), 'm'));
      case kForget:
        return;
      case kPush:
        for (unsigned long i = 0; i < std::stoul(call->body()); ++i)
          call->peer()->notify(9, std::to_string(i));
        return call->reply("pushed");
      default: {
        call->on_cancel([this] { ++cancels; });
        MutexLock lock(mutex);
        held_.push_back(call);
        ++holding;
      }
    }
  }
  std::vector<std::shared_ptr<Call>> take_held() {
    MutexLock lock(mutex);
    return std::exchange(held_, {});
  }
  // Waits until `n` calls are held, and takes them.
  std::vector<std::shared_ptr<Call>> take_held(size_t n) {
    EXPECT_TRUE(eventually([&] {
      MutexLock lock(mutex);
      return held_.size() >= n;
    })) << "not "
        << n << " calls";
    return take_held();
  }
  std::shared_ptr<Peer> peer() {
    EXPECT_TRUE(eventually([&] {
      MutexLock lock(mutex);
      return !peers.empty();
    }));
    MutexLock lock(mutex);
    return peers.back();
  }
  std::string last_end() {
    EXPECT_TRUE(eventually([&] {
      MutexLock lock(mutex);
      return !ends.empty();
    }));
    MutexLock lock(mutex);
    return ends.empty() ? "" : ends.back().text();
  }
  NetAddress address() const { return server->address(); }

  std::unique_ptr<RpcServer> server;
  std::atomic<int> cancels = 0;
  std::atomic<int> holding = 0;  // ever
  Mutex mutex;
  std::vector<std::shared_ptr<Peer>> peers GUARDED_BY(mutex);
  std::vector<Error> ends GUARDED_BY(mutex);

 private:
  std::vector<std::shared_ptr<Call>> held_ GUARDED_BY(mutex);
};

// Everything real, and a second set of seams whose time the test moves.
struct Rig {
  Seams real() { return {net, pool, clock, random}; }
  Seams timed() { return {net, manual, fake, random}; }
  static ChannelOptions options() {
    return {.credentials = {"data", std::string(kTestToken), "test"}};
  }
  std::unique_ptr<Channel> connect(const NetAddress& address) {
    return Channel::connect(real(), address, options()).value();
  }

  RealNet net;
  SystemClock clock;
  SystemRandom random;
  sim::FakeClock fake;
  sim::ManualExecutor manual{fake};
  ThreadPool pool{"rpc-test", 8};
  Scratch scratch;
};

// Collects what an asynchronous call was answered.
class Answers {
 public:
  Channel::Done next() {
    return [this](Answer answer) {
      MutexLock lock(mutex_);
      answers_.push_back(std::move(answer));
    };
  }
  size_t size() const {
    MutexLock lock(mutex_);
    return answers_.size();
  }
  std::vector<Answer> take(size_t n) {
    EXPECT_TRUE(eventually([&] { return size() >= n; })) << "not " << n << " answers";
    MutexLock lock(mutex_);
    return std::exchange(answers_, {});
  }

 private:
  mutable Mutex mutex_;
  std::vector<Answer> answers_ GUARDED_BY(mutex_);
};

}  // namespace shoal::rpc
