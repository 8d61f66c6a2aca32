// The real twins of all seams, made once in main() and handed down.
#pragma once

#include <chrono>
#include <string>

#include "rpc/tls.h"
#include "sys/clock.h"
#include "sys/executor.h"
#include "sys/local_fs.h"
#include "sys/net.h"
#include "sys/random.h"

namespace shoal::cmd {

// How this process reaches meta servers: options of every command.
struct RemoteAccess {
  std::string token_file;
  rpc::TlsClientFiles tls;                    // no file named: no TLS
  std::chrono::milliseconds soft_timeout{0};  // -o soft,timeo=; 0: requests wait for ever (hard)
};

struct Runtime {
  RealFs fs;
  SystemClock clock;
  SystemRandom random;
  RealNet net;
  RemoteAccess remote;
};

std::string host_name();
// Where state and cache go by default: below /var for root, below the home folder for others.
Path default_state_dir(const std::string& volume_uuid);
Path default_cache_dir(const std::string& volume_uuid);
// Sockets of processes of this user: /run/shoal for root.
Path runtime_dir();

}  // namespace shoal::cmd
