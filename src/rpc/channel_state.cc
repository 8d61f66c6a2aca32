#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "rpc/channel_state_internal.h"

namespace shoal::rpc {
namespace {

// What we may have queued beyond the requests that the server gave credit for.
constexpr uint64_t kBacklogSlackBytes = 1 << 20;

Link::Limits limits_of(const ChannelOptions& options, const Agreed& agreed) {
  const RequestLimits& limits = agreed.limits;
  const std::chrono::milliseconds idle_max(limits.idle_ms_max);  // the server's patience
  return {.backlog_bytes_max = limits.request_bytes_max +
                               uint64_t{2} * kFrameHeaderBytes * limits.requests_max +
                               kBacklogSlackBytes,
          .ping_after = std::min({options.ping_after, options.silence_max / 3, idle_max / 3}),
          .silence_max = options.silence_max,
          .stall_max = options.silence_max};
}

Answer not_executed(Error why) { return {Outcome::kNotExecuted, std::move(why)}; }

}  // namespace

ChannelState::ChannelState(Seams seams, ChannelOptions options, std::string address,
                           std::unique_ptr<Connection> connection, Agreed agreed)
    : seams_(seams),
      options_(std::move(options)),
      address_(std::move(address)),
      connection_(std::move(connection)),
      agreed_(agreed),
      link_(*connection_, seams.clock, agreed.version, limits_of(options_, agreed)) {}

// --- calls ---

Error ChannelState::no_more() const {
  if (ended_) return *ended_;
  if (leaving_) return *leaving_;
  return Error(ENOTCONN);
}

Status ChannelState::usable() const {
  MutexLock lock(mutex_);
  if (ended_ || leaving_) return no_more();
  return {};
}

bool ChannelState::has_credit(uint64_t bytes) const {
  return sent_ < agreed_.limits.requests_max &&
         sent_bytes_ + bytes <= agreed_.limits.request_bytes_max;
}

uint64_t ChannelState::start(uint16_t method, std::string body, const CallOptions& options,
                             Channel::Done done) {
  std::optional<Error> refused;
  Channel::Done back;  // then it is told here
  uint64_t id = 0;
  {
    MutexLock lock(mutex_);
    id = ++last_id_;
    if (body.size() > kBodyBytesMax) {
      refused = error(EMSGSIZE, "a request of {} bytes; at most {} are allowed", body.size(),
                      kBodyBytesMax);
      back = std::move(done);
    } else if (ended_ || leaving_) {
      refused = no_more();
      back = std::move(done);
    } else {
      Pending pending{.done = std::move(done), .bytes = body.size()};
      if (options.deadline.count() > 0) {
        pending.deadline = seams_.clock.since_boot() + options.deadline;
        deadlines_.emplace(pending.deadline, id);
      }
      FrameHeader header{.kind = FrameKind::kRequest,
                         .method = method,
                         .request_id = id,
                         .identity = options.identity};
      pending_.emplace(id, std::move(pending));
      if (!waiting_.empty() || !has_credit(body.size())) {
        if (waiting_.size() < options_.waiting_max) {
          waiting_.emplace(id, Waiting{header, std::move(body)});
        } else {
          back = take_pending(id);
          refused = error(EAGAIN, "{} calls wait for their turn already", waiting_.size());
        }
      } else if (!dispatch(id, header, std::move(body))) {
        back = take_pending(id);
        refused = link_.ended().value_or(Error(ENOTCONN));
      }
    }
  }
  if (refused) {
    back(not_executed(std::move(*refused)));
    return id;
  }
  link_.flush();
  if (options.deadline.count() > 0) schedule_deadlines();
  return id;
}

// Queues the frame of a pending call. False: the connection is gone, nothing was sent.
bool ChannelState::dispatch(uint64_t id, FrameHeader header, std::string body) {
  const Pending& pending = pending_.at(id);
  if (pending.deadline.count() > 0) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(pending.deadline - seams_.clock.since_boot());
    header.value = static_cast<uint32_t>(std::clamp<int64_t>(left.count(), 1, UINT32_MAX));
  }
  if (!link_.queue(header, std::move(body))) return false;
  ++sent_;
  sent_bytes_ += pending.bytes;
  return true;
}

