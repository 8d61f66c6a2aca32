#include <algorithm>
#include <system_error>
#include <utility>

#include "base/check.h"
#include "rpc/outbox_internal.h"

namespace shoal::rpc {
namespace {

constexpr size_t kPieceBytes = 64 << 10;   // small frames are gathered up to this
constexpr size_t kGatherBytes = 16 << 10;  // longer bodies are moved, not copied
constexpr size_t kStepBytes = 64 << 10;    // of a patient write: progress is seen in such steps

}  // namespace

Outbox::Outbox(Connection& connection, Clock& clock, uint64_t bytes_max,
               std::function<void(Error)> failed)
    : connection_(connection), clock_(clock), bytes_max_(bytes_max), failed_(std::move(failed)) {}

Outbox::~Outbox() {
  Thread leaving;
  {
    MutexLock lock(mutex_);
    CHECK(closed_);
    leaving = std::move(thread_);
  }
  leaving.join();
}

Status Outbox::push(const FrameHeader& header, std::string body) {
  const auto head = encode_frame_header(with_body(header, body));
  const size_t bytes = head.size() + body.size();
  MutexLock lock(mutex_);
  if (closed_ || finish_) return Error(ESHUTDOWN);
  if (bytes_ + bytes > bytes_max_)
    return error(ENOBUFS, "{} bytes wait for a peer that does not read them", bytes_);
  bytes_ += bytes;
  if (pieces_.empty() || pieces_.back().size() + head.size() > kPieceBytes) {
    pieces_.emplace_back().reserve(head.size() + (body.size() <= kGatherBytes ? body.size() : 0));
  }
  pieces_.back().append(head.data(), head.size());
  if (body.size() <= kGatherBytes) {
    pieces_.back().append(body);
  } else {
    pieces_.push_back(std::move(body));
  }
  return {};
}

std::string Outbox::take() {
  std::string piece = std::move(pieces_.front());
  pieces_.pop_front();
  return piece;
}

void Outbox::written(size_t bytes) {
  CHECK(bytes <= bytes_);
  bytes_ -= bytes;
}

void Outbox::flush() {
  MutexLock lock(mutex_);
  if (writing_) return;  // whoever is at it looks again before he leaves
  writing_ = true;
  while (!pieces_.empty() && !closed_) {
    std::string piece = take();
    lock.unlock();
    Result<size_t> n = connection_.write_some(as_bytes(piece));
    if (!n.ok()) give_up(n.error());
    lock.lock();
    if (!n.ok() || closed_) break;
    written(*n);
    if (*n < piece.size()) {
      piece.erase(0, *n);
      pieces_.push_front(std::move(piece));
      hand_over();
      return;
    }
  }
  writing_ = false;
  if (!finish_ || closed_) return;
  const Error why = *finish_;
  lock.unlock();
  give_up(why);
}

void Outbox::finish(Error why) {
  {
    MutexLock lock(mutex_);
    if (closed_ || finish_) return;
    finish_ = std::move(why);
  }
  flush();
}

void Outbox::hand_over() {
  patient_ = true;
  progress_ = clock_.since_boot();
  handed_over_.notify_one();
  if (thread_.joinable()) return;
  try {
    thread_ = Thread("rpc-write", [this] { write_patiently(); });
  } catch (const std::system_error&) {
    // The peer's connection goes; what waits is stalled for ever otherwise.
    pieces_.clear();
    closed_ = true;
    connection_.shutdown();
  }
}

void Outbox::write_patiently() {
  MutexLock lock(mutex_);
  for (;;) {
    while (!patient_ && !closed_) handed_over_.wait(mutex_);
    if (closed_) return;
    while (!pieces_.empty() && !closed_) {
      const std::string piece = take();
      for (size_t at = 0; at < piece.size() && !closed_; at += kStepBytes) {
        const ByteView step = as_bytes(std::string_view(piece).substr(at, kStepBytes));
        lock.unlock();
        Status done = connection_.write_all(step, std::chrono::milliseconds(0));
        if (!done.ok()) give_up(done.error());
        lock.lock();
        if (!done.ok()) return;
        if (closed_) return;
        written(step.size());
        progress_ = clock_.since_boot();
      }
    }
    patient_ = false;
    progress_.reset();
    writing_ = false;
    if (finish_ && !closed_) {
      const Error why = *finish_;
      lock.unlock();
      give_up(why);
      return;
    }
  }
}

void Outbox::give_up(Error why) {
  close();
  failed_(std::move(why));
}

void Outbox::close() {
  std::deque<std::string> dropped;
  MutexLock lock(mutex_);
  closed_ = true;
  dropped.swap(pieces_);
  bytes_ = 0;
  progress_.reset();
  handed_over_.notify_all();
}

uint64_t Outbox::bytes() const {
  MutexLock lock(mutex_);
  return bytes_;
}

std::chrono::nanoseconds Outbox::stalled() const {
  MutexLock lock(mutex_);
  return progress_ ? clock_.since_boot() - *progress_ : std::chrono::nanoseconds(0);
}

}  // namespace shoal::rpc
