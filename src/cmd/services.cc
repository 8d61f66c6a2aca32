#include "cmd/services.h"

#include <ctime>

#include "cmd/command.h"
#include "cmd/registry.h"
#include "cmd/service_handlers.h"
#include "rpc/control.h"

namespace shoal::cmd {
namespace {

using Handler = Result<Json> (*)(OpenVolume&, const Json&, const ProgressJson&);

struct Row {
  const char* command;
  Handler handler;
};
constexpr Row kTable[] = {
    {"status", serve_status},
    {"stats", serve_stats},
    {"info", serve_info},
    {"set", serve_set},
    {"flush", serve_flush},
    {"fsck", serve_fsck},
    {"gc", serve_gc},
    {"lost", serve_lost},
    {"repack", serve_repack},
    {"trash-list", serve_trash_list},
    {"trash-restore", serve_trash_restore},
    {"trash-empty", serve_trash_empty},
    {"config", serve_config},
};

void show_progress_json(const std::string& text) {
  const Json progress = Json::parse(text, nullptr, false);
  std::string line;
  if (progress.is_object()) {
    for (const auto& [key, value] : progress.items()) {
      if (!line.empty()) line += "  ";
      line += key + " " + (value.is_string() ? value.get<std::string>() : value.dump());
    }
  }
  show_progress(line);
}

}  // namespace

meta::Request operator_request() {
  meta::Request request;
  request.caller.kernel_checked = true;  // the operator may do everything
  return request;
}

std::string durability_name(format::Durability durability) {
  switch (durability) {
    case format::Durability::kLocal:
      return "local";
    case format::Durability::kPeer:
      return "peer";
    case format::Durability::kObject:
      return "object";
  }
  return "unknown";
}

Result<format::Durability> parse_durability(std::string_view text) {
  if (text == "local") return format::Durability::kLocal;
  if (text == "object") return format::Durability::kObject;
  return error(EINVAL, "'{}' is not a durability class; use local or object", text);
}

std::string time_text(const Time& time) {
  const time_t seconds = time.seconds;
  tm parts{};
  gmtime_r(&seconds, &parts);
  char text[64];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

Result<std::string> serve_command(OpenVolume& volume, const std::string& command,
                                  const std::string& arguments_json, const Progress& progress) {
  const Json arguments = Json::parse(arguments_json, nullptr, false);
  if (!arguments.is_object())
    return error(EINVAL, "the arguments of '{}' are not a JSON object", command);
  for (const Row& row : kTable) {
    if (command != row.command) continue;
    TRY_ASSIGN(const Json result,
               row.handler(volume, arguments, [&progress](const Json& json) -> Status {
                 return progress ? progress(json.dump()) : Status();
               }));
    return result.dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  return error(EINVAL, "unknown command '{}'", command);
}

Result<std::string> run_on_volume(Runtime& runtime, const MetaUrl& url, Need need,
                                  const std::string& command, const std::string& arguments_json) {
  if (url.kind == MetaUrl::Kind::kRocksdb) {
    Result<std::optional<std::string>> asked =
        rpc::ask(runtime.net, url.control_address(), command, arguments_json, show_progress_json);
    end_progress();
    TRY_ASSIGN(std::optional<std::string> told, std::move(asked));
    if (told) return *std::move(told);
  }

  Result<std::unique_ptr<OpenVolume>> volume =
      need == Need::kRead  ? OpenVolume::open_to_read(runtime, url)
      : need == Need::kOwn ? OpenVolume::open_to_own(runtime, url, {})
                           : OpenVolume::open_whole(runtime, url, {});
  if (!volume.ok()) return std::move(volume).error();
  Result<std::string> answer =
      serve_command(**volume, command, arguments_json, [](const std::string& text) -> Status {
        show_progress_json(text);
        return {};
      });
  end_progress();
  return answer;
}

Status check_not_mounted(Runtime& runtime, const MetaUrl& url) {
  const std::optional<OwnerProcess> owner = live_owner(runtime, url);
  if (!owner) return {};
  return error(EBUSY, "the volume at {} is mounted at {}; unmount it first with: shoal umount {}",
               url.to_string(), owner->mount_point, owner->mount_point);
}

std::optional<OwnerProcess> live_owner(Runtime& runtime, const MetaUrl& url) {
  if (url.kind != MetaUrl::Kind::kRocksdb) return std::nullopt;
  const auto told = rpc::ask(runtime.net, url.control_address(), "status", "{}", nullptr);
  if (!told.ok() || !*told) return std::nullopt;
  const Json status = Json::parse(**told, nullptr, false);
  return OwnerProcess{status.value("volume", ""), status.value("mount_point", "?"),
                      status.value("owner_pid", int64_t{0}), status.value("detached", false)};
}

Result<std::string> run_on_mount(Runtime& runtime, const std::string& path,
                                 const std::string& command, const std::string& arguments_json) {
  TRY_ASSIGN(const MountRecord mount, find_mount(path));
  TRY_ASSIGN(const NetAddress address, NetAddress::parse(mount.control));
  Result<std::optional<std::string>> asked =
      rpc::ask(runtime.net, address, command, arguments_json, show_progress_json);
  end_progress();
  TRY_ASSIGN(std::optional<std::string> told, std::move(asked));
  if (told) return *std::move(told);
  return error(ENOTCONN,
               "process {}, which serves {}, is ending; wait until it is gone, or mount again",
               mount.pid, mount.mount_point);
}

}  // namespace shoal::cmd
