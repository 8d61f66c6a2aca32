// What `-o a,b=c,…` means: flags and data of mount(2), and settings of the session.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "fuse/session.h"

namespace shoal::fuse {

struct MountOptions {
  std::string source = "shoal";  // first column of /proc/mounts: the volume's name
  unsigned long flags = 0;       // MS_* // NOLINT(google-runtime-int): the type of mount(2)
  bool allow_other = true;       // by root only; for others fuse.conf must say user_allow_other
  std::vector<std::string> kernel_options;  // further words for the kernel's option string
  bool read_only() const;
};

struct ParsedOptions {
  MountOptions mount;
  SessionOptions session;
  std::vector<std::string>
      other;  // "name" or "name=value" that are not FUSE's: the caller knows or refuses them
  bool negative_given = false;  // negative_timeout=; else entry_timeout= is for both
};

// Adds what `text` says to `parsed`; later words win. EINVAL names the word that is wrong.
// Understood: mount(8)'s generic words (ro rw suid nosuid dev nodev exec noexec sync dirsync atime
// noatime relatime …, and those only for mount(8) itself: auto, _netdev, nofail, x-…), allow_other,
// default_permissions, fsname=, subtype=, attr_timeout= entry_timeout= negative_timeout= (seconds),
// max_background=, threads=, blksize=, no_FEATURE for every feature of INIT,
// no_cache_dir.
Status parse_options(std::string_view text, ParsedOptions& parsed);

}  // namespace shoal::fuse
