// Which live process serves a mount point: a small JSON file per mount in a runtime folder, named
// by the device number that stat(2) shows for everything below the mount. So `shoal info PATH`
// finds its process from any path.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "sys/net.h"

namespace shoal::cmd {

struct MountRecord {
  dev_t device = 0;
  int64_t pid = 0;
  std::string mount_point;
  std::string meta_url;
  std::string volume;
  std::string control;  // NetAddress text
};

// False for a process that is gone or only waits for its parent to notice (a zombie).
bool process_alive(int64_t pid);

// Written when a mount is up, removed when it is gone.
Status register_mount(const MountRecord& record);
void unregister_mount(dev_t device);
// By any path on the mount; ENOENT "… is not on a Shoal mount". Records of dead processes are
// removed on the way.
Result<MountRecord> find_mount(const std::string& path);
Result<std::vector<MountRecord>> list_mounts();

}  // namespace shoal::cmd
