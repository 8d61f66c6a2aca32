#include <algorithm>
#include <vector>

#include "base/check.h"
#include "base/log.h"
#include "rpc/server_connection_internal.h"

namespace shoal::rpc {
namespace {

std::unique_ptr<TlsConnection> secured(const ServerCore& core, std::unique_ptr<Connection>& plain) {
  if (core.options.tls == nullptr) return nullptr;
  return TlsConnection::server(std::move(plain), core.options.tls);
}

FrameHeader goodbye(const Error& why) {
  const bool known = why.code() >= 1 && why.code() <= kErrnoMax;
  return {.kind = FrameKind::kGoodbye, .value = static_cast<uint32_t>(known ? why.code() : EIO)};
}

}  // namespace

ServerConnection::ServerConnection(std::shared_ptr<ServerCore> core,
                                   std::unique_ptr<Connection> plain, uint64_t number)
    : core_(std::move(core)),
      born_(core_->seams.clock.since_boot()),
      tls_(secured(*core_, plain)),
      plain_(std::move(plain)),
      connection_(tls_ != nullptr ? *tls_ : *plain_) {
  info_.number = number;
}

ServerConnection::~ServerConnection() = default;

Link* ServerConnection::link() const {
  MutexLock lock(mutex_);
  return link_.get();
}

void ServerConnection::serve() {
  Result<Accepted> accepted = shake_hands();
  if (accepted.ok()) {
    info_.version = accepted->version;
    info_.who = std::move(accepted->applicant);
    talk(make_link(accepted->notifications_max));
  } else {
    core_->refused();
    core_->log_peer(accepted.error().text());
    connection_.shutdown();
  }
  core_->left(info_.number);
}

Result<Accepted> ServerConnection::shake_hands() {
  Applicant applicant;
  applicant.process = connection_.peer();
  std::string binding;
  if (tls_ != nullptr) {
    TRY(tls_->handshake());
    binding = tls_->binding();
    applicant.certificate = tls_->certificate();
  }
  return server_handshake(connection_, std::move(applicant), core_->options.versions,
                          core_->options.limits.requests, core_->options.authenticate, binding,
                          core_->seams.random);
}

Link& ServerConnection::make_link(uint32_t notifications_max) {
  const ServerLimits& limits = core_->options.limits;
  const std::chrono::milliseconds silence_max(limits.requests.idle_ms_max);
  auto made = std::make_unique<Link>(
      connection_, core_->seams.clock, info_.version,
      Link::Limits{.backlog_bytes_max = limits.backlog_bytes_max,
                   .ping_after = std::min(limits.ping_after, silence_max / 3),
                   .silence_max = silence_max,
                   .stall_max = limits.stall_max});
  MutexLock lock(mutex_);
  link_ = std::move(made);
  notify_max_ = notifications_max;
  notify_credit_ = notifications_max;
  return *link_;
}

void ServerConnection::talk(Link& link) {
  if (!core_->authenticated(info_.number)) {
    drop(Error(EBUSY, "the server has no room for more connections, or stops"));
    (void)link.run(*this);  // until the goodbye is written
    return;
  }
  const std::shared_ptr<Peer> self = shared_from_this();
  core_->gate.pass([&] {
    if (core_->events.connected) core_->events.connected(self);
  });
  const Error why = link.run(*this);
  cancel_calls();
  core_->gate.pass([&] {
    if (core_->events.disconnected) core_->events.disconnected(self, why);
  });
}

void ServerConnection::stop() {
  if (Link* at = link(); at != nullptr) at->end(Error(ESHUTDOWN, "the server stops"));
  connection_.shutdown();
}

bool ServerConnection::connected() const {
  const Link* at = link();
  return at != nullptr && !at->ended();
}

// --- what comes ---

Status ServerConnection::admit(const FrameHeader& header) {
  switch (header.kind) {
    case FrameKind::kCancel:
    case FrameKind::kCredit:
    case FrameKind::kPing:
    case FrameKind::kPong:
    case FrameKind::kGoodbye:
      return {};
    case FrameKind::kRequest:
      break;
    default:
      return error(EPROTO, "a client sent a frame of kind {}", static_cast<int>(header.kind));
  }
  const RequestLimits& limits = core_->options.limits.requests;
  MutexLock lock(mutex_);
  if (calls_.contains(header.request_id))
    return error(EPROTO, "a client used request id {} twice at once", header.request_id);
  if (calls_.size() >= limits.requests_max ||
      call_bytes_ + header.body_length > limits.request_bytes_max) {
    return error(EPROTO, "a client sent more than it may: {} requests of {} bytes are unanswered",
                 calls_.size(), call_bytes_);
  }
  return {};
}

Status ServerConnection::receive(const FrameHeader& header, std::string body) {
  switch (header.kind) {
    case FrameKind::kRequest:
      return take_request(header, std::move(body));
    case FrameKind::kCancel: {
      std::shared_ptr<ServerCall> call;
      {
        MutexLock lock(mutex_);
        if (const auto it = calls_.find(header.request_id); it != calls_.end())
          call = it->second.lock();
      }
      if (call != nullptr) call->cancel();  // else its answer is on the way
      return {};
    }
    case FrameKind::kCredit:
      return take_credit(header.value);
    default:
      return error(ECONNRESET, "the client said goodbye{}{}", body.empty() ? "" : ": ", body);
  }
}

Status ServerConnection::take_request(const FrameHeader& header, std::string body) {
  auto call = std::make_shared<ServerCall>(shared_from_this(), core_, header, std::move(body));
  bool leaving = false;
  {
    MutexLock lock(mutex_);
    calls_.emplace(header.request_id, call);
    call_bytes_ += header.body_length;
    leaving = leaving_;
  }
  if (leaving) {
    call->refuse(Error(ESHUTDOWN, "the server stops"));
    return {};
  }
  core_->seams.executor.post(
      [call = std::move(call)] { call->core().gate.pass([&] { call->run(); }); });
  return {};
}

void ServerConnection::cancel_calls() {
  std::vector<std::shared_ptr<ServerCall>> calls;
  {
    MutexLock lock(mutex_);
    for (const auto& [id, weak] : calls_) {
      if (auto call = weak.lock()) calls.push_back(std::move(call));
    }
  }
  for (const auto& call : calls) call->cancel();
}

// --- what goes ---

void ServerConnection::answer(uint64_t id, uint64_t request_bytes, const FrameHeader& header,
                              std::string body) {
  Link* at = nullptr;
  {
    // Before the answer leaves: the client may use the credit at once.
    MutexLock lock(mutex_);
    calls_.erase(id);
    call_bytes_ -= request_bytes;
    at = link_.get();
  }
  at->send(header, std::move(body));
}

bool ServerConnection::notify(uint16_t method, std::string body) {
  CHECK(body.size() <= kBodyBytesMax);
  bool taken = true;
  Link* at = nullptr;
  {
    MutexLock lock(mutex_);
    at = link_.get();
    if (at == nullptr || at->ended()) return false;
    if (notify_credit_ > 0) {
      --notify_credit_;
      taken = at->queue({.kind = FrameKind::kNotify, .method = method}, std::move(body));
    } else {
      note_bytes_ += body.size() + kFrameHeaderBytes;
      notes_.emplace_back(method, std::move(body));
      taken = note_bytes_ <= core_->options.limits.backlog_bytes_max;
    }
  }
  if (!taken)
    at->end(Error(ENOBUFS, "too many notifications wait for a peer that does not handle them"));
  at->flush();
  return taken;
}

Status ServerConnection::take_credit(uint32_t count) {
  Link* at = nullptr;
  {
    MutexLock lock(mutex_);
    at = link_.get();
    if (count > notify_max_ - notify_credit_)
      return error(EPROTO, "a client gave credit for {} notifications that it did not get", count);
    notify_credit_ += count;
    while (notify_credit_ > 0 && !notes_.empty()) {
      --notify_credit_;
      auto [method, body] = std::move(notes_.front());
      notes_.pop_front();
      note_bytes_ -= body.size() + kFrameHeaderBytes;
      at->queue({.kind = FrameKind::kNotify, .method = method}, std::move(body));
    }
  }
  at->flush();
  return {};
}

void ServerConnection::drop(const Error& why) {
  Link* at = nullptr;
  {
    MutexLock lock(mutex_);
    leaving_ = true;
    at = link_.get();
  }
  if (at == nullptr) return connection_.shutdown();
  at->send(goodbye(why), why.message().substr(0, kTextBytesMax));
  at->finish(why);
}

void ServerConnection::say_goodbye() {
  Link* at = nullptr;
  {
    MutexLock lock(mutex_);
    leaving_ = true;
    at = link_.get();
  }
  if (at == nullptr) return connection_.shutdown();
  at->send(goodbye(Error(ESHUTDOWN)), "the server stops");
}

std::chrono::nanoseconds ServerConnection::age() const {
  return core_->seams.clock.since_boot() - born_;
}

void ServerConnection::tick() {
  if (Link* at = link(); at != nullptr) return at->tick();
  if (age() >= core_->options.limits.handshake_max) connection_.shutdown();
}

}  // namespace shoal::rpc
