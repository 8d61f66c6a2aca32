// shoal trash list|restore|empty: deleted files, kept for --trash-days.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "cmd/command.h"
#include "cmd/service_handlers.h"
#include "cmd/units.h"

namespace shoal::cmd {

Result<Json> serve_trash_list(OpenVolume& volume, const Json& arguments, const ProgressJson&) {
  TRY_ASSIGN(const std::vector<meta::TrashEntry> entries,
             volume.owner()->maintenance().trash_list(arguments.value("limit", size_t{1000})));
  Json list = Json::array();
  for (const meta::TrashEntry& entry : entries) {
    list.push_back({{"inode", entry.ino},
                    {"deleted", time_text(entry.deleted)},
                    {"size", entry.size},
                    {"type", entry.is_directory ? "directory" : "file"},
                    {"name", entry.name},
                    {"from", entry.path.empty()
                                 ? "(directory gone, inode " + std::to_string(entry.parent) + ")"
                                 : entry.path}});
  }
  return Json{{"entries", list}};
}

Result<Json> serve_trash_restore(OpenVolume& volume, const Json& arguments, const ProgressJson&) {
  const Ino ino = arguments.value("ino", Ino{0});
  const std::string to = arguments.value("to", "");
  std::optional<std::pair<Ino, std::string>> place;
  if (!to.empty()) {
    const size_t slash = to.find_last_of('/');
    const std::string folder = slash == std::string::npos ? "" : to.substr(0, slash);
    meta::Metadata& metadata = volume.owner()->metadata();
    TRY_ASSIGN(const meta::Attr parent, metadata.lookup_path(operator_request(), kRootIno, folder));
    place.emplace(parent.ino, to.substr(slash == std::string::npos ? 0 : slash + 1));
  }
  TRY_ASSIGN(const auto restored, volume.owner()->maintenance().trash_restore(ino, place));
  if (volume.client() != nullptr) {
    volume.client()->named_by_others(restored.first, restored.second, ino);
  }
  TRY_ASSIGN(const std::string path, volume.owner()->maintenance().path_of(ino));
  return Json{{"inode", ino}, {"restored_to", path}};
}

Result<Json> serve_trash_empty(OpenVolume& volume, const Json& arguments, const ProgressJson&) {
  TRY_ASSIGN(const uint64_t freed,
             volume.owner()->maintenance().trash_empty(arguments.value("days", 0u)));
  return Json{{"freed_inodes", freed}};
}

namespace {

struct TrashArguments {
  std::string url, to;
  Ino ino = 0;
  uint32_t days = 0;
  size_t limit = 1000;
};

void ask(Context& context, const std::shared_ptr<TrashArguments>& arguments, const char* command,
         std::function<Json(const TrashArguments&)> make) {
  context.run = [&context, arguments, command, make = std::move(make)]() -> Status {
    TRY_ASSIGN(const MetaUrl url, MetaUrl::parse(arguments->url));
    TRY_ASSIGN(const std::string json,
               run_on_volume(context.runtime, url, Need::kOwn, command, make(*arguments).dump()));
    print_facts(context, json);
    return {};
  };
}

}  // namespace

void add_trash(CLI::App& app, Context& context) {
  CLI::App* trash = app.add_subcommand("trash", "Deleted files: list, restore, empty");
  trash->require_subcommand(1);
  auto arguments = std::make_shared<TrashArguments>();

  CLI::App* list = trash->add_subcommand("list", "Show what is in the trash, oldest first");
  list->add_option("META-URL", arguments->url)->required();
  list->add_option("--limit", arguments->limit, "at most so many")->capture_default_str();
  list->callback([&context, arguments] {
    ask(context, arguments, "trash-list", [](const TrashArguments& a) {
      return Json{{"limit", a.limit}};
    });
  });

  CLI::App* restore = trash->add_subcommand(
      "restore", "Put a deleted file or directory back where it was, or at --to");
  restore->add_option("META-URL", arguments->url)->required();
  restore->add_option("INODE", arguments->ino, "as trash list shows it")->required();
  restore->add_option("--to", arguments->to, "path in the volume");
  restore->callback([&context, arguments] {
    ask(context, arguments, "trash-restore", [](const TrashArguments& a) {
      return Json{{"ino", a.ino}, {"to", a.to}};
    });
  });

  CLI::App* empty = trash->add_subcommand(
      "empty", "Free what was deleted --days ago or earlier (default: everything)");
  empty->add_option("META-URL", arguments->url)->required();
  empty->add_option("--days", arguments->days)->capture_default_str();
  empty->callback([&context, arguments] {
    ask(context, arguments, "trash-empty", [](const TrashArguments& a) {
      return Json{{"days", a.days}};
    });
  });
}

}  // namespace shoal::cmd
