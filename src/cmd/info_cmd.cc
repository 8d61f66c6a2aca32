// shoal info, set: one file or directory: where its bytes are, which durability class holds for it.
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>

#include "cmd/command.h"
#include "cmd/service_handlers.h"
#include "cmd/units.h"

namespace shoal::cmd {
namespace {

constexpr size_t kExtentsShown = 100;

const char* type_name(uint32_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return "file";
    case S_IFDIR:
      return "directory";
    case S_IFLNK:
      return "symlink";
    case S_IFIFO:
      return "fifo";
    case S_IFSOCK:
      return "socket";
    default:
      return "device";
  }
}

Json extent_json(const format::Extent& extent, bool staged) {
  Json json;
  json["offset"] = extent.offset;
  json["length"] = extent.length;
  json["segment"] = extent.target.segment.to_string();
  json["at"] = extent.target.offset + extent.first;
  json["where"] = staged ? "staging" : "bucket";
  return json;
}

void add_durability(Json& json, client::Client& client, const meta::Attr& attr) {
  const auto found = client.durability_of(attr.is_directory() ? attr.ino : attr.parent);
  json["durability"] = durability_name(found.durability);
  json["durability_from"] =
      found.set_on == 0 ? "the volume's" : fmt::format("set on inode {}", found.set_on);
}

Result<Ino> argument_ino(const Json& arguments) {
  const auto it = arguments.find("ino");
  if (it == arguments.end() || !it->is_number_unsigned())
    return error(EINVAL, "no inode number was given");
  return it->get<Ino>();
}

}  // namespace

Result<Json> serve_info(OpenVolume& volume, const Json& arguments, const ProgressJson&) {
  TRY_ASSIGN(const Ino ino, argument_ino(arguments));
  if (volume.client() == nullptr) return error(ENOTCONN, "the volume is not mounted");
  meta::Caller caller;
  caller.kernel_checked = true;
  TRY_ASSIGN(const meta::Attr attr, volume.client()->getattr(caller, ino));
  Json json;
  json["inode"] = ino;
  const Result<std::string> path = volume.owner()->maintenance().path_of(ino);
  json["path_in_volume"] = path.ok() ? *path : std::string("(no name)");
  json["type"] = type_name(attr.mode);
  json["size"] = attr.size;
  json["allocated"] = attr.allocated;
  json["links"] = attr.nlink;
  json["born"] = time_text(attr.btime);
  json["data_version"] = attr.data_version;
  add_durability(json, *volume.client(), attr);
  if (attr.is_regular()) {
    TRY_ASSIGN(const std::vector<format::Extent> extents, volume.client()->extents_of(caller, ino));
    json["extents"] = extents.size();
    json["extent_list"] = Json::array();
    for (size_t i = 0; i < extents.size() && i < kExtentsShown; ++i) {
      json["extent_list"].push_back(
          extent_json(extents[i], volume.staging()->holds(extents[i].target.segment)));
    }
  }
  return json;
}

Result<Json> serve_set(OpenVolume& volume, const Json& arguments, const ProgressJson&) {
  TRY_ASSIGN(const Ino ino, argument_ino(arguments));
  const std::string text = arguments.value("durability", "");
  if (volume.client() == nullptr) return error(ENOTCONN, "the volume is not mounted");
  client::Client& client = *volume.client();
  meta::Caller caller;
  caller.kernel_checked = true;
  TRY_ASSIGN(const meta::Attr attr, client.getattr(caller, ino));
  if (!attr.is_directory()) {
    return error(ENOTDIR,
                 "not a directory; a class is set on a directory and holds for what is below");
  }
  // Through the client, which remembers the classes that it found.
  if (text == "inherit") {
    const Status removed = client.removexattr(caller, ino, client::kDurabilityXattr);
    if (!removed.ok() && !removed.error().is(ENODATA)) return removed.error();
  } else {
    TRY(parse_durability(text));
    TRY(client.setxattr(caller, ino, client::kDurabilityXattr, text,
                        meta::Metadata::XattrMode::kEither, false));
  }
  Json json{{"inode", ino}};
  add_durability(json, client, attr);
  return json;
}

namespace {

Status on_path(Context& context, const std::string& path, const std::string& command,
               Json arguments) {
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0) return error(errno, "{}: {}", path, strerrordesc_np(errno));
  arguments["ino"] = info.st_ino;
  const Result<std::string> json = run_on_mount(context.runtime, path, command, arguments.dump());
  if (!json.ok())
    return json.error().text().starts_with(path) ? json.error() : json.error().in(path);
  if (!context.json) std::printf("%s\n", path.c_str());
  print_facts(context, *json);
  return {};
}

}  // namespace

void add_info(CLI::App& app, Context& context) {
  auto paths = std::make_shared<std::vector<std::string>>();
  CLI::App* sub = app.add_subcommand(
      "info", "Show where the bytes of files are and which durability class holds");
  sub->add_option("PATH", *paths, "files or directories on a mount")->required();
  sub->callback([&context, paths] {
    context.run = [&context, paths]() -> Status {
      for (const std::string& path : *paths) TRY(on_path(context, path, "info", Json::object()));
      return {};
    };
  });
}

void add_set(CLI::App& app, Context& context) {
  auto path = std::make_shared<std::string>();
  auto durability = std::make_shared<std::string>();
  CLI::App* sub =
      app.add_subcommand("set", "Set the durability class of a directory and all below it");
  sub->add_option("PATH", *path, "a directory on a mount")->required();
  sub->add_option("--durability", *durability,
                  "local, object, or inherit (from the directory above)")
      ->required();
  sub->callback([&context, path, durability] {
    context.run = [&context, path, durability] {
      return on_path(context, *path, "set", Json{{"durability", *durability}});
    };
  });
}

}  // namespace shoal::cmd
