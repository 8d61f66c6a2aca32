#include "cmd/owner_endpoint.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "meta/access_token.h"
#include "metasvc/job_dispatch.h"
#include "metasvc/service.h"
#include "rpc/server.h"

namespace shoal::cmd {
namespace {

constexpr int kThreads = 16;
constexpr std::chrono::milliseconds kGrace{1'000};
constexpr std::chrono::seconds kTick{1};

Status write_token(const std::string& path, const std::string& token) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return error(errno, "{}: {}", path, strerrordesc_np(errno));
  const bool whole = ::write(fd, token.data(), token.size()) == static_cast<ssize_t>(token.size());
  const int code = errno;
  ::close(fd);
  return whole ? Status() : Status(error(code, "{}: {}", path, strerrordesc_np(code)));
}

class Endpoint final : public OwnerEndpoint {
 public:
  explicit Endpoint(OpenVolume& volume)
      : volume_(volume),
        executor_("rpc", kThreads),
        jobs_(volume.owner()->maintenance(), volume.engine()) {
    metasvc::ServiceOptions options;
    options.jobs = &jobs_;
    service_ =
        metasvc::VolumeService::make(*volume.owner(), nullptr, volume.runtime().clock, {}, options);
  }
  ~Endpoint() override {
    tick_.reset();
    if (server_ != nullptr) server_->stop(kGrace);
    executor_.stop();
  }

  Status listen() {
    Runtime& runtime = volume_.runtime();
    const EndpointPlace place = endpoint_place(volume_.url().folder);
    // The same for every owner: a mount that outlives this one knows it for the next.
    TRY_ASSIGN(const std::string token,
               meta::draw_access_token(volume_.engine(), runtime.random, /*renew=*/false));
    TRY(write_token(place.token_file, token));
    rpc::ServerOptions options;
    options.authenticate = [token, name = volume_.volume().name](
                               const rpc::Applicant& applicant) -> Result<std::string> {
      if (applicant.volume != name) return error(ENOENT, "no such volume");
      return token;
    };
    rpc::ServerEvents events;
    events.call = [this](const std::shared_ptr<rpc::Call>& call) { service_->call(call); };
    TRY_ASSIGN(server_,
               rpc::RpcServer::start({runtime.net, executor_, runtime.clock, runtime.random},
                                     place.address, std::move(options), std::move(events)));
    tick_ = std::make_unique<Periodic>(executor_, kTick, [this] { service_->tick(); });
    return {};
  }

 private:
  OpenVolume& volume_;
  ThreadPool executor_;
  metasvc::JobDispatch jobs_;
  std::unique_ptr<metasvc::VolumeService> service_;
  std::unique_ptr<rpc::RpcServer> server_;
  std::unique_ptr<Periodic> tick_;
};

}  // namespace

EndpointPlace endpoint_place(const std::string& folder) {
  return {socket_in(folder, "owner.sock"), folder + "/owner.token"};
}

Result<std::unique_ptr<OwnerEndpoint>> OwnerEndpoint::start(OpenVolume& volume) {
  auto endpoint = std::make_unique<Endpoint>(volume);
  TRY(endpoint->listen());
  return std::unique_ptr<OwnerEndpoint>(std::move(endpoint));
}

}  // namespace shoal::cmd
