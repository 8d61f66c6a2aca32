// shoal gc, repack: frees what nothing references; rewrites segments that are mostly dead.
#include <CLI/CLI.hpp>

#include "cmd/command.h"
#include "cmd/service_handlers.h"
#include "data/gc.h"
#include "data/repack.h"

namespace shoal::cmd {

Result<Json> serve_gc(OpenVolume& volume, const Json& arguments, const ProgressJson& progress) {
  data::GcOptions options;
  options.remove = arguments.value("delete", false);
  options.orphans = arguments.value("orphans", false);
  if (volume.client() != nullptr) TRY(volume.client()->flush_all(/*store=*/false, nullptr));
  if (options.remove) TRY(volume.owner()->maintenance().reclaim(~size_t{0}));
  options.progress = [&progress](uint64_t done) {
    progress(Json{{"segments", done}}).ignore("the asker may be gone");
  };
  TRY_ASSIGN(const data::GcReport report,
             data::collect_garbage(volume.owner()->metadata(), volume.owner()->maintenance(),
                                   *volume.store(), volume.reader(), volume.volume().uuid,
                                   volume.runtime().clock, options));
  return Json{{"segments", report.segments},
              {"dead_segments", report.dead_segments},
              {"dead_bytes", report.dead_bytes},
              {"removed_segments", report.removed_segments},
              {"orphans", report.orphans},
              {"orphan_bytes", report.orphan_bytes},
              {"removed_orphans", report.removed_orphans},
              {"live_bytes", report.live_bytes},
              {"stored_bytes", report.stored_bytes}};
}

Result<Json> serve_repack(OpenVolume& volume, const Json&, const ProgressJson& progress) {
  if (volume.client() == nullptr) return error(ENOTCONN, "the volume is not mounted");
  TRY(volume.client()->flush_all(/*store=*/false, nullptr));
  TRY_ASSIGN(const data::RepackReport report,
             data::repack(volume.owner()->metadata(), volume.owner()->maintenance(),
                          *volume.store(), *volume.reader(), *volume.staging(),
                          volume.volume().uuid, [&progress](uint64_t done) {
                            progress(Json{{"segments", done}}).ignore("the asker may be gone");
                          }));
  return Json{{"segments_rewritten", report.segments},
              {"bytes_moved", report.bytes_moved},
              {"extents_moved", report.extents_moved}};
}

void add_gc(CLI::App& app, Context& context) {
  struct Arguments {
    std::string url;
    bool remove = false, orphans = false;
  };
  auto arguments = std::make_shared<Arguments>();
  CLI::App* gc = app.add_subcommand("gc", "Count (or --delete) segments that nothing references");
  gc->add_option("META-URL", arguments->url)->required();
  gc->add_flag("--delete", arguments->remove, "free them");
  gc->add_flag("--orphans", arguments->orphans,
               "also look for objects that the metadata does not know, older than 7 days");
  gc->callback([&context, arguments] {
    context.run = [&context, arguments]() -> Status {
      TRY_ASSIGN(const MetaUrl url, MetaUrl::parse(arguments->url));
      const Json request{{"delete", arguments->remove}, {"orphans", arguments->orphans}};
      TRY_ASSIGN(const std::string json,
                 run_on_volume(context.runtime, url, Need::kOwn, "gc", request.dump()));
      print_facts(context, json);
      return {};
    };
  });

  auto url = std::make_shared<std::string>();
  CLI::App* repack = app.add_subcommand(
      "repack", "Copy what is alive out of mostly dead segments, so that gc can free them");
  repack->add_option("META-URL", *url)->required();
  repack->callback([&context, url] {
    context.run = [&context, url]() -> Status {
      TRY_ASSIGN(const MetaUrl meta_url, MetaUrl::parse(*url));
      TRY_ASSIGN(const std::string json,
                 run_on_volume(context.runtime, meta_url, Need::kWhole, "repack", "{}"));
      print_facts(context, json);
      return {};
    };
  });
}

}  // namespace shoal::cmd
