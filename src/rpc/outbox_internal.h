// What waits to be written to one connection. Frames are queued by any thread; whoever finds no
// writer at work writes what is there, its own and others', without ever waiting for the peer. When
// the socket takes no more, a thread of the connection's own, started then, writes the rest. So a
// slow reader holds up nobody but that thread, and many small frames leave in one call.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <string>

#include "base/error.h"
#include "rpc/frame.h"
#include "sys/clock.h"
#include "sys/mutex.h"
#include "sys/net.h"
#include "sys/thread.h"

namespace shoal::rpc {

class Outbox {
 public:
  // `failed` is told once that the connection takes no more, from any thread, under no lock.
  Outbox(Connection& connection, Clock& clock, uint64_t bytes_max,
         std::function<void(Error)> failed);
  // REQUIRES that close() was called and that the connection was shut down.
  ~Outbox();
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;

  // Takes the frame whole, or not at all: ENOBUFS when more than `bytes_max` would wait, ESHUTDOWN
  // after close(). Writes nothing. `header` gets length and CRC of `body`.
  Status push(const FrameHeader& header, std::string body);
  // Writes what was pushed, or leaves it to the thread that is at it.
  void flush();
  // Takes nothing more; when everything has been written, `failed` is told `why`.
  void finish(Error why);
  // Takes nothing more and drops what waits.
  void close();

  uint64_t bytes() const;  // waiting, or handed to the connection and not taken yet
  // How long the same bytes have been waiting for the peer to take something.
  std::chrono::nanoseconds stalled() const;

 private:
  std::string take() REQUIRES(mutex_);
  void written(size_t bytes) REQUIRES(mutex_);
  void give_up(Error why) EXCLUDES(mutex_);
  void hand_over() REQUIRES(mutex_);
  void write_patiently();

  Connection& connection_;
  Clock& clock_;
  const uint64_t bytes_max_;
  const std::function<void(Error)> failed_;

  mutable Mutex mutex_;
  CondVar handed_over_;
  std::deque<std::string> pieces_ GUARDED_BY(mutex_);
  uint64_t bytes_ GUARDED_BY(mutex_) = 0;
  bool writing_ GUARDED_BY(mutex_) = false;  // some thread is at it, or our own has it handed over
  bool patient_ GUARDED_BY(mutex_) = false;  // our own thread is to write
  bool closed_ GUARDED_BY(mutex_) = false;
  std::optional<Error> finish_ GUARDED_BY(mutex_);
  std::optional<std::chrono::nanoseconds> progress_ GUARDED_BY(mutex_);  // of the patient writer
  Thread thread_ GUARDED_BY(mutex_);
};

}  // namespace shoal::rpc
