// Runs a mount in this process, from the checks to the unmount.
#pragma once

#include <functional>
#include <string>

#include "cmd/open_volume.h"

namespace shoal::cmd {

struct MountSettings {
  MetaUrl url;
  std::string mount_point;  // absolute
  std::string options;      // -o
  std::string subdir;
  OpenSettings open;
  bool collect_garbage = true;
};

// What can be told before anything is opened: /dev/fuse, the mount point, the options.
Status check_mount(const MountSettings& settings);
// Returns after the unmount, everything journaled and committed. `ready` is called once, when
// programs may use the mount. SIGTERM and SIGINT unmount.
Status run_mount(Runtime& runtime, const MountSettings& settings,
                 const std::function<void()>& ready);

}  // namespace shoal::cmd
