// shoal token: what mounts show to a meta server.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cmd/command.h"
#include "cmd/meta_url.h"
#include "meta/access_token.h"
#include "meta/owner.h"
#include "rpc/control.h"

namespace shoal::cmd {
namespace {

struct TokenArguments {
  std::string url, volume;
  bool renew = false;
};

Result<std::string> token_of(Runtime& runtime, const TokenArguments& arguments,
                             const MetaUrl& url) {
  Result<std::unique_ptr<engine::KvEngine>> engine = open_engine(runtime.fs, runtime.clock, url);
  if (engine.ok()) {
    TRY(meta::read_volume(**engine));
    return meta::draw_access_token(**engine, runtime.random, arguments.renew);
  }
  if (!engine.error().is(EBUSY) || url.kind != MetaUrl::Kind::kRocksdb)
    return std::move(engine).error();
  if (arguments.renew)
    return error(EBUSY, "{} is in use; stop its meta server before --renew", url.to_string());
  const nlohmann::json asked{{"volume", arguments.volume}};
  TRY_ASSIGN(const std::optional<std::string> told,
             rpc::ask(runtime.net, url.control_address(), "token", asked.dump(), nullptr));
  if (!told) return std::move(engine).error();
  return nlohmann::json::parse(*told).value("token", "");
}

Status run_token(Context& context, const TokenArguments& arguments) {
  TRY_ASSIGN(const MetaUrl url, MetaUrl::parse(arguments.url));
  if (url.is_remote()) {
    return error(EINVAL, "a meta server tells nobody its token; use the META-URL of the engine");
  }
  TRY_ASSIGN(const std::string token, token_of(context.runtime, arguments, url));
  if (context.json) {
    print_facts(context, nlohmann::ordered_json{{"token", token}}.dump());
  } else {
    std::printf("%s\n", token.c_str());
  }
  return {};
}

}  // namespace

void add_token(CLI::App& app, Context& context) {
  auto arguments = std::make_shared<TokenArguments>();
  CLI::App* sub = app.add_subcommand(
      "token", "Print the token that mounts of a volume show to its meta server");
  sub->add_option("META-URL", arguments->url, "of the engine: rocksdb://… or postgres://…")
      ->required();
  sub->add_flag("--renew", arguments->renew,
                "draw a new one: connected mounts go on, later ones need the new one");
  sub->footer(
      "Example:\n"
      "  shoal token 'postgres://shoal@db/shoal?volume=demo' > /etc/shoal/demo.token\n"
      "Give the file to the nodes, readable by root only. Mounts look for it there, or in "
      "--token-file, SHOAL_TOKEN, SHOAL_TOKEN_FILE.");
  sub->callback([&context, arguments] {
    context.run = [&context, arguments] { return run_token(context, *arguments); };
  });
}

}  // namespace shoal::cmd
