// fusermount3, Debian's setuid helper: mounts for users who may not, and hands the descriptor back
// over a socket.
#pragma once

#include <string>

#include "base/error.h"
#include "fuse/options.h"

namespace shoal::fuse {

// The descriptor of /dev/fuse. ENOENT: the helper is not installed; else what the helper said.
Result<int> fusermount(const std::string& path, const MountOptions& options);
Status fusermount_unmount(const std::string& path, bool lazy);

}  // namespace shoal::fuse
