// Commands on a volume, wherever it is open: in the live process of a mount (asked over its control
// socket) or, when nobody owns it, in the command's own process. One implementation for both.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/error.h"
#include "cmd/open_volume.h"

namespace shoal::cmd {

using Progress = std::function<Status(const std::string& json)>;

// Runs `command` on an open volume; arguments and result are JSON objects as text. EINVAL for
// unknown ones.
Result<std::string> serve_command(OpenVolume& volume, const std::string& command,
                                  const std::string& arguments_json, const Progress& progress);

enum class Need { kRead, kOwn, kWhole };  // how the volume is opened when no process owns it

// Asks the owner of `url` if there is one, else opens the volume as `need` says and serves it here.
Result<std::string> run_on_volume(Runtime& runtime, const MetaUrl& url, Need need,
                                  const std::string& command, const std::string& arguments_json);
struct OwnerProcess {
  std::string volume;  // its name
  std::string mount_point;
  int64_t pid = 0;
  bool detached = false;  // by umount -l: it still serves those who have files open
};
// The process that owns the volume and answers; nullopt: there is none.
std::optional<OwnerProcess> live_owner(Runtime& runtime, const MetaUrl& url);
// EBUSY when a live process owns the volume: for what only this process may do.
Status check_not_mounted(Runtime& runtime, const MetaUrl& url);
// Asks the process of the mount that `path` is on.
Result<std::string> run_on_mount(Runtime& runtime, const std::string& path,
                                 const std::string& command, const std::string& arguments_json);

}  // namespace shoal::cmd
