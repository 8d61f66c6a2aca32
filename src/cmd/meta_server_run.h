// What `shoal meta` does: serves volumes to mounts until a signal ends it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cmd/meta_url.h"
#include "cmd/runtime.h"
#include "rpc/tls.h"

namespace shoal::cmd {

struct MetaServerSettings {
  std::vector<NetAddress> listen;
  std::string advertise;  // what other servers tell mounts and people; empty: the first listen
  std::vector<MetaUrl> engines;  // a volume each
  rpc::TlsServerFiles tls;       // no certificate: plain
  bool metadata_loss_accepted = false;
};

// Returns after SIGTERM or SIGINT, with every volume handed over. `ready` is called once it
// listens.
Status run_meta_server(Runtime& runtime, const MetaServerSettings& settings,
                       const std::function<void()>& ready);

// --listen: HOST:PORT, or an absolute path of a Unix socket. EINVAL.
Result<NetAddress> parse_listen(const std::string& text);
// Where a server on this machine that listens at `address` answers commands.
NetAddress meta_control_address(const NetAddress& address);

}  // namespace shoal::cmd