// Whom it cannot send any more is returned.
std::vector<Channel::Done> ChannelState::dispatch_waiting() {
  std::vector<Channel::Done> failed;
  while (!waiting_.empty() && has_credit(waiting_.begin()->second.body.size())) {
    auto node = waiting_.extract(waiting_.begin());
    if (!dispatch(node.key(), node.mapped().header, std::move(node.mapped().body)))
      failed.push_back(take_pending(node.key()));
  }
  return failed;
}

// Forgets a call that is over.
Channel::Done ChannelState::take_pending(uint64_t id) {
  auto node = pending_.extract(id);
  const Pending& pending = node.mapped();
  if (pending.deadline.count() > 0) deadlines_.erase({pending.deadline, id});
  return std::move(node.mapped().done);
}

void ChannelState::cancel(uint64_t id) {
  Channel::Done done;
  {
    MutexLock lock(mutex_);
    const auto it = pending_.find(id);
    if (it == pending_.end()) return;
    if (waiting_.erase(id) > 0) {
      done = take_pending(id);
    } else if (!std::exchange(it->second.cancelled, true)) {
      link_.queue({.kind = FrameKind::kCancel, .request_id = id});
    }
  }
  if (done) return done(not_executed(Error(ECANCELED, "cancelled before it was sent")));
  link_.flush();
}

void ChannelState::close() {
  {
    MutexLock lock(mutex_);
    if (!leaving_ || !ours_) leaving_ = Error(ECANCELED, "the channel was closed");
    ours_ = true;
  }
  link_.send({.kind = FrameKind::kGoodbye, .value = ECANCELED});
  link_.finish(Error(ECANCELED, "the channel was closed"));
}

// --- deadlines ---

// One task on the executor for the earliest deadline: thousands of calls a second come and go
// while it waits.
void ChannelState::schedule_deadlines() {
  Nanoseconds delay{0};
  {
    MutexLock lock(mutex_);
    if (deadlines_.empty()) return;
    const Nanoseconds next = deadlines_.begin()->first;
    if (alarm_ && *alarm_ <= next) return;
    alarm_ = next;
    delay = std::max(next - seams_.clock.since_boot(), Nanoseconds(0));
  }
  seams_.executor.post_after(delay, [weak = weak_from_this()] {
    const std::shared_ptr<ChannelState> self = weak.lock();
    if (self != nullptr) self->gate_.pass([&] { self->pass_deadlines(); });
  });
}

void ChannelState::pass_deadlines() {
  std::vector<std::pair<Channel::Done, Outcome>> over;
  {
    MutexLock lock(mutex_);
    const Nanoseconds now = seams_.clock.since_boot();
    if (alarm_ && *alarm_ <= now) alarm_.reset();
    while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
      const uint64_t id = deadlines_.begin()->second;
      if (waiting_.erase(id) > 0) {
        over.emplace_back(take_pending(id), Outcome::kNotExecuted);
        continue;
      }
      Pending& pending = pending_.at(id);
      deadlines_.erase(deadlines_.begin());
      pending.deadline = Nanoseconds(0);
      over.emplace_back(std::exchange(pending.done, nullptr), Outcome::kUnknown);
      if (!std::exchange(pending.cancelled, true))
        link_.queue({.kind = FrameKind::kCancel, .request_id = id});
    }
  }
  link_.flush();
  for (auto& [done, outcome] : over) {
    const bool sent = outcome == Outcome::kUnknown;
    done({outcome, Error(ETIMEDOUT, sent ? "no answer in time: unknown outcome"
                                         : "its turn did not come in time")});
  }
  schedule_deadlines();
}

// --- what comes ---

Status ChannelState::admit(const FrameHeader& header) {
  if (header.kind == FrameKind::kRequest || header.kind == FrameKind::kCancel ||
      header.kind == FrameKind::kCredit)
    return error(EPROTO, "the server sent a frame of kind {}", static_cast<int>(header.kind));
  return {};
}

Status ChannelState::receive(const FrameHeader& header, std::string body) {
  switch (header.kind) {
    case FrameKind::kReply:
    case FrameKind::kError:
      return take_answer(header, std::move(body));
    case FrameKind::kNotify:
      return take_notification(header.method, std::move(body));
    default:
      return take_goodbye(header, body);
  }
}

