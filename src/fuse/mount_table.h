// The kernel's table of mounts (/proc/self/mountinfo): looking needs no answer from the file
// systems in it, so it works for dead ones too.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace shoal::fuse {

struct MountEntry {
  std::string device;  // "0:57", the name under /sys/class/bdi
  std::string path;
  std::string type;  // "fuse.shoal"
  std::string source;
};

// Lines that make no sense are skipped.
std::vector<MountEntry> parse_mount_table(std::string_view text);
// The topmost mount at exactly `path`.
std::optional<MountEntry> find_mount(const std::vector<MountEntry>& table, std::string_view path);

Result<std::vector<MountEntry>> read_mount_table();

}  // namespace shoal::fuse
