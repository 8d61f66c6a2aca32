// What every subcommand shares: how it is registered, prints, shows progress and ends. Exit status:
// 0 ok, 1 failure, 2 usage.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/error.h"
#include "cmd/runtime.h"

namespace CLI {
class App;
}

namespace shoal::cmd {

inline constexpr int kTrashDaysMax = 36'500;

struct Context {
  Runtime& runtime;
  bool json = false;            // --json
  std::function<Status()> run;  // set by the subcommand that was chosen
};

// Each adds one subcommand (or a few that belong together) to the app.
void add_format(CLI::App& app, Context& context);
void add_mount(CLI::App& app, Context& context);
void add_umount(CLI::App& app, Context& context);
void add_status(CLI::App& app, Context& context);
void add_info(CLI::App& app, Context& context);
void add_set(CLI::App& app, Context& context);
void add_stats(CLI::App& app, Context& context);
void add_fsck(CLI::App& app, Context& context);
void add_gc(CLI::App& app, Context& context);
void add_flush(CLI::App& app, Context& context);
void add_trash(CLI::App& app, Context& context);
void add_config(CLI::App& app, Context& context);
void add_dump(CLI::App& app, Context& context);
void add_load(CLI::App& app, Context& context);
void add_destroy(CLI::App& app, Context& context);
void add_lost(CLI::App& app, Context& context);
void add_version(CLI::App& app, Context& context);
void add_meta(CLI::App& app, Context& context);
void add_token(CLI::App& app, Context& context);
void add_session(CLI::App& app, Context& context);

// Called as mount.shoal; the exit status is mount(8)'s.
int run_mount_helper(Runtime& runtime, int argc, char** argv);

// Facts for people ("name: value" lines, aligned) or as one JSON object; `json_text` is the object.
void print_facts(const Context& context, const std::string& json_text);
// One line that is redrawn on a terminal, a line a time elsewhere; on stderr.
void show_progress(const std::string& line);
void end_progress();

}  // namespace shoal::cmd
