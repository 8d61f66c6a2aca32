// The server's side: accepts connections, shakes hands, gives requests to a handler and brings its
// answers back.
//
//   TRY_ASSIGN(auto server, RpcServer::start({net, executor, clock, random}, address, options, {
//       .call = [&](std::shared_ptr<Call> call) {
//         if (call->method() != kStat) return call->fail(error(ENOSYS, "method {}",
//         call->method())); call->reply(stat(call->body()));        // or later, from any thread
//       }}));
//   server->stop(5s);
//
// Threads: one that accepts, one per connection that reads (default stack, of which a few pages are
// ever touched; 16 KiB of buffer), and one more for a connection whose peer reads slowly, to write.
// Handlers run on the executor. Nobody but a connection's own threads ever waits for its peer.
//
// What peers can cost is bounded by ServerLimits, whatever they send. A connection that breaks a
// rule is dropped and logged; the others do not notice.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "rpc/frame.h"
#include "rpc/handshake.h"
#include "rpc/seams.h"
#include "rpc/tls.h"

namespace shoal::rpc {

struct ServerLimits {
  size_t connections_max = 4096;
  size_t unauthenticated_max = 64;  // in their handshake; more wait, and old ones make room
  std::chrono::milliseconds handshake_max{10'000};  // until it is done
  RequestLimits requests;                           // per connection
  uint64_t backlog_bytes_max = 64 << 20;            // not taken by one peer; more: it goes
  std::chrono::milliseconds stall_max{15'000};      // no byte taken while some wait: it goes
  std::chrono::milliseconds ping_after{15'000};     // of silence, at most a third of idle_ms_max
  std::chrono::milliseconds tick{1'000};            // how often these times are looked at
};

struct ServerOptions {
  ServerLimits limits;
  VersionRange versions;
  std::shared_ptr<const TlsContext> tls;  // shared with other servers; null: plain
  Authenticate authenticate;
};

struct PeerInfo {
  uint64_t number = 0;  // of the connection, never again in this process
  uint8_t version = 0;
  Applicant who;
};

// An authenticated connection. Thread-safe; stays valid after it ended.
class Peer {
 public:
  virtual ~Peer() = default;
  virtual const PeerInfo& info() const = 0;
  virtual bool connected() const = 0;
  // Pushes a message, in order with other notifications but in no order with replies. Never blocks:
  // what the peer does not take waits in the backlog. False: the connection has ended.
  virtual bool notify(uint16_t method, std::string body) = 0;
  // Drops the connection; the peer is told why, if it still listens.
  virtual void drop(const Error& why) = 0;
};

// A request. Exactly one of reply() and fail() must be called, once, from any thread; a Call that
// goes without is answered EIO.
class Call {
 public:
  virtual ~Call() = default;
  virtual uint16_t method() const = 0;
  virtual const std::string& body() const = 0;
  virtual const Identity& identity() const = 0;
  virtual const std::shared_ptr<Peer>& peer() const = 0;  // shared: it may outlive the connection
  // Until the client stops waiting, ≤ 0 when it has; nullopt: it waits for ever.
  virtual std::optional<std::chrono::nanoseconds> time_left() const = 0;

  virtual void reply(std::string body) = 0;
  virtual void fail(const Error& why) = 0;

  // The client does not wait any more (it cancelled, its time is over or its connection is lost).
  // The call must be answered all the same. `told` runs on the executor, at most once, not after an
  // answer was given; at once when it was so already.
  virtual void on_cancel(std::function<void()> told) = 0;
  virtual bool cancelled() const = 0;
};

struct ServerEvents {
  // On the executor. A request whose client stopped waiting before its turn came never gets here.
  // Shared, because what answers later is a task, and tasks are copied.
  std::function<void(std::shared_ptr<Call>)> call;
  // On the connection's thread: before its first call; after its end (calls may still be running).
  std::function<void(const std::shared_ptr<Peer>&)> connected;
  std::function<void(const std::shared_ptr<Peer>&, const Error& why)> disconnected;
};

class RpcServer {
 public:
  static Result<std::unique_ptr<RpcServer>> start(Seams seams, const NetAddress& address,
                                                  ServerOptions options, ServerEvents events);
  virtual ~RpcServer() = default;  // stop(0)

  // Says goodbye: accepts neither connections nor requests from now on (a request on its way is
  // answered "not executed"), waits up to `grace` until running calls are answered and the clients
  // have hung up, then drops them. Afterwards no event runs or will run; late answers go nowhere.
  // Not from within an event. Idempotent.
  virtual void stop(std::chrono::milliseconds grace) = 0;

  virtual NetAddress address() const = 0;  // with the port that port 0 became
  struct Counts {
    size_t connections = 0;      // authenticated
    size_t unauthenticated = 0;  // in their handshake
    uint64_t accepted = 0;       // ever
    uint64_t refused = 0;        // ever: handshakes that failed, connections over a limit
    uint64_t calls = 0;          // ever given to the handler
  };
  virtual Counts counts() const = 0;
};

}  // namespace shoal::rpc
