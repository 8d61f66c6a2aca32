#include "rpc/server.h"

#include <system_error>
#include <utility>

#include "base/check.h"
#include "rpc/acceptor_internal.h"
#include "rpc/server_connection_internal.h"
#include "rpc/server_core_internal.h"

namespace shoal::rpc {
namespace {

Status check(const ServerOptions& options, const ServerEvents& events) {
  CHECK(options.authenticate && events.call);
  const ServerLimits& limits = options.limits;
  if (limits.requests.requests_max == 0 || limits.requests.request_bytes_max < kBodyBytesMax ||
      limits.backlog_bytes_max < 2 * (kBodyBytesMax + kFrameHeaderBytes))
    return error(EINVAL,
                 "limits of the RPC server: at least one request, {} bytes of requests and "
                 "{} bytes of backlog per connection are needed",
                 kBodyBytesMax, 2 * (kBodyBytesMax + kFrameHeaderBytes));
  return {};
}

class Server final : public RpcServer {
 public:
  Server(std::shared_ptr<ServerCore> core, std::unique_ptr<Listener> listener)
      : core_(std::move(core)),
        acceptor_(std::move(listener), "rpc", threads_max(core_->options.limits),
                  Acceptor::WhenFull::kWait,
                  [this](std::unique_ptr<Connection> connection) {
                    return core_->admit(core_, std::move(connection));
                  }),
        ticking_(std::make_unique<Periodic>(core_->seams.executor, core_->options.limits.tick,
                                            [this] { tick(); })) {}

  ~Server() override { stop(std::chrono::milliseconds(0)); }

  void stop(std::chrono::milliseconds grace) override {
    core_->stop_admitting();
    acceptor_.close();
    for (const auto& connection : core_->all()) connection->say_goodbye();
    core_->wait_until_all_left(grace);
    acceptor_.stop();
    {
      MutexLock lock(mutex_);
      std::unique_ptr<Periodic> last = std::move(ticking_);
      lock.unlock();
    }
    core_->gate.shut();
  }

  NetAddress address() const override { return acceptor_.address(); }
  Counts counts() const override { return core_->counts(); }

 private:
  // Those that were told to go may need a moment to do so. Newcomers wait for them, in the backlog
  // of the listening socket.
  static size_t threads_max(const ServerLimits& limits) {
    return limits.connections_max + 2 * limits.unauthenticated_max;
  }
  void tick() {
    core_->tick();
    acceptor_.reap();
  }

  const std::shared_ptr<ServerCore> core_;  // shared with connections and late answers
  Acceptor acceptor_;
  Mutex mutex_;
  std::unique_ptr<Periodic> ticking_ GUARDED_BY(mutex_);
};

}  // namespace

Result<std::unique_ptr<RpcServer>> RpcServer::start(Seams seams, const NetAddress& address,
                                                    ServerOptions options, ServerEvents events) {
  TRY(check(options, events));
  TRY_ASSIGN(std::unique_ptr<Listener> listener, seams.net.listen(address));
  try {
    auto core = std::make_shared<ServerCore>(seams, std::move(options), std::move(events));
    return std::unique_ptr<RpcServer>(
        std::make_unique<Server>(std::move(core), std::move(listener)));
  } catch (const std::system_error& e) {
    return error(EAGAIN,
                 "no thread for the server at {} ({}); raise the limit of processes (ulimit -u)",
                 address.to_string(), e.what());
  }
}

}  // namespace shoal::rpc
