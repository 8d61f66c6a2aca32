// MetaServer: any number of volumes behind one or more addresses. A connection shows the token of
// one volume and reaches that one only.
//
// Thread-safe.
#pragma once

#include <memory>
#include <vector>

#include "metasvc/volume_host.h"
#include "rpc/server.h"

namespace shoal::metasvc {

struct MetaServerOptions {
  std::vector<NetAddress> listen;  // at least one
  rpc::ServerLimits limits;
  std::shared_ptr<const rpc::TlsContext> tls;  // null: plain; Unix sockets are always plain
};

class MetaServer {
 public:
  // The hosts are given up with it.
  static Result<std::unique_ptr<MetaServer>> start(rpc::Seams seams, MetaServerOptions options,
                                                   std::vector<std::unique_ptr<VolumeHost>> hosts);
  virtual ~MetaServer() = default;  // stop()

  // Hands every volume over: what was asked for is answered, nothing more is taken. Idempotent.
  virtual void stop() = 0;
  virtual std::vector<HostStatus> status() const = 0;
  virtual std::vector<NetAddress> addresses() const = 0;  // with the ports that 0 became
  virtual size_t connections() const = 0;
  // As VolumeHost's. ENOENT: none of these volumes.
  virtual Result<std::vector<VolumeService::SessionStatus>> sessions(
      const std::string& volume) const = 0;
  virtual Status evict(const std::string& volume, SessionId session) = 0;
  virtual Result<std::string> token(const std::string& volume) const = 0;
};

}  // namespace shoal::metasvc
