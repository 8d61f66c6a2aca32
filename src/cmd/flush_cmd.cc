// shoal flush: waits until everything written so far is in the bucket.
#include <CLI/CLI.hpp>

#include "cmd/command.h"
#include "cmd/service_handlers.h"

namespace shoal::cmd {

Result<Json> serve_flush(OpenVolume& volume, const Json& arguments, const ProgressJson& progress) {
  if (volume.client() == nullptr) return error(ENOTCONN, "the volume is not mounted");
  const bool store = arguments.value("store", true);
  TRY(volume.client()->flush_all(store, [&progress](const client::ClientStatus& status) {
    Json json{{"staged_bytes", status.staging.bytes},
              {"segments_waiting", status.staging.segments_waiting}};
    if (!status.staging.upload_error.empty()) json["upload_error"] = status.staging.upload_error;
    progress(json).ignore("the asker may be gone; the flush goes on");
  }));
  TRY(volume.owner()->metadata().sync());
  const client::ClientStatus status = volume.client()->status();
  return Json{{"stored_segments", status.staging.stored_segments},
              {"segments_waiting", status.staging.segments_waiting}};
}

void add_flush(CLI::App& app, Context& context) {
  auto path = std::make_shared<std::string>();
  CLI::App* sub =
      app.add_subcommand("flush", "Wait until everything written so far is in the bucket");
  sub->add_option("MOUNTPOINT", *path, "any path on the mount")->required();
  sub->callback([&context, path] {
    context.run = [&context, path]() -> Status {
      TRY_ASSIGN(const std::string json, run_on_mount(context.runtime, *path, "flush", "{}"));
      print_facts(context, json);
      return {};
    };
  });
}

}  // namespace shoal::cmd
