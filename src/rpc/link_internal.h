// One connection after its handshake, the same at both ends: reads frames on the thread that calls
// run(), sends from any thread, answers pings, notices silence and peers that do not read, and
// ends once, for one reason.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "rpc/frame.h"
#include "rpc/outbox_internal.h"
#include "sys/clock.h"
#include "sys/mutex.h"
#include "sys/net.h"

namespace shoal::rpc {

class Link {
 public:
  struct Limits {
    uint64_t backlog_bytes_max = 0;
    std::chrono::nanoseconds ping_after{};  // of silence
    std::chrono::nanoseconds silence_max{};
    std::chrono::nanoseconds stall_max{};  // of a write
  };
  // What an end does with frames; called by run() only. An error ends the connection.
  class Receiver {
   public:
    virtual ~Receiver() = default;
    virtual Status admit(const FrameHeader& header) = 0;  // before memory is spent on the body
    virtual Status receive(const FrameHeader& header, std::string body) = 0;
  };

  // `connection` outlives the link.
  Link(Connection& connection, Clock& clock, uint8_t version, Limits limits);
  ~Link();  // REQUIRES that run() returned or was never called

  // Reads until the end; returns its reason.
  Error run(Receiver& receiver);
  // Queues the frame; flush() writes. False: it was not taken, because the connection has ended or,
  // now, ends: a peer whose backlog is full is dropped. Frames leave in the order of these calls.
  bool queue(FrameHeader header, std::string body = {});
  void flush() { outbox_.flush(); }
  // Both.
  bool send(const FrameHeader& header, std::string body = {});
  // Ends the connection for `why` when everything queued has been handed to the peer's side, or
  // when the peer is dropped before.
  void finish(Error why) { outbox_.finish(std::move(why)); }
  // Ends the connection; the first reason counts. Any thread.
  void end(Error why);
  // The reason, once there is one.
  std::optional<Error> ended() const;
  // To be called now and then: pings, drops who is silent or does not read.
  void tick();

  // Bytes for the peer that it has not taken yet.
  uint64_t backlog_bytes() const { return outbox_.bytes(); }

 private:
  Status read_frame(Receiver& receiver);
  Status fill(size_t bytes_min);
  Result<std::string> read_body(uint32_t length);
  Result<size_t> read(MutableBytes into);

  Connection& connection_;
  Clock& clock_;
  const uint8_t version_;
  const Limits limits_;

  std::vector<std::byte> buffer_;  // the reading thread's
  size_t begin_ = 0;               // buffer_[begin_, end_) came and was not consumed
  size_t end_ = 0;

  std::atomic<int64_t> heard_ns_;  // by the boot clock, when something came last
  std::atomic<bool> pinged_ = false;

  mutable Mutex mutex_;
  std::optional<Error> why_ GUARDED_BY(mutex_);
  Outbox outbox_;  // last: its failures call end()
};

}  // namespace shoal::rpc
