// shoal meta: the meta server, and what it says of itself.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cmd/command.h"
#include "cmd/daemon.h"
#include "cmd/meta_server_run.h"
#include "rpc/control.h"

namespace shoal::cmd {
namespace {

struct MetaArguments {
  std::vector<std::string> listen{fmt::format("127.0.0.1:{}", kMetaPortDefault)};
  std::vector<std::string> engines;
  std::string advertise, log_file, pid_file;
  rpc::TlsServerFiles tls;
  bool background = false, client_certificate_optional = false, metadata_loss_accepted = false;
};

Result<MetaServerSettings> make_settings(const MetaArguments& arguments) {
  MetaServerSettings settings;
  for (const std::string& text : arguments.listen) {
    TRY_ASSIGN(NetAddress address, parse_listen(text));
    settings.listen.push_back(std::move(address));
  }
  if (arguments.engines.empty())
    return error(EINVAL, "no --engine: which volumes shall be served?");
  for (const std::string& text : arguments.engines) {
    TRY_ASSIGN(MetaUrl url, MetaUrl::parse(text));
    if (url.is_remote())
      return error(EINVAL, "--engine {} is a meta server itself; use rocksdb:// or postgres://",
                   text);
    settings.engines.push_back(std::move(url));
  }
  settings.advertise = arguments.advertise;
  settings.tls = arguments.tls;
  if (settings.tls.certificate_file.empty() != settings.tls.key_file.empty())
    return error(EINVAL, "--tls-cert and --tls-key belong together; give both");
  if (arguments.client_certificate_optional)
    settings.tls.client_certificate = rpc::TlsServerFiles::ClientCertificate::kOptional;
  settings.metadata_loss_accepted = arguments.metadata_loss_accepted;
  return settings;
}

Status serve(Context& context, const MetaArguments& arguments) {
  TRY_ASSIGN(const MetaServerSettings settings, make_settings(arguments));
  if (!arguments.background) return run_meta_server(context.runtime, settings, [] {});
  std::string log = arguments.log_file;
  if (log.empty()) {
    const Path folder = "/var/log/shoal";
    TRY(make_dirs(context.runtime.fs, folder));
    log = join(folder, "meta.log");
  }
  TRY_ASSIGN(Daemon daemon, Daemon::fork_off(log));
  if (daemon.is_parent()) return daemon.outcome();
  Status ended = run_meta_server(context.runtime, settings, [&daemon] { daemon.report({}); });
  daemon.report(ended);
  return ended;
}

Status show_status(Context& context, const std::string& listen) {
  TRY_ASSIGN(const NetAddress address, parse_listen(listen));
  TRY_ASSIGN(
      const std::optional<std::string> told,
      rpc::ask(context.runtime.net, meta_control_address(address), "meta-status", "{}", nullptr));
  if (!told)
    return error(ENOTCONN, "no meta server that listens at {} runs on this machine", listen);
  if (context.json) {
    print_facts(context, *told);
    return {};
  }
  const auto json = nlohmann::ordered_json::parse(*told);
  std::printf("connections %s\n", json["connections"].dump().c_str());
  std::printf("%-20s %-12s %8s %9s  %-22s %s\n", "VOLUME", "STATE", "EPOCH", "SESSIONS", "OWNER",
              "TROUBLE");
  for (const auto& volume : json["volumes"]) {
    std::printf("%-20s %-12s %8s %9s  %-22s %s\n", volume.value("volume", "").c_str(),
                volume.value("state", "").c_str(), volume["epoch"].dump().c_str(),
                volume["sessions"].dump().c_str(), volume.value("owner", "").c_str(),
                volume.value("trouble", "").c_str());
  }
  return {};
}

}  // namespace

void add_meta(CLI::App& app, Context& context) {
  auto arguments = std::make_shared<MetaArguments>();
  CLI::App* sub = app.add_subcommand(
      "meta", "Serve the metadata of volumes to mounts on many machines, or show its status");
  sub->add_option("--listen", arguments->listen, "HOST:PORT or /path/of.sock; may be repeated")
      ->capture_default_str();
  sub->add_option("--engine", arguments->engines,
                  "a volume's rocksdb:///folder or postgres://user@host/database?volume=NAME; may "
                  "be repeated");
  sub->add_option(
      "--advertise", arguments->advertise,
      "address that the other servers name as the owner's; default: the first --listen");
  sub->add_flag("-d,--background", arguments->background,
                "return when it listens, serve in the background");
  sub->add_option("--log", arguments->log_file,
                  "with --background: append messages here; default /var/log/shoal/meta.log");
  sub->add_option("--tls-cert", arguments->tls.certificate_file,
                  "PEM: the server's certificate and those that lead to its CA; needed outside of "
                  "trusted networks");
  sub->add_option("--tls-key", arguments->tls.key_file, "PEM: the certificate's key");
  sub->add_option("--tls-client-ca", arguments->tls.client_ca_file,
                  "PEM: mounts must show a certificate that this CA signed");
  sub->add_flag("--tls-client-optional", arguments->client_certificate_optional,
                "with --tls-client-ca: mounts without a certificate are served too");
  sub->add_flag("--metadata-loss-accepted", arguments->metadata_loss_accepted,
                "PostgreSQL: in spite of settings that may lose what was committed");
  sub->footer(
      "Example, two servers that stand by for each other:\n"
      "  shoal format 'postgres://shoal@db/shoal?volume=demo' demo --bucket s3://…\n"
      "  shoal meta --listen 10.0.0.1:8710 --engine 'postgres://shoal@db/shoal?volume=demo'\n"
      "  shoal meta --listen 10.0.0.2:8710 --engine 'postgres://shoal@db/shoal?volume=demo'\n"
      "  shoal mount shoal://10.0.0.1:8710,10.0.0.2:8710/demo /mnt/demo\n"
      "The password of the database comes from PGPASSWORD or ~/.pgpass.");
  auto status_listen = std::make_shared<std::string>(fmt::format("127.0.0.1:{}", kMetaPortDefault));
  CLI::App* status =
      sub->add_subcommand("status", "Show what a meta server on this machine owns and serves");
  status->add_option("--listen", *status_listen, "its --listen")->capture_default_str();
  status->callback([&context, status_listen] {
    context.run = [&context, status_listen] { return show_status(context, *status_listen); };
  });
  sub->callback([&context, arguments, status] {
    if (status->parsed()) return;
    context.run = [&context, arguments] { return serve(context, *arguments); };
  });
}

}  // namespace shoal::cmd
