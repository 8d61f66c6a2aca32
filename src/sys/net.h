// Stream sockets: Unix paths and TCP. Blocking calls with deadlines; a Connection may be read by
// one thread and written by another at once, and shut down from a third. Twin for tests: sim/
// (later), socket pairs meanwhile.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/error.h"

namespace shoal {

// "unix:/path/to.sock" or "tcp:host:port".
struct NetAddress {
  static Result<NetAddress> parse(std::string_view text);
  std::string to_string() const;
  bool is_unix = false;
  std::string path_or_host;
  uint16_t port = 0;
};

struct PeerIdentity {  // of a Unix peer; -1 over TCP
  int64_t uid = -1;
  int64_t pid = -1;
};

class Connection {
 public:
  virtual ~Connection() = default;  // closes
  // Reads at least one byte; 0 at the end of the stream. ETIMEDOUT after `timeout` (0: none).
  virtual Result<size_t> read(MutableBytes into, std::chrono::milliseconds timeout) = 0;
  Status read_all(MutableBytes into,
                  std::chrono::milliseconds timeout);  // ECONNRESET at an early end
  virtual Status write_all(ByteView bytes, std::chrono::milliseconds timeout) = 0;
  // Writes what goes without waiting; how many bytes that were. 0 is always a right answer. The
  // rest must be what is written next, for which write_all waits. Not beside a write_all.
  virtual Result<size_t> write_some(ByteView /*bytes*/) { return size_t{0}; }
  virtual void shutdown() = 0;  // both ways; wakes readers and writers; any thread
  virtual PeerIdentity peer() const = 0;
};

class Listener {
 public:
  virtual ~Listener() = default;
  // ECANCELED after close().
  virtual Result<std::unique_ptr<Connection>> accept() = 0;
  virtual void close() = 0;                // any thread
  virtual NetAddress address() const = 0;  // with the port that port 0 became
};

class Net {
 public:
  virtual ~Net() = default;
  // A Unix socket file left by a dead process is replaced; one that answers is EADDRINUSE. Mode
  // 0600.
  virtual Result<std::unique_ptr<Listener>> listen(const NetAddress& address) = 0;
  virtual Result<std::unique_ptr<Connection>> connect(const NetAddress& address,
                                                      std::chrono::milliseconds timeout) = 0;
  // The address of this machine from which it reaches a TCP address, and under which others on that
  // way reach it. Asks the routing tables; sends nothing.
  virtual Result<std::string> local_host_towards(const NetAddress& address) = 0;
};

class RealNet final : public Net {
 public:
  Result<std::unique_ptr<Listener>> listen(const NetAddress& address) override;
  Result<std::unique_ptr<Connection>> connect(const NetAddress& address,
                                              std::chrono::milliseconds timeout) override;
  Result<std::string> local_host_towards(const NetAddress& address) override;
};

}  // namespace shoal