Status ChannelState::take_answer(const FrameHeader& header, std::string body) {
  Channel::Done done;
  std::vector<Channel::Done> failed;
  bool last = false;
  {
    MutexLock lock(mutex_);
    const auto it = pending_.find(header.request_id);
    if (it == pending_.end() || waiting_.contains(header.request_id))
      return error(EPROTO, "the server answered request {}, which it was not asked",
                   header.request_id);
    --sent_;
    sent_bytes_ -= it->second.bytes;
    done = take_pending(header.request_id);
    failed = dispatch_waiting();
    last = leaving_ && pending_.empty();
  }
  link_.flush();
  if (done) {
    if (header.kind == FrameKind::kReply) {
      done({Outcome::kAnswered, std::move(body)});
    } else {
      const bool seen = header.method == kErrorAnswered;
      done({seen ? Outcome::kAnswered : Outcome::kNotExecuted,
            Error(static_cast<int>(header.value), std::move(body))});
    }
  }
  for (const Channel::Done& none : failed) none(not_executed(Error(ENOTCONN)));
  if (last) link_.end(Error(ESHUTDOWN));  // the goodbye says why
  return {};
}

Status ChannelState::take_goodbye(const FrameHeader& header, const std::string& text) {
  std::vector<Channel::Done> unsent;
  bool last = false;
  {
    MutexLock lock(mutex_);
    if (!leaving_) {
      leaving_ = error(static_cast<int>(header.value), "the server at {} said goodbye: {}",
                       address_, text);
    }
    for (const auto& [id, waiting] : waiting_) unsent.push_back(take_pending(id));
    waiting_.clear();
    last = pending_.empty();
  }
  for (const Channel::Done& done : unsent)
    done(not_executed(Error(ESHUTDOWN, "the server said goodbye")));
  if (last) link_.end(Error(ESHUTDOWN));
  return {};
}

// --- notifications ---

Status ChannelState::take_notification(uint16_t method, std::string body) {
  {
    MutexLock lock(notes_mutex_);
    if (notes_owed_ >= options_.notifications_max)
      return error(EPROTO, "the server sent more notifications than it has credit for");
    ++notes_owed_;
    notes_.emplace_back(method, std::move(body));
    if (delivering_) return {};
    delivering_ = true;
  }
  seams_.executor.post(
      [self = shared_from_this()] { self->gate_.pass([&] { self->deliver_notifications(); }); });
  return {};
}

// Credit goes back in halves of the window, or when there is nothing more to do.
void ChannelState::deliver_notifications() {
  for (;;) {
    std::pair<uint16_t, std::string> note;
    bool more = false;
    uint32_t credit = 0;
    {
      MutexLock lock(notes_mutex_);
      more = !notes_.empty();
      const uint32_t handled = notes_owed_ - static_cast<uint32_t>(notes_.size());
      if (!more || handled >= (options_.notifications_max + 1) / 2) credit = handled;
      notes_owed_ -= credit;
      delivering_ = more;
      if (more) {
        note = std::move(notes_.front());
        notes_.pop_front();
      }
    }
    if (credit > 0) link_.send({.kind = FrameKind::kCredit, .value = credit});
    if (!more) return;
    if (options_.notified) options_.notified(note.first, std::move(note.second));
  }
}

// --- the end ---

void ChannelState::read() { finish(link_.run(*this)); }

void ChannelState::finish(const Error& why) {
  std::vector<std::pair<Channel::Done, Outcome>> over;
  bool tell = false;
  {
    MutexLock lock(mutex_);
    // A goodbye says more than the end of the stream that follows it.
    const Error reason = leaving_ ? *leaving_ : why.in(address_);
    ended_ = reason;
    tell = !ours_ && options_.closed;
    for (auto& [id, pending] : pending_) {
      if (!pending.done) continue;
      const bool unsent = waiting_.contains(id);
      over.emplace_back(std::move(pending.done),
                        unsent ? Outcome::kNotExecuted : Outcome::kUnknown);
    }
    pending_.clear();
    waiting_.clear();
    deadlines_.clear();
  }
  for (auto& [done, outcome] : over) {
    if (outcome == Outcome::kUnknown) {
      done({outcome, Error(ECONNRESET, "connection lost: unknown outcome")});
    } else {
      done(not_executed(Error(ENOTCONN, "connection lost before it was sent")));
    }
  }
  if (!tell) return;
  seams_.executor.post([self = shared_from_this()] {
    self->gate_.pass([&] { self->options_.closed(self->usable().error()); });
  });
}

}  // namespace shoal::rpc
