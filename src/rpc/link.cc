#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "rpc/link_internal.h"

namespace shoal::rpc {
namespace {

constexpr size_t kBufferBytes = 16 << 10;
constexpr size_t kBodyStepBytes = 64 << 10;  // memory for a body grows with what came of it

}  // namespace

Link::Link(Connection& connection, Clock& clock, uint8_t version, Limits limits)
    : connection_(connection),
      clock_(clock),
      version_(version),
      limits_(limits),
      buffer_(kBufferBytes),
      heard_ns_(clock.since_boot().count()),
      outbox_(connection, clock, limits.backlog_bytes_max,
              [this](Error why) { end(std::move(why)); }) {}

Link::~Link() { end(Error(ECANCELED, "closed")); }

Error Link::run(Receiver& receiver) {
  for (;;) {
    Status status = read_frame(receiver);
    if (!status.ok()) end(status.error());
    if (std::optional<Error> why = ended()) return *why;
  }
}

Status Link::read_frame(Receiver& receiver) {
  TRY(fill(kFrameHeaderBytes));
  TRY_ASSIGN(const FrameHeader header,
             decode_frame_header(ByteView(buffer_).subspan(begin_, kFrameHeaderBytes), version_));
  begin_ += kFrameHeaderBytes;
  TRY(receiver.admit(header));
  std::string body;
  if (header.body_length > 0) {
    TRY_ASSIGN(body, read_body(header.body_length));
  }
  TRY(check_body(header, body));
  if (header.kind == FrameKind::kPing) {
    send({.kind = FrameKind::kPong});
    return {};
  }
  if (header.kind == FrameKind::kPong) return {};
  return receiver.receive(header, std::move(body));
}

// At least `bytes_min` bytes are in the buffer afterwards. REQUIRES bytes_min ≤ kBufferBytes.
Status Link::fill(size_t bytes_min) {
  if (end_ - begin_ >= bytes_min) return {};
  std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
  end_ -= begin_;
  begin_ = 0;
  while (end_ < bytes_min) {
    TRY_ASSIGN(const size_t n, read(MutableBytes(buffer_).subspan(end_)));
    end_ += n;
  }
  return {};
}

Result<std::string> Link::read_body(uint32_t length) {
  const size_t here = std::min<size_t>(length, end_ - begin_);
  std::string body(reinterpret_cast<const char*>(buffer_.data() + begin_), here);
  begin_ += here;
  if (here < length && length <= kBufferBytes) {  // short: with whatever comes behind it
    const size_t rest = length - here;
    TRY(fill(rest));
    body.append(reinterpret_cast<const char*>(buffer_.data() + begin_), rest);
    begin_ += rest;
  }
  size_t have = body.size();
  while (have < length) {
    body.resize(std::min<size_t>(length, std::max(2 * have, kBodyStepBytes)));
    while (have < body.size()) {
      TRY_ASSIGN(const size_t n, read(as_mutable_bytes(body).subspan(have)));
      have += n;
    }
  }
  return body;
}

Result<size_t> Link::read(MutableBytes into) {
  TRY_ASSIGN(const size_t n, connection_.read(into, std::chrono::milliseconds(0)));
  if (n == 0) return error(ECONNRESET, "the peer closed the connection");
  heard_ns_.store(clock_.since_boot().count(), std::memory_order_relaxed);
  pinged_.store(false, std::memory_order_relaxed);
  return n;
}

bool Link::queue(FrameHeader header, std::string body) {
  header.version = version_;
  const Status queued = outbox_.push(header, std::move(body));
  if (!queued.ok() && queued.code() != ESHUTDOWN) end(queued.error());
  return queued.ok();
}

bool Link::send(const FrameHeader& header, std::string body) {
  if (!queue(header, std::move(body))) return false;
  flush();
  return true;
}

void Link::end(Error why) {
  {
    MutexLock lock(mutex_);
    if (why_) return;
    why_ = std::move(why);
  }
  outbox_.close();
  connection_.shutdown();
}

std::optional<Error> Link::ended() const {
  MutexLock lock(mutex_);
  return why_;
}

void Link::tick() {
  using std::chrono::duration_cast;
  using std::chrono::seconds;
  const std::chrono::nanoseconds silence =
      clock_.since_boot() - std::chrono::nanoseconds(heard_ns_.load(std::memory_order_relaxed));
  if (silence >= limits_.silence_max) {
    end(error(ETIMEDOUT, "the peer said nothing for {} s",
              duration_cast<seconds>(silence).count()));
  } else if (outbox_.stalled() >= limits_.stall_max) {
    end(error(ETIMEDOUT, "the peer did not read for {} s",
              duration_cast<seconds>(outbox_.stalled()).count()));
  } else if (silence >= limits_.ping_after && !pinged_.exchange(true)) {
    send({.kind = FrameKind::kPing});
  }
}

}  // namespace shoal::rpc
