// The real twins of all seams, made once in main() and handed down.
#pragma once

#include "sys/clock.h"
#include "sys/executor.h"
#include "sys/local_fs.h"
#include "sys/net.h"
#include "sys/random.h"

namespace shoal::cmd {

struct Runtime {
  RealFs fs;
  SystemClock clock;
  SystemRandom random;
  RealNet net;
};

std::string host_name();
// Where state and cache go by default: below /var for root, below the home folder for others.
Path default_state_dir(const std::string& volume_uuid);
Path default_cache_dir(const std::string& volume_uuid);

}  // namespace shoal::cmd
