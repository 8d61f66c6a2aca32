// shoal session: the mounts that a meta server on this machine knows, and ending one of them.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cmd/command.h"
#include "cmd/meta_server_run.h"
#include "rpc/control.h"

namespace shoal::cmd {
namespace {

using Json = nlohmann::ordered_json;

struct SessionArguments {
  std::string listen = fmt::format("127.0.0.1:{}", kMetaPortDefault);
  std::string volume;
  uint64_t session = 0;
};

Result<Json> ask_server(Context& context, const SessionArguments& arguments,
                        const std::string& command) {
  TRY_ASSIGN(const NetAddress address, parse_listen(arguments.listen));
  const Json asked{{"volume", arguments.volume}, {"session", arguments.session}};
  TRY_ASSIGN(
      const std::optional<std::string> told,
      rpc::ask(context.runtime.net, meta_control_address(address), command, asked.dump(), nullptr));
  if (!told) {
    return error(ENOTCONN, "no meta server that listens at {} runs on this machine",
                 arguments.listen);
  }
  return Json::parse(*told, nullptr, false);
}

Status list(Context& context, const SessionArguments& arguments) {
  TRY_ASSIGN(const Json json, ask_server(context, arguments, "session-list"));
  if (context.json) {
    print_facts(context, json.dump());
    return {};
  }
  std::printf("%8s  %-24s %8s  %s\n", "SESSION", "HOST", "SILENT", "MOUNT");
  for (const Json& session : json["sessions"]) {
    const std::string silent = session["silent_seconds"].dump() + " s";
    std::printf("%8s  %-24s %8s  %s%s\n", session["session"].dump().c_str(),
                session.value("host", "").c_str(), silent.c_str(),
                session.value("mount", "").c_str(),
                session.value("returned", true) ? "" : "  (not heard of since the owner changed)");
  }
  return {};
}

Status evict(Context& context, const SessionArguments& arguments) {
  TRY_ASSIGN(const Json json, ask_server(context, arguments, "session-evict"));
  print_facts(context, json.dump());
  return {};
}

}  // namespace

void add_session(CLI::App& app, Context& context) {
  auto arguments = std::make_shared<SessionArguments>();
  CLI::App* session = app.add_subcommand(
      "session", "Mounts of a volume, as the meta server on this machine knows them");
  session->require_subcommand(1);
  const auto add_common = [&arguments](CLI::App* sub) {
    sub->add_option("VOLUME", arguments->volume, "name of the volume")->required();
    sub->add_option("--listen", arguments->listen, "--listen of the server that owns it")
        ->capture_default_str();
  };
  CLI::App* list_sub = session->add_subcommand("list", "Show the sessions");
  add_common(list_sub);
  list_sub->callback([&context, arguments] {
    context.run = [&context, arguments] { return list(context, *arguments); };
  });
  CLI::App* evict_sub = session->add_subcommand(
      "evict",
      "End a session: its locks are free at once, its open files that hold locks or uncommitted "
      "bytes answer EIO; a mount that lives goes on under a new session");
  add_common(evict_sub);
  evict_sub->add_option("SESSION", arguments->session, "its number, as list shows it")->required();
  evict_sub->callback([&context, arguments] {
    context.run = [&context, arguments] { return evict(context, *arguments); };
  });
}

}  // namespace shoal::cmd
