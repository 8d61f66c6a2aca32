#include "metasvc/meta_server.h"

#include <atomic>

namespace shoal::metasvc {
namespace {

constexpr std::chrono::milliseconds kGrace{2'000};

class Server final : public MetaServer {
 public:
  explicit Server(std::vector<std::unique_ptr<VolumeHost>> hosts) : hosts_(std::move(hosts)) {}
  ~Server() override { stop(); }

  Status listen(rpc::Seams seams, const MetaServerOptions& options);
  void stop() override;
  std::vector<HostStatus> status() const override {
    std::vector<HostStatus> all;
    for (const auto& host : hosts_) all.push_back(host->status());
    return all;
  }
  std::vector<NetAddress> addresses() const override {
    std::vector<NetAddress> all;
    for (const auto& server : servers_) all.push_back(server->address());
    return all;
  }
  size_t connections() const override {
    size_t sum = 0;
    for (const auto& server : servers_) sum += server->counts().connections;
    return sum;
  }
  Result<std::string> token(const std::string& volume) const override {
    VolumeHost* host = find(volume);
    return host != nullptr ? host->token() : Result<std::string>(no_such(volume));
  }
  Result<std::vector<VolumeService::SessionStatus>> sessions(
      const std::string& volume) const override {
    VolumeHost* host = find(volume);
    if (host == nullptr) return no_such(volume);
    return host->sessions();
  }
  Status evict(const std::string& volume, SessionId session) override {
    VolumeHost* host = find(volume);
    return host != nullptr ? host->evict(session) : Status(no_such(volume));
  }

 private:
  static Error no_such(const std::string& volume) {
    return error(ENOENT, "this server has no volume '{}'", volume);
  }
  VolumeHost* find(const std::string& volume) const {
    for (const auto& host : hosts_) {
      if (host->volume() == volume) return host.get();
    }
    return nullptr;
  }

  const std::vector<std::unique_ptr<VolumeHost>> hosts_;
  std::vector<std::unique_ptr<rpc::RpcServer>> servers_;
  std::atomic<bool> stopped_ = false;
};

Status Server::listen(rpc::Seams seams, const MetaServerOptions& options) {
  for (const NetAddress& address : options.listen) {
    rpc::ServerOptions server;
    server.limits = options.limits;
    server.tls = address.is_unix ? nullptr : options.tls;
    server.authenticate = [this](const rpc::Applicant& applicant) {
      return token(applicant.volume);
    };
    rpc::ServerEvents events;
    events.call = [this](const std::shared_ptr<rpc::Call>& call) {
      VolumeHost* host = find(call->peer()->info().who.volume);
      if (host == nullptr) return call->fail(error(kNotTheOwner, "no such volume here"));
      host->call(call);
    };
    Result<std::unique_ptr<rpc::RpcServer>> started =
        rpc::RpcServer::start(seams, address, std::move(server), std::move(events));
    if (!started.ok()) return started.error().in(address.to_string());
    servers_.push_back(std::move(*started));
  }
  return {};
}

void Server::stop() {
  if (stopped_.exchange(true)) return;
  for (const auto& host : hosts_) host->stop();
  for (const auto& server : servers_) server->stop(kGrace);
}

}  // namespace

Result<std::unique_ptr<MetaServer>> MetaServer::start(
    rpc::Seams seams, MetaServerOptions options, std::vector<std::unique_ptr<VolumeHost>> hosts) {
  auto server = std::make_unique<Server>(std::move(hosts));
  TRY(server->listen(seams, options));
  return std::unique_ptr<MetaServer>(std::move(server));
}

}  // namespace shoal::metasvc
