// A request under way.
#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "rpc/server_connection_internal.h"

namespace shoal::rpc {

ServerCall::ServerCall(std::shared_ptr<ServerConnection> connection,
                       std::shared_ptr<ServerCore> core, const FrameHeader& header,
                       std::string body)
    : connection_(std::move(connection)),
      peer_(connection_),
      core_(std::move(core)),
      header_(header),
      body_(std::move(body)),
      arrived_(core_->seams.clock.since_boot()) {}

ServerCall::~ServerCall() {
  bool started = false;
  {
    MutexLock lock(mutex_);
    if (answered_) return;
    started = started_;
  }
  if (started) {
    log(LogLevel::kError, "a call of method {} was never answered", header_.method);
    fail(Error(EIO, "the server did not answer"));
  } else {
    refuse(Error(ESHUTDOWN, "the server stops"));
  }
}

std::optional<std::chrono::nanoseconds> ServerCall::time_left() const {
  if (header_.value == 0) return std::nullopt;
  return arrived_ + std::chrono::milliseconds(header_.value) - core_->seams.clock.since_boot();
}

void ServerCall::run() {
  bool cancelled = false;
  {
    MutexLock lock(mutex_);
    cancelled = cancelled_;
    started_ = !cancelled_;
  }
  if (cancelled) return refuse(Error(ECANCELED, "cancelled before its turn"));
  if (const auto left = time_left(); left && left->count() <= 0)
    return refuse(Error(ETIMEDOUT, "its time was over before its turn"));
  core_->called();
  core_->events.call(shared_from_this());
}

void ServerCall::reply(std::string body) {
  if (body.size() > kBodyBytesMax) {
    log(LogLevel::kError, "a reply of {} bytes to method {}; at most {} are allowed", body.size(),
        header_.method, kBodyBytesMax);
    return fail(error(EMSGSIZE, "the answer has {} bytes, at most {} are allowed", body.size(),
                      kBodyBytesMax));
  }
  finish({.kind = FrameKind::kReply}, std::move(body));
}

void ServerCall::fail(const Error& why) { fail_as(why, kErrorAnswered); }

void ServerCall::refuse(const Error& why) { fail_as(why, kErrorNotExecuted); }

void ServerCall::fail_as(const Error& why, uint16_t kind) {
  FrameHeader header{.kind = FrameKind::kError, .method = kind};
  header.value =
      static_cast<uint32_t>(why.code() >= 1 && why.code() <= kErrnoMax ? why.code() : EIO);
  finish(header, why.message().substr(0, kTextBytesMax));
}

void ServerCall::finish(FrameHeader header, std::string body) {
  std::function<void()> dropped;  // destroyed outside the lock
  {
    MutexLock lock(mutex_);
    CHECK(!answered_);
    answered_ = true;
    dropped = std::move(told_);
    told_ = nullptr;
  }
  header.request_id = header_.request_id;
  connection_->answer(header_.request_id, body_.size(), header, std::move(body));
}

void ServerCall::on_cancel(std::function<void()> told) {
  {
    MutexLock lock(mutex_);
    if (answered_) return;
    if (!cancelled_) {
      told_ = std::move(told);
      return;
    }
  }
  tell(std::move(told));
}

bool ServerCall::cancelled() const {
  MutexLock lock(mutex_);
  return cancelled_;
}

void ServerCall::cancel() {
  std::function<void()> told;
  {
    MutexLock lock(mutex_);
    if (answered_ || cancelled_) return;
    cancelled_ = true;
    told = std::move(told_);
    told_ = nullptr;
  }
  if (told) tell(std::move(told));
}

// An answer may come between here and there: then it is not told.
void ServerCall::tell(std::function<void()> told) {
  core_->seams.executor.post([call = shared_from_this(), told = std::move(told)] {
    {
      MutexLock lock(call->mutex_);
      if (call->answered_) return;
    }
    call->core_->gate.pass(told);
  });
}

}  // namespace shoal::rpc
