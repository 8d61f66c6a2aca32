// shoal: the command line. Wires the real seams and hands them down; there are no singletons below.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <string_view>

#include "cmd/command.h"

namespace {

constexpr int kExitFailure = 1;
constexpr int kExitUsage = 2;

// How every command reaches a meta server.
void add_remote_options(CLI::App& app, shoal::cmd::RemoteAccess& access) {
  app.add_option("--token-file", access.token_file,
                 "shoal:// volumes: the file with the volume's token");
  app.add_option("--tls-ca", access.tls.ca_file,
                 "shoal:// volumes: PEM, who signed the meta server's certificate; turns TLS on");
  app.add_option("--tls-client-cert", access.tls.certificate_file,
                 "shoal:// volumes: PEM, the certificate to show to the meta server");
  app.add_option("--tls-client-key", access.tls.key_file, "shoal:// volumes: PEM, its key");
}

void add_all(CLI::App& app, shoal::cmd::Context& context) {
  using namespace shoal::cmd;
  add_format(app, context);
  add_mount(app, context);
  add_umount(app, context);
  add_status(app, context);
  add_info(app, context);
  add_set(app, context);
  add_stats(app, context);
  add_flush(app, context);
  add_fsck(app, context);
  add_gc(app, context);
  add_lost(app, context);
  add_trash(app, context);
  add_config(app, context);
  add_dump(app, context);
  add_load(app, context);
  add_destroy(app, context);
  add_meta(app, context);
  add_token(app, context);
  add_session(app, context);
  add_version(app, context);
}

// One sentence for what was wrong with the words, naming the command whose help to read.
std::string usage_error(const CLI::App* app, const CLI::Error& error) {
  std::string command = "shoal";
  for (const CLI::App* at = app; !at->get_subcommands().empty();) {
    at = at->get_subcommands().front();
    command += fmt::format(" {}", at->get_name());
  }
  std::string what = error.what();
  const std::vector<std::string> unknown = app->remaining(/*recurse=*/true);
  const std::string_view convert = "Could not convert: ";
  if (error.get_name() == "RequiredError" && !unknown.empty()) {
    what = fmt::format("there is no command '{}'", unknown.front());
  } else if (error.get_name() == "RequiredError" && app->get_subcommands().empty()) {
    what = "no command was given";
  } else if (!unknown.empty()) {
    what = fmt::format("unknown option or argument '{}'", unknown.front());
  } else if (what.rfind(convert, 0) == 0) {
    what = fmt::format("{} is not a number, or out of range", what.substr(convert.size()));
  }
  return fmt::format("shoal: {}; see: {} --help\n", what, command);
}

// An option that is given is given for something: a variable that a script forgot to set must not
// pass for the default. And strtoull(3), which CLI11 uses, takes -5 for 18446744073709551611.
void refuse_careless_values(CLI::App& app) {
  const CLI::Validator not_empty(
      [](std::string& value) { return std::string(value.empty() ? "has no value" : ""); }, "");
  const CLI::Validator not_negative(
      [](std::string& value) { return value[0] == '-' ? value + " is below 0" : std::string(); },
      "");
  for (CLI::Option* option : app.get_options()) {
    if (option->get_items_expected_max() == 0) continue;  // a flag
    if (option->nonpositional()) option->check(not_empty);
    if (option->get_type_name() == "UINT") option->check(not_negative);
  }
  for (CLI::App* sub : app.get_subcommands({})) refuse_careless_values(*sub);
}

// mount(8) calls mount.shoal, a link to this program.
bool called_as_mount_helper(const char* name) {
  const std::string_view path(name);
  return path.substr(path.rfind('/') + 1) == "mount.shoal";
}

int run(int argc, char** argv) {
  shoal::cmd::Runtime runtime;
  if (argc > 0 && called_as_mount_helper(argv[0]))
    return shoal::cmd::run_mount_helper(runtime, argc, argv);
  shoal::cmd::Context context{runtime, false, {}};
  CLI::App app("Shoal: a POSIX file system over object storage.", "shoal");
  app.require_subcommand(1);
  app.fallthrough();
  app.add_flag("--json", context.json, "print facts as JSON");
  add_remote_options(app, runtime.remote);
  app.footer(
      "Start with:\n"
      "  shoal format rocksdb:///var/lib/shoal/demo demo --bucket file:///srv/bucket\n"
      "  shoal mount rocksdb:///var/lib/shoal/demo /mnt/demo --background\n"
      "Exit status: 0 ok, 1 failure, 2 usage.");
  app.failure_message(usage_error);
  add_all(app, context);
  refuse_careless_values(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
  const shoal::Status done = context.run();
  if (done.ok()) return 0;
  std::fprintf(stderr, "shoal: %s\n", done.error().text().c_str());
  return done.error().is(EINVAL) ? kExitUsage : kExitFailure;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "shoal: %s\n", error.what());
    return kExitFailure;
  }
}
