// shoal: the command line. Wires the real seams and hands them down; there are no singletons below.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <string_view>

#include "cmd/command.h"

namespace {

constexpr int kExitFailure = 1;
constexpr int kExitUsage = 2;

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
  add_trash(app, context);
  add_config(app, context);
  add_destroy(app, context);
  add_version(app, context);
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
  app.footer(
      "Start with:\n"
      "  shoal format rocksdb:///var/lib/shoal/demo demo --bucket file:///srv/bucket\n"
      "  shoal mount rocksdb:///var/lib/shoal/demo /mnt/demo --background\n"
      "Exit status: 0 ok, 1 failure, 2 usage.");
  add_all(app, context);
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
