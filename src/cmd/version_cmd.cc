// shoal version.
#include <CLI/CLI.hpp>

#include "cmd/command.h"
#include "cmd/service_handlers.h"

#ifndef SHOAL_VERSION
#define SHOAL_VERSION "unknown"
#endif

namespace shoal::cmd {

void add_version(CLI::App& app, Context& context) {
  CLI::App* sub = app.add_subcommand("version", "Show the version");
  sub->callback([&context] {
    context.run = [&context]() -> Status {
      print_facts(context, Json{{"version", SHOAL_VERSION}}.dump());
      return {};
    };
  });
}

}  // namespace shoal::cmd
