// RemoteTransport: a mount's way to the owner of its volume, over rpc, however often the connection
// is lost. Keeps the session alive, repeats what has an unknown outcome with the same identity
// (I7), and goes from server to server until one of them owns the volume.
//
// A mount cut off from its owner waits (hard), or its requests fail with EIO after `soft_timeout`.
// A program that is killed while it waits goes at once (sys/on_behalf.h); what it asked for may
// still happen. Thread-safe.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "metasvc/remote_metadata.h"
#include "rpc/channel.h"

namespace shoal::metasvc {

struct RemoteOptions {
  std::vector<NetAddress> servers;  // at least one
  rpc::ClientCredentials credentials;
  std::shared_ptr<const rpc::TlsContext> tls;  // null: plain
  std::chrono::milliseconds soft_timeout{0};   // 0: hard
  std::chrono::milliseconds heartbeat{1'000};
  uint32_t slots = 64;  // requests that change something, at once; ≤ the service's slots_max
  // On the executor, once, when the owner does not know the session any more: its locks are gone,
  // and every later call answers ESTALE, until session_open() gets another one.
  std::function<void()> session_lost;
};

class RemoteTransport : public Transport {
 public:
  // Connects, so that a wrong address or token is told at once. No session yet: the first
  // session_open() through it is its session.
  static Result<std::unique_ptr<RemoteTransport>> connect(rpc::Seams seams, RemoteOptions options);
};

}  // namespace shoal::metasvc
