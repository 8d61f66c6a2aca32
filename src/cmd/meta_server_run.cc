#include "cmd/meta_server_run.h"

#include <sys/resource.h>

#include <nlohmann/json.hpp>

#include "base/log.h"
#include "cmd/signal_watch.h"
#include "engine/postgres/postgres_engine.h"
#include "metasvc/meta_server.h"
#include "rpc/control.h"
#include "sys/mutex.h"

namespace shoal::cmd {
namespace {

using Json = nlohmann::ordered_json;
using metasvc::HostStatus;

constexpr int kHandlerThreads = 32;
constexpr int kWorkThreads = 8;
constexpr int kCommitThreadsPerVolume = 2;

const char* state_name(HostStatus::State state) {
  switch (state) {
    case HostStatus::State::kOwner:
      return "owner";
    case HostStatus::State::kStandby:
      return "standby";
    case HostStatus::State::kUnreachable:
      break;
  }
  return "unreachable";
}

Json status_json(const metasvc::MetaServer& server) {
  Json json;
  json["listen"] = Json::array();
  for (const NetAddress& address : server.addresses())
    json["listen"].push_back(address.to_string());
  json["connections"] = server.connections();
  json["volumes"] = Json::array();
  for (const HostStatus& host : server.status()) {
    json["volumes"].push_back({{"volume", host.name},
                               {"state", state_name(host.state)},
                               {"engine", host.engine},
                               {"owner", host.owner_address},
                               {"epoch", host.epoch},
                               {"sessions", host.sessions},
                               {"trouble", host.trouble}});
  }
  return json;
}

Json sessions_json(const std::vector<metasvc::VolumeService::SessionStatus>& sessions) {
  Json all = Json::array();
  for (const auto& session : sessions) {
    all.push_back({{"session", session.id},
                   {"host", session.host},
                   {"mount", session.description},
                   {"silent_seconds", session.silent.count() / 1000},
                   {"returned", session.returned}});
  }
  return all;
}

Result<std::string> serve_control(metasvc::MetaServer& server, const std::string& command,
                                  const std::string& arguments) {
  if (command == "meta-status") return status_json(server).dump();
  const Json asked = Json::parse(arguments, nullptr, false);
  const std::string volume = asked.is_object() ? asked.value("volume", "") : "";
  if (command == "token") {
    TRY_ASSIGN(const std::string token, server.token(volume));
    return Json{{"token", token}}.dump();
  }
  if (command == "session-list") {
    TRY_ASSIGN(const auto sessions, server.sessions(volume));
    return Json{{"sessions", sessions_json(sessions)}}.dump();
  }
  if (command == "session-evict") {
    const SessionId session = asked.value("session", SessionId{0});
    TRY(server.evict(volume, session));
    return Json{{"evicted", session}}.dump();
  }
  return error(EBUSY,
               "a meta server owns the volume; use shoal://{}/NAME instead of its engine's URL",
               server.addresses().front().to_string());
}

Result<metasvc::HostedEngine> open_hosted(Runtime& runtime, const MetaUrl& url,
                                          bool metadata_loss_accepted) {
  metasvc::HostedEngine hosted;
  TRY_ASSIGN(hosted.engine, open_engine(runtime.fs, runtime.clock, url,
                                        {.metadata_loss_accepted = metadata_loss_accepted}));
  if (url.kind == MetaUrl::Kind::kPostgres) {
    auto* postgres = static_cast<engine::PostgresEngine*>(hosted.engine.get());
    hosted.fence = [postgres](uint64_t epoch) -> Status {
      postgres->set_epoch(epoch);
      TRY_ASSIGN(const size_t ended, postgres->terminate_older_epochs(epoch));
      if (ended > 0) log(LogLevel::kInfo, "ended {} connections of older owners", ended);
      return {};
    };
  }
  return hosted;
}

struct Ended {
  Mutex mutex;
  CondVar changed;
  bool signalled GUARDED_BY(mutex) = false;
};

}  // namespace

Result<NetAddress> parse_listen(const std::string& text) {
  const bool is_path = !text.empty() && text[0] == '/';
  Result<NetAddress> address = NetAddress::parse((is_path ? "unix:" : "tcp:") + text);
  if (address.ok()) return address;
  return error(EINVAL, "--listen {}: use HOST:PORT, or the absolute path of a Unix socket", text);
}

NetAddress meta_control_address(const NetAddress& address) {
  NetAddress control;
  control.is_unix = true;
  std::string name = address.is_unix ? address.path_or_host : fmt::format("-{}", address.port);
  std::replace(name.begin(), name.end(), '/', '-');
  control.path_or_host = join(runtime_dir(), "meta" + name + ".sock");
  return control;
}

Status run_meta_server(Runtime& runtime, const MetaServerSettings& settings,
                       const std::function<void()>& ready) {
  SignalWatch::block();
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  TRY(make_dirs(runtime.fs, runtime_dir()));
  ThreadPool handlers("rpc", kHandlerThreads);
  ThreadPool work("work", kWorkThreads);
  ThreadPool commits("commit", kCommitThreadsPerVolume * static_cast<int>(settings.engines.size()));
  metasvc::MetaServerOptions options;
  options.listen = settings.listen;
  if (!settings.tls.certificate_file.empty()) {
    TRY_ASSIGN(options.tls, rpc::TlsContext::for_server(settings.tls));
  }
  const Uuid me = runtime.random.uuid();
  const std::string address =
      settings.advertise.empty() ? settings.listen.front().to_string() : settings.advertise;
  std::vector<std::unique_ptr<metasvc::VolumeHost>> hosts;
  for (const MetaUrl& url : settings.engines) {
    metasvc::HostOptions host;
    host.name = url.to_string();
    host.open_engine = [&runtime, url, accepted = settings.metadata_loss_accepted] {
      return open_hosted(runtime, url, accepted);
    };
    host.election.me = me;
    host.election.address = address;
    hosts.push_back(metasvc::VolumeHost::start({runtime.clock, runtime.random, work, commits},
                                               std::move(host)));
  }
  TRY_ASSIGN(const auto server,
             metasvc::MetaServer::start({runtime.net, handlers, runtime.clock, runtime.random},
                                        options, std::move(hosts)));
  const auto handler = [&server](const std::string& command, const std::string& arguments,
                                 const std::function<Status(const std::string&)>&) {
    return serve_control(*server, command, arguments);
  };
  std::vector<std::unique_ptr<rpc::ControlServer>> controls;
  const auto add_control = [&](const NetAddress& at) -> Status {
    TRY_ASSIGN(auto control, rpc::ControlServer::start(runtime.net, at, handler));
    controls.push_back(std::move(control));
    return {};
  };
  for (const NetAddress& bound : server->addresses()) TRY(add_control(meta_control_address(bound)));
  for (const MetaUrl& url : settings.engines) {
    if (url.kind == MetaUrl::Kind::kRocksdb) TRY(add_control(url.control_address()));
  }
  const auto ended = std::make_shared<Ended>();
  SignalWatch signals([ended] {
    MutexLock lock(ended->mutex);
    ended->signalled = true;
    ended->changed.notify_all();
  });
  for (const NetAddress& bound : server->addresses())
    log(LogLevel::kInfo, "meta server listens at {}", bound.to_string());
  ready();
  {
    MutexLock lock(ended->mutex);
    while (!ended->signalled) ended->changed.wait(ended->mutex);
  }
  controls.clear();
  server->stop();
  return {};
}

}  // namespace shoal::cmd
