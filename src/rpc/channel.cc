#include "rpc/channel.h"

#include <system_error>
#include <utility>

#include "base/check.h"
#include "rpc/channel_state_internal.h"
#include "sys/thread.h"

namespace shoal::rpc {
namespace {

constexpr std::chrono::milliseconds kTick{1'000};  // how often silence is looked at

// Shuts a connection down when it is not ready in time.
class Watchdog {
 public:
  explicit Watchdog(Connection& connection) : connection_(&connection) {}
  void fire() {
    MutexLock lock(mutex_);
    if (connection_ == nullptr) return;
    fired_ = true;
    connection_->shutdown();
  }
  bool call_off() {  // true when it had fired
    MutexLock lock(mutex_);
    connection_ = nullptr;
    return fired_;
  }

 private:
  Mutex mutex_;
  Connection* connection_ GUARDED_BY(mutex_);
  bool fired_ GUARDED_BY(mutex_) = false;
};

Result<std::unique_ptr<TlsConnection>> secure(std::unique_ptr<Connection> plain,
                                              const NetAddress& address,
                                              const ChannelOptions& options) {
  std::string name = options.tls_server_name;
  if (name.empty() && !address.is_unix) name = address.path_or_host;
  return TlsConnection::client(std::move(plain), options.tls, name);
}

Result<Agreed> shake_hands(Connection& connection, TlsConnection* tls,
                           const ChannelOptions& options, Random& random) {
  std::string binding;
  if (tls != nullptr) {
    TRY(tls->handshake());
    binding = tls->binding();
  }
  return client_handshake(connection, options.credentials, options.versions,
                          options.notifications_max, binding, random);
}

}  // namespace

void Canceller::cancel() {
  std::function<void()> action;
  {
    MutexLock lock(mutex_);
    if (std::exchange(cancelled_, true)) return;
    action = std::move(action_);
    action_ = nullptr;
  }
  if (action) action();
}

bool Canceller::cancelled() const {
  MutexLock lock(mutex_);
  return cancelled_;
}

void Canceller::bind(std::function<void()> action) {
  {
    MutexLock lock(mutex_);
    if (!cancelled_) {
      action_ = std::move(action);
      return;
    }
  }
  action();
}

void Canceller::unbind() {
  MutexLock lock(mutex_);
  action_ = nullptr;
}

class ChannelHandle final : public Channel {
 public:
  ChannelHandle(Seams seams, std::shared_ptr<ChannelState> state)
      : state_(std::move(state)),
        reading_("rpc-read", [state = state_] { state->read(); }),
        ticking_(std::make_unique<Periodic>(seams.executor, kTick,
                                            [state = state_.get()] { state->tick(); })) {}

  ~ChannelHandle() override {
    state_->close();
    state_->end(Error(ECANCELED, "the channel was closed"));
    ticking_.reset();
    reading_.join();
    state_->shut();
  }

  Answer call(uint16_t method, std::string body, const CallOptions& options) override {
    Mutex mutex;
    CondVar answered;
    std::optional<Answer> answer;
    const uint64_t id = state_->start(method, std::move(body), options, [&](Answer given) {
      // Notified under the lock: our caller's frame may be gone right after it.
      MutexLock lock(mutex);
      answer = std::move(given);
      answered.notify_one();
    });
    if (options.canceller != nullptr) {
      options.canceller->bind([weak = std::weak_ptr(state_), id] {
        if (const auto state = weak.lock()) state->cancel(id);
      });
    }
    {
      MutexLock lock(mutex);
      while (!answer) answered.wait(mutex);
    }
    if (options.canceller != nullptr) options.canceller->unbind();
    return std::move(*answer);
  }

  uint64_t start(uint16_t method, std::string body, const CallOptions& options,
                 Done done) override {
    return state_->start(method, std::move(body), options, std::move(done));
  }
  void cancel(uint64_t id) override { state_->cancel(id); }
  void close() override { state_->close(); }
  Status usable() const override { return state_->usable(); }
  const Agreed& agreed() const override { return state_->agreed(); }

 private:
  const std::shared_ptr<ChannelState> state_;  // shared with tasks on the executor
  Thread reading_;
  std::unique_ptr<Periodic> ticking_;
};

Result<std::unique_ptr<Channel>> Channel::connect(Seams seams, const NetAddress& address,
                                                  ChannelOptions options) {
  TRY(check_token(options.credentials.token));
  TRY_ASSIGN(std::unique_ptr<Connection> connection,
             seams.net.connect(address, options.connect_max));
  TlsConnection* tls = nullptr;
  if (options.tls != nullptr) {
    TRY_ASSIGN(std::unique_ptr<TlsConnection> secured,
               secure(std::move(connection), address, options));
    tls = secured.get();
    connection = std::move(secured);
  }
  // Shared with the task, which may run long after.
  const auto watchdog = std::make_shared<Watchdog>(*connection);
  seams.executor.post_after(options.connect_max, [watchdog] { watchdog->fire(); });
  Result<Agreed> agreed = shake_hands(*connection, tls, options, seams.random);
  if (watchdog->call_off())
    return error(ETIMEDOUT, "{}: no handshake within {} ms", address.to_string(),
                 options.connect_max.count());
  if (!agreed.ok()) return agreed.error().in(address.to_string());
  try {
    auto state = std::make_shared<ChannelState>(seams, std::move(options), address.to_string(),
                                                std::move(connection), *agreed);
    return std::unique_ptr<Channel>(std::make_unique<ChannelHandle>(seams, std::move(state)));
  } catch (const std::system_error& e) {
    return error(EAGAIN,
                 "no thread for a connection to {} ({}); raise the limit of processes (ulimit -u)",
                 address.to_string(), e.what());
  }
}

}  // namespace shoal::rpc
