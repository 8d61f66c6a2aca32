// shoal config: shows or changes the settings of a volume.
#include <CLI/CLI.hpp>

#include "cmd/command.h"
#include "cmd/service_handlers.h"
#include "cmd/units.h"

namespace shoal::cmd {

Result<Json> serve_config(OpenVolume& volume, const Json& arguments, const ProgressJson&) {
  meta::VolumeChange change;
  if (arguments.contains("trash_days")) change.trash_days = arguments["trash_days"].get<uint32_t>();
  if (arguments.contains("capacity_bytes"))
    change.capacity_bytes = arguments["capacity_bytes"].get<uint64_t>();
  if (arguments.contains("inodes")) change.inodes_max = arguments["inodes"].get<uint64_t>();
  if (arguments.contains("durability")) {
    TRY_ASSIGN(change.durability, parse_durability(arguments["durability"].get<std::string>()));
  }
  if (!arguments.empty()) TRY(volume.owner()->maintenance().change_volume(change));
  TRY_ASSIGN(const format::Volume record, volume.owner() != nullptr
                                              ? volume.owner()->metadata().volume()
                                              : meta::read_volume(volume.engine()));
  return Json{{"volume", record.name},           {"uuid", record.uuid.to_string()},
              {"bucket", record.bucket},         {"durability", durability_name(record.durability)},
              {"trash_days", record.trash_days}, {"capacity_bytes", record.capacity_bytes},
              {"inodes_max", record.inodes_max}};
}

void add_config(CLI::App& app, Context& context) {
  struct Arguments {
    std::string url;
    std::optional<std::string> capacity, durability;
    std::optional<uint32_t> trash_days;
    std::optional<uint64_t> inodes;
  };
  auto arguments = std::make_shared<Arguments>();
  CLI::App* sub =
      app.add_subcommand("config", "Show the settings of a volume, or change those that are given");
  sub->add_option("META-URL", arguments->url)->required();
  sub->add_option("--trash-days", arguments->trash_days,
                  "keep deleted files so many days; 0: no trash")
      ->check(CLI::Range(0, kTrashDaysMax));
  sub->add_option("--capacity", arguments->capacity, "most bytes, such as 1T; 0: no limit");
  sub->add_option("--inodes", arguments->inodes, "most files and directories; 0: no limit");
  sub->add_option("--durability", arguments->durability, "local or object");
  sub->callback([&context, arguments] {
    context.run = [&context, arguments]() -> Status {
      TRY_ASSIGN(const MetaUrl url, MetaUrl::parse(arguments->url));
      Json change = Json::object();
      if (arguments->trash_days) change["trash_days"] = *arguments->trash_days;
      if (arguments->inodes) change["inodes"] = *arguments->inodes;
      if (arguments->durability) {
        TRY(parse_durability(*arguments->durability));
        change["durability"] = *arguments->durability;
      }
      if (arguments->capacity) {
        TRY_ASSIGN(change["capacity_bytes"], parse_size("--capacity", *arguments->capacity));
      }
      TRY_ASSIGN(const std::string json,
                 run_on_volume(context.runtime, url, change.empty() ? Need::kRead : Need::kOwn,
                               "config", change.dump()));
      print_facts(context, json);
      return {};
    };
  });
}

}  // namespace shoal::cmd
