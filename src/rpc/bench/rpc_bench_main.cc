// Calls a second, and CPU a call, of the RPC transport alone: one client and one server in this
// process, an empty handler (24-byte request, 70-byte reply), N calls in flight on one connection.
//
//   ninja -C build/release rpc_bench && build/release/src/rpc/rpc_bench [CALLS]
//
// Over a Unix socket and loopback TCP, plain and TLS; callers that block, and callbacks that start
// the next call. CPU is that of both ends together.
#include <fmt/core.h>
#include <openssl/evp.h>
#include <sys/resource.h>

#include <cstdlib>
#include <filesystem>
#include <vector>

#include "rpc/channel.h"
#include "rpc/server.h"
#include "rpc/tls_test_util.h"
#include "sys/thread.h"

namespace shoal::rpc {
namespace {

constexpr std::string_view kToken = "a token for the benchmark";

double cpu_s() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](timeval t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

void blocking(Channel& channel, int in_flight, int calls) {
  std::vector<Thread> callers;
  callers.reserve(static_cast<size_t>(in_flight));
  for (int c = 0; c < in_flight; ++c) {
    callers.emplace_back("caller", [&] {
      for (int i = 0; i < calls / in_flight; ++i)
        (void)channel.call(1, std::string(24, 'q'), {}).result.value();
    });
  }
}

void by_callback(Channel& channel, int in_flight, int calls) {
  Mutex mutex;
  CondVar done;
  std::atomic<int> to_start = calls - in_flight;
  int left = calls;
  std::function<void(Answer)> next = [&](Answer answer) {
    (void)answer.result.value();
    if (to_start.fetch_sub(1) > 0) channel.start(1, std::string(24, 'q'), {}, next);
    MutexLock lock(mutex);
    if (--left == 0) done.notify_one();
  };
  for (int i = 0; i < in_flight; ++i) channel.start(1, std::string(24, 'q'), {}, next);
  MutexLock lock(mutex);
  while (left > 0) done.wait(mutex);
}

int run(int calls) {
  RealNet net;
  SystemClock clock;
  SystemRandom random;
  ThreadPool pool("bench", 2);
  const Seams seams{net, pool, clock, random};
  char folder[] = "/tmp/shoal-rpc-bench-XXXXXX";
  if (::mkdtemp(folder) == nullptr) return 1;
  const std::string at = folder;
  TestCa ca(at + "/ca", "CA");
  ca.sign(at + "/server", {.name = "server"});
  const auto server_tls = TlsContext::for_server({at + "/server.pem", at + "/server.key"}).value();
  const auto client_tls = TlsContext::for_client({.ca_file = ca.ca_file}).value();
  fmt::print("{:<10} {:<9} {:>9} {:>12} {:>14}\n", "transport", "callers", "in flight", "calls/s",
             "CPU us a call");
  for (const bool is_unix : {true, false}) {
    for (const bool tls : {false, true}) {
      ServerOptions options;
      options.tls = tls ? server_tls : nullptr;
      options.authenticate = [](const Applicant&) -> Result<std::string> {
        return std::string(kToken);
      };
      auto server =
          RpcServer::start(
              seams, NetAddress::parse(is_unix ? "unix:" + at + "/s" : "tcp:127.0.0.1:0").value(),
              std::move(options),
              {.call =
                   [](const std::shared_ptr<Call>& call) { call->reply(std::string(70, 'a')); }})
              .value();
      ChannelOptions client{.credentials = {"bench", std::string(kToken), "bench"}};
      client.tls = tls ? client_tls : nullptr;
      client.tls_server_name = "localhost";
      auto channel = Channel::connect(seams, server->address(), client).value();
      blocking(*channel, 1, 1000);
      for (const bool block : {true, false}) {
        for (const int in_flight : {1, 8, 64}) {
          const double cpu = cpu_s();
          const auto begin = clock.since_boot();
          (block ? blocking : by_callback)(*channel, in_flight, calls);
          const double took = static_cast<double>((clock.since_boot() - begin).count()) * 1e-9;
          fmt::print("{:<10} {:<9} {:>9} {:>12.0f} {:>14.1f}\n",
                     fmt::format("{}{}", is_unix ? "Unix" : "TCP", tls ? "+TLS" : ""),
                     block ? "blocking" : "callback", in_flight, calls / took,
                     (cpu_s() - cpu) * 1e6 / calls);
        }
      }
      channel.reset();
    }
  }
  std::filesystem::remove_all(at);
  return 0;
}

}  // namespace
}  // namespace shoal::rpc

int main(int argc, char** argv) { return shoal::rpc::run(argc > 1 ? std::atoi(argv[1]) : 100'000); }
