// shoal fsck: rebuilds every count from scratch and compares, then looks at the bucket.
#include <CLI/CLI.hpp>

#include "cmd/command.h"
#include "cmd/service_handlers.h"
#include "cmd/units.h"
#include "data/fsck_bucket.h"
#include "meta/fsck.h"

namespace shoal::cmd {
namespace {

Json problem_json(const meta::FsckProblem& problem) {
  return {
      {"what", problem.what}, {"repaired", problem.repaired}, {"repairable", problem.repairable}};
}

}  // namespace

Result<Json> serve_fsck(OpenVolume& volume, const Json& arguments, const ProgressJson& progress) {
  if (volume.client() != nullptr) TRY(volume.client()->flush_all(/*store=*/false, nullptr));
  meta::FsckOptions options;
  options.repair = arguments.value("repair", false);
  if (options.repair && !volume.mount_point.empty()) {
    return error(EBUSY, "{} is mounted at {}; unmount it before --repair", volume.volume().name,
                 volume.mount_point);
  }
  options.progress = [&progress](uint64_t done) {
    progress(Json{{"keys_read", done}}).ignore("the asker may be gone");
  };
  TRY_ASSIGN(meta::FsckReport report, meta::fsck(volume.engine(), options));
  if (arguments.value("bucket", true) && volume.store() != nullptr) {
    TRY_ASSIGN(std::vector<meta::FsckProblem> found,
               data::fsck_bucket(volume.engine(), *volume.store(), volume.volume().uuid));
    report.problems_total += found.size();
    for (meta::FsckProblem& problem : found) report.problems.push_back(std::move(problem));
  }
  Json json{{"inodes", report.inodes},           {"directories", report.directories},
            {"entries", report.entries},         {"extents", report.extents},
            {"segments", report.segments},       {"bytes", report.bytes},
            {"reclaimable", report.reclaimable}, {"problems_total", report.problems_total}};
  json["problems"] = Json::array();
  for (const meta::FsckProblem& problem : report.problems)
    json["problems"].push_back(problem_json(problem));
  return json;
}

void add_fsck(CLI::App& app, Context& context) {
  struct Arguments {
    std::string url;
    bool repair = false, no_bucket = false;
  };
  auto arguments = std::make_shared<Arguments>();
  CLI::App* sub = app.add_subcommand(
      "fsck", "Check a volume: metadata from scratch, and the objects in the bucket");
  sub->add_option("META-URL", arguments->url)->required();
  sub->add_flag("--repair", arguments->repair,
                "mend what can be mended without losing anything (not while mounted)");
  sub->add_flag("--no-bucket", arguments->no_bucket, "do not look at the bucket");
  sub->footer("Exit status 1 when problems are left.");
  sub->callback([&context, arguments] {
    context.run = [&context, arguments]() -> Status {
      TRY_ASSIGN(const MetaUrl url, MetaUrl::parse(arguments->url));
      const Json request{{"repair", arguments->repair}, {"bucket", !arguments->no_bucket}};
      TRY_ASSIGN(const std::string text,
                 run_on_volume(context.runtime, url, Need::kOwn, "fsck", request.dump()));
      print_facts(context, text);
      const Json report = Json::parse(text, nullptr, false);
      uint64_t left = report.value("problems_total", uint64_t{0});
      for (const Json& problem : report["problems"])
        left -= problem.value("repaired", false) ? 1 : 0;
      if (left > 0) return error(EUCLEAN, "{} problems found", left);
      return {};
    };
  });
}

}  // namespace shoal::cmd
