// The client's side of one connection: many calls at once, each with a deadline, and what the
// server pushes. It never reconnects: when the connection is lost the layer above makes a new one
// and repeats, with the same identity, what has an unknown outcome (I7).
//
//   TRY_ASSIGN(auto channel, Channel::connect(seams, address, {.credentials = {volume, token,
//   "host:/mnt"}})); Answer answer = channel->call(kStat, body, {.deadline = 5s}); if
//   (answer.outcome == Outcome::kUnknown) …retry on another channel…
//
// Flow control: the server says how many requests and how many bytes of them may be unanswered;
// further calls wait their turn in order. So a call must not wait at the server for another call of
// the same channel (a lock, say): answer "queued" and notify later.
//
// Thread-safe. One reading thread per channel, and a writing one when the server reads slowly;
// deadlines and `closed` run on the executor.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "base/error.h"
#include "rpc/frame.h"
#include "rpc/handshake.h"
#include "rpc/seams.h"
#include "rpc/tls.h"
#include "sys/mutex.h"

namespace shoal::rpc {

enum class Outcome {
  kAnswered,     // `result` is the handler's answer, a value or an error
  kNotExecuted,  // an error; no handler saw the call: it was never sent, or sent back unseen
  kUnknown,      // an error; it may or may not have been executed, once
};

struct Answer {
  Outcome outcome = Outcome::kUnknown;
  Result<std::string> result;
};

// Ends waiting early, from another thread: an interrupted program. One call at a time.
class Canceller {
 public:
  void cancel();
  bool cancelled() const;

 private:
  friend class ChannelHandle;
  void bind(std::function<void()> action);  // runs it at once when cancelled already
  void unbind();
  mutable Mutex mutex_;
  bool cancelled_ GUARDED_BY(mutex_) = false;
  std::function<void()> action_ GUARDED_BY(mutex_);
};

struct CallOptions {
  std::chrono::milliseconds deadline{0};  // 0: none. Beyond it: ETIMEDOUT
  Identity identity;
  Canceller* canceller = nullptr;  // of a blocking call
};

struct ChannelOptions {
  ClientCredentials credentials;
  std::shared_ptr<const TlsContext> tls;  // shared by many channels; null: plain
  std::string tls_server_name;            // empty: the address's host
  VersionRange versions;
  std::chrono::milliseconds connect_max{10'000};  // connection, TLS and handshake together
  std::chrono::milliseconds ping_after{15'000};   // of silence
  std::chrono::milliseconds silence_max{60'000};  // then the connection is lost
  size_t waiting_max = 4096;          // calls that wait for their turn; more: EAGAIN, not executed
  uint32_t notifications_max = 1024;  // unhandled ones that the server may have sent
  // On the executor, one at a time, in the order sent. May be empty: then they are dropped.
  std::function<void(uint16_t method, std::string body)> notified;
  // On the executor, once, unless the channel was closed by this side.
  std::function<void(const Error& why)> closed;
};

class Channel {
 public:
  using Done = std::function<void(Answer)>;

  // Blocks. Errors: see client_handshake(), TlsConnection::handshake(), Net::connect(); ETIMEDOUT
  // after connect_max.
  static Result<std::unique_ptr<Channel>> connect(Seams seams, const NetAddress& address,
                                                  ChannelOptions options);
  // Calls that are not answered yet end: kUnknown or kNotExecuted. Waits for callbacks that are
  // running, so it must not be called by one.
  virtual ~Channel() = default;

  // Blocks until there is an answer. Not from within a `done`.
  virtual Answer call(uint16_t method, std::string body, const CallOptions& options) = 0;

  // `done` runs exactly once: on the reading thread (it must not block), on the executor
  // (deadline), or before start() returns (refused at once). Returns what cancel() takes.
  virtual uint64_t start(uint16_t method, std::string body, const CallOptions& options,
                         Done done) = 0;
  // A call that waits for its turn ends at once (ECANCELED, not executed). For one that was sent
  // the server is told; the call ends with whatever it answers, so its outcome is known.
  virtual void cancel(uint64_t id) = 0;

  // Says goodbye and ends the connection. `closed` is not called.
  virtual void close() = 0;
  // Why the channel takes no calls any more; ok while it does.
  virtual Status usable() const = 0;
  virtual const Agreed& agreed() const = 0;
};

}  // namespace shoal::rpc
