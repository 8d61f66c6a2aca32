#include "metasvc/remote_transport.h"

#include <algorithm>
#include <optional>
#include <unordered_map>

#include "base/log.h"
#include "metasvc/codec.h"
#include "metasvc/open_counts.h"
#include "metasvc/service.h"
#include "sys/mutex.h"
#include "sys/on_behalf.h"

namespace shoal::metasvc {
namespace {

using std::chrono::milliseconds;
using Done = std::function<void(Result<std::string>)>;

constexpr milliseconds kFirstRetry{50};
constexpr milliseconds kLastRetry{2'000};
constexpr milliseconds kNextServer{100};  // before asking it who was no owner itself

// One request until it is answered, over as many connections as that takes.
struct Pending {
  uint16_t method = 0;
  std::string body;
  rpc::Identity identity;
  std::chrono::nanoseconds give_up_at{0};  // boot time; 0: never
  bool told = false;                       // that nobody answers: who asked is gone
  Done done;
};
using PendingPtr = std::shared_ptr<Pending>;

// Shared with tasks and callbacks, which may outlive the transport by one wake-up.
class Sender : public std::enable_shared_from_this<Sender> {
 public:
  Sender(rpc::Seams seams, RemoteOptions options) : seams_(seams), options_(std::move(options)) {
    for (uint32_t slot = 0; slot < options_.slots; ++slot) free_slots_.push_back(slot);
    sequences_.resize(options_.slots);
  }

  Status connect_first();
  void start_heartbeat();
  void send(uint16_t method, std::string body, Done done);
  void wait_for_lock(uint16_t method, std::string body, uint64_t wait, Done done);
  void cancel_lock(uint64_t wait);
  void hear_events(std::function<void(const meta::SessionEvent&)> hear) {
    MutexLock lock(mutex_);
    hear_ = std::move(hear);
  }
  uint64_t new_wait() {
    MutexLock lock(mutex_);
    return ++waits_drawn_;
  }
  void stop();

 private:
  Result<std::unique_ptr<rpc::Channel>> try_servers();
  void use(std::unique_ptr<rpc::Channel> channel);
  void lost(uint64_t number, milliseconds delay = milliseconds(0));
  void reconnect(milliseconds delay);
  void reconnect_now(milliseconds delay);
  void heartbeat();

  void give_slot(Pending& request, uint32_t slot) REQUIRES(mutex_) {
    request.identity.slot = slot;
    request.identity.sequence = ++sequences_[slot];
  }
  void submit(const PendingPtr& request);
  void answered(const PendingPtr& request, uint64_t number, rpc::Answer answer);
  void again(const PendingPtr& request, uint64_t number);
  void finish(const PendingPtr& request, Result<std::string> result);
  void fail_overdue();
  void notified(uint16_t method, const std::string& body);
  void lose_session(SessionId which);
  void return_first(const PendingPtr& request);
  void returned();

  const rpc::Seams seams_;
  const RemoteOptions options_;
  Mutex mutex_;
  bool stopped_ GUARDED_BY(mutex_) = false;
  std::shared_ptr<rpc::Channel> channel_ GUARDED_BY(mutex_);  // null: there is none
  uint64_t channel_number_ GUARDED_BY(mutex_) = 0;
  size_t next_server_ GUARDED_BY(mutex_) = 0;
  SessionId session_ GUARDED_BY(mutex_) = 0;
  bool session_lost_ GUARDED_BY(mutex_) = false;
  std::vector<uint32_t> free_slots_ GUARDED_BY(mutex_);
  std::vector<uint64_t> sequences_ GUARDED_BY(mutex_);       // of the last request of each slot
  std::vector<PendingPtr> without_slot_ GUARDED_BY(mutex_);  // in order
  std::vector<PendingPtr> without_channel_ GUARDED_BY(mutex_);
  std::vector<PendingPtr> until_returned_ GUARDED_BY(mutex_);
  bool returning_ GUARDED_BY(mutex_) = false;  // a SessionReturn is under way
  OpenCounts opens_;
  uint64_t waits_drawn_ GUARDED_BY(mutex_) = 0;
  struct LockWaiting {
    Done done;
    std::string body;  // of its LockWait
  };
  std::unordered_map<uint64_t, LockWaiting> lock_waits_ GUARDED_BY(mutex_);
  std::function<void(const meta::SessionEvent&)> hear_ GUARDED_BY(mutex_);  // null: nobody does
};

// --- the connection ---

Result<std::unique_ptr<rpc::Channel>> Sender::try_servers() {
  size_t first = 0;
  uint64_t number = 0;
  {
    MutexLock lock(mutex_);
    first = next_server_++;
    number = channel_number_ + 1;
  }
  rpc::ChannelOptions options;
  options.credentials = options_.credentials;
  options.tls = options_.tls;
  const std::weak_ptr<Sender> weak = weak_from_this();
  options.notified = [weak](uint16_t method, const std::string& body) {
    if (const auto self = weak.lock()) self->notified(method, body);
  };
  options.closed = [weak, number](const Error& why) {
    const auto self = weak.lock();
    if (self == nullptr) return;
    log(LogLevel::kWarn, "the connection to the meta server is lost: {}", why.text());
    self->lost(number);
  };
  const NetAddress& address = options_.servers[first % options_.servers.size()];
  auto channel = rpc::Channel::connect(seams_, address, options);
  if (!channel.ok()) return channel.error().in(address.to_string());
  return channel;
}

Status Sender::connect_first() {
  Error why(EIO);
  for (size_t i = 0; i < options_.servers.size(); ++i) {
    auto channel = try_servers();
    if (channel.ok()) {
      use(std::move(*channel));
      return {};
    }
    why = channel.error();
  }
  return why;
}

void Sender::use(std::unique_ptr<rpc::Channel> channel) {
  std::vector<PendingPtr> waiting;
  std::shared_ptr<rpc::Channel> dropped;  // outside of the lock: its end waits for callbacks
  uint64_t number = 0;
  bool usable = true;
  {
    MutexLock lock(mutex_);
    if (stopped_) {
      dropped = std::move(channel);
    } else {
      channel_ = std::move(channel);
      number = ++channel_number_;
      usable = channel_->usable().ok();
      waiting = std::exchange(without_channel_, {});
    }
  }
  for (const PendingPtr& request : waiting) submit(request);
  // It may have said so when it was not ours yet.
  if (!usable) lost(number);
}

void Sender::lost(uint64_t number, milliseconds delay) {
  std::shared_ptr<rpc::Channel> dropped;
  {
    MutexLock lock(mutex_);
    if (stopped_ || channel_number_ != number || channel_ == nullptr) return;
    dropped = std::move(channel_);
    channel_ = nullptr;
  }
  // Not here: a channel must not be destroyed by its own callback.
  seams_.executor.post([self = shared_from_this(), dropped = std::move(dropped), delay]() mutable {
    dropped.reset();
    if (delay.count() == 0) return self->reconnect_now(kFirstRetry);
    self->reconnect(delay);
  });
}

void Sender::reconnect(milliseconds delay) {
  seams_.executor.post_after(delay, [weak = weak_from_this(), delay] {
    if (const auto self = weak.lock()) self->reconnect_now(delay);
  });
}

void Sender::reconnect_now(milliseconds delay) {
  {
    MutexLock lock(mutex_);
    if (stopped_ || channel_ != nullptr) return;
  }
  fail_overdue();
  auto channel = try_servers();
  if (channel.ok()) {
    log(LogLevel::kInfo, "connected to a meta server again");
    use(std::move(*channel));
    heartbeat();  // so that it knows where to tell us of locks
    return;
  }
  if (delay == kLastRetry)
    log(LogLevel::kWarn, "no meta server answers: {}", channel.error().text());
  reconnect(std::min(kLastRetry, delay * 2));
}

void Sender::heartbeat() {
  {
    MutexLock lock(mutex_);
    if (stopped_ || session_ == 0 || session_lost_ || channel_ == nullptr) return;
  }
  send(Heartbeat::kNumber, encode(Asked<Heartbeat>{}), [](const Result<std::string>&) {});
}

void Sender::start_heartbeat() {
  seams_.executor.post_after(options_.heartbeat, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (self == nullptr) return;
    {
      MutexLock lock(self->mutex_);
      if (self->stopped_) return;
    }
    self->heartbeat();
    self->fail_overdue();
    self->start_heartbeat();
  });
}

void Sender::stop() {
  std::shared_ptr<rpc::Channel> dropped;
  std::vector<PendingPtr> waiting;
  std::unordered_map<uint64_t, LockWaiting> locks;
  {
    MutexLock lock(mutex_);
    if (stopped_) return;
    stopped_ = true;
    dropped = std::move(channel_);
    channel_ = nullptr;
    waiting = std::exchange(without_channel_, {});
    for (auto* more : {&without_slot_, &until_returned_}) {
      waiting.insert(waiting.end(), more->begin(), more->end());
      more->clear();
    }
    locks.swap(lock_waits_);
  }
  dropped.reset();  // answers what was under way
  for (const PendingPtr& request : waiting) request->done(error(EIO, "the mount is ending"));
  for (const auto& [wait, at] : locks) at.done(error(EIO, "the mount is ending"));
}

// --- requests ---

void Sender::send(uint16_t method, std::string body, Done done) {
  auto request = std::make_shared<Pending>();
  request->method = method;
  request->body = std::move(body);
  request->done = std::move(done);
  if (options_.soft_timeout.count() > 0)
    request->give_up_at = seams_.clock.since_boot() + options_.soft_timeout;
  bool lost = false, stopped = false;
  {
    MutexLock lock(mutex_);
    stopped = stopped_;
    lost = session_lost_ && method != SessionOpen::kNumber;
    request->identity.session = session_;
    if (!stopped && !session_lost_ && changes_anything(method) && session_ != 0) {
      if (free_slots_.empty()) {
        without_slot_.push_back(request);
        return;
      }
      give_slot(*request, free_slots_.back());
      free_slots_.pop_back();
    }
  }
  if (stopped) return request->done(error(EIO, "the mount is ending"));
  if (lost) return request->done(error(ESTALE, "the session with the meta server was lost"));
  submit(request);
}

void Sender::submit(const PendingPtr& request) {
  std::shared_ptr<rpc::Channel> channel;
  uint64_t number = 0;
  bool stopped = false;
  {
    MutexLock lock(mutex_);
    stopped = stopped_;
    channel = channel_;
    number = channel_number_;
    if (!stopped && channel == nullptr) {
      without_channel_.push_back(request);
      return;
    }
  }
  if (stopped) return request->done(error(EIO, "the mount is ending"));
  rpc::CallOptions options;
  options.identity = request->identity;
  channel->start(request->method, request->body, options,
                 [self = shared_from_this(), request, number](rpc::Answer answer) {
                   self->answered(request, number, std::move(answer));
                 });
}

void Sender::answered(const PendingPtr& request, uint64_t number, rpc::Answer answer) {
  if (answer.outcome == rpc::Outcome::kAnswered && answer.result.code() == kNotTheOwner) {
    lost(number, kNextServer);
    return again(request, number);
  }
  if (answer.outcome == rpc::Outcome::kAnswered && answer.result.code() == kReturnFirst)
    return return_first(request);
  if (answer.outcome == rpc::Outcome::kAnswered) {
    if (answer.result.code() == ESTALE && request->method != SessionOpen::kNumber)
      lose_session(request->identity.session);
    return finish(request, std::move(answer.result));
  }
  again(request, number);
}

// The same by the same identity, as soon as there is another connection than `number`.
void Sender::again(const PendingPtr& request, uint64_t number) {
  {
    MutexLock lock(mutex_);
    if (!stopped_ && (channel_ == nullptr || channel_number_ == number)) {
      // (The channel's `closed` brings a new one. One that only sent it back unseen does not.)
      if (channel_ == nullptr || !channel_->usable().ok()) {
        without_channel_.push_back(request);
        return;
      }
    }
  }
  seams_.executor.post([self = shared_from_this(), request] { self->submit(request); });
}

// A new owner found the session and asks what it has open. What it sent back waits for that.
void Sender::return_first(const PendingPtr& request) {
  {
    MutexLock lock(mutex_);
    until_returned_.push_back(request);
    if (std::exchange(returning_, true)) return;
  }
  seams_.executor.post([self = shared_from_this()] {
    Asked<SessionReturn> asked;
    asked.arguments.opens = self->opens_.all();
    self->send(SessionReturn::kNumber, encode(asked),
               [self](const Result<std::string>&) { self->returned(); });
  });
}

void Sender::returned() {
  std::vector<PendingPtr> waiting;
  std::vector<std::string> locks;
  {
    MutexLock lock(mutex_);
    returning_ = false;
    waiting.swap(until_returned_);
    for (const auto& [wait, at] : lock_waits_) locks.push_back(at.body);
  }
  seams_.executor.post([self = shared_from_this(), waiting, locks] {
    for (const PendingPtr& request : waiting) self->submit(request);
    for (const std::string& body : locks)
      self->send(LockWait::kNumber, body, [](const Result<std::string>&) {});
  });
}

void Sender::finish(const PendingPtr& request, Result<std::string> result) {
  if (result.ok()) opens_.answered(request->method, request->body, *result);
  PendingPtr next;
  {
    MutexLock lock(mutex_);
    if (request->method == SessionOpen::kNumber && result.ok()) {
      if (const auto id = decode<SessionId>(*result); id.ok()) {
        session_ = *id;
        session_lost_ = false;
        opens_.clear();
        std::fill(sequences_.begin(), sequences_.end(), 0);  // its slots are new
      }
    }
    if (request->identity.sequence != 0) {
      if (without_slot_.empty()) {
        free_slots_.push_back(request->identity.slot);
      } else {
        next = without_slot_.front();
        without_slot_.erase(without_slot_.begin());
        give_slot(*next, request->identity.slot);
      }
    }
  }
  request->done(std::move(result));
  if (next == nullptr) return;
  // Not here, on the channel's own thread: it must not be the last to hold the channel.
  seams_.executor.post([self = shared_from_this(), next] { self->submit(next); });
}

// Who asked for what waits for a connection for too long is told. What was sent before is still
// sent again: it was perhaps executed, and only its answer makes its slot free.
void Sender::fail_overdue() {
  std::vector<Done> overdue;
  const auto now = seams_.clock.since_boot();
  {
    MutexLock lock(mutex_);
    for (auto* waiting : {&without_channel_, &without_slot_, &until_returned_}) {
      for (const PendingPtr& request : *waiting) {
        const bool late = request->give_up_at.count() != 0 && now >= request->give_up_at;
        if (!late || request->told) continue;
        request->told = true;
        overdue.push_back(std::exchange(request->done, [](const Result<std::string>&) {}));
      }
    }
    std::erase_if(without_slot_, [](const PendingPtr& request) { return request->told; });
  }
  for (const Done& done : overdue)
    done(error(EIO, "no meta server answered for {} ms", options_.soft_timeout.count()));
}

void Sender::lose_session(SessionId which) {
  std::unordered_map<uint64_t, LockWaiting> locks;
  std::vector<PendingPtr> waiting;
  {
    MutexLock lock(mutex_);
    if (session_lost_ || stopped_ || which != session_) return;  // (it may have another by now)
    session_lost_ = true;
    waiting.swap(without_slot_);
    locks.swap(lock_waits_);
  }
  log(LogLevel::kError, "the session with the meta server was lost");
  for (const PendingPtr& request : waiting)
    request->done(error(ESTALE, "the session with the meta server was lost"));
  for (const auto& [wait, at] : locks) at.done(error(EIO, "the session was lost"));
  if (options_.session_lost) seams_.executor.post(options_.session_lost);
}

// --- locks that are waited for ---

void Sender::wait_for_lock(uint16_t method, std::string body, uint64_t wait, Done done) {
  {
    MutexLock lock(mutex_);
    lock_waits_.emplace(wait, LockWaiting{std::move(done), body});
  }
  send(method, std::move(body),
       [self = shared_from_this(), wait](const Result<std::string>& queued) {
         if (queued.ok()) return;  // LockDone tells the rest
         Done refused;
         {
           MutexLock lock(self->mutex_);
           const auto at = self->lock_waits_.find(wait);
           if (at == self->lock_waits_.end()) return;
           refused = std::move(at->second.done);
           self->lock_waits_.erase(at);
         }
         refused(queued.error());
       });
}

void Sender::cancel_lock(uint64_t wait) {
  Asked<LockCancel> asked;
  asked.arguments.wait = wait;
  send(LockCancel::kNumber, encode(asked), [](const Result<std::string>&) {});
}

void Sender::notified(uint16_t method, const std::string& body) {
  if (method == SessionTold::kNumber) {
    const auto told = decode<SessionTold>(body);
    if (!told.ok()) return;
    // Not here, on the channel's own thread: whoever hears it may ask the owner something.
    seams_.executor.post([weak = weak_from_this(), event = told->event] {
      const auto self = weak.lock();
      if (self == nullptr) return;
      std::function<void(const meta::SessionEvent&)> hear;
      {
        MutexLock lock(self->mutex_);
        hear = self->hear_;
      }
      if (hear) hear(event);
    });
    return;
  }
  if (method != LockDone::kNumber) return;  // of a newer owner
  const auto told = decode<LockDone>(body);
  if (!told.ok()) return;
  Done done;
  {
    MutexLock lock(mutex_);
    const auto at = lock_waits_.find(told->wait);
    if (at == lock_waits_.end()) return;  // told twice
    done = std::move(at->second.done);
    lock_waits_.erase(at);
  }
  if (told->code == 0) {
    done(std::string());
  } else {
    done(Error(told->code));
  }
}

class RemoteTransportImpl final : public RemoteTransport {
 public:
  explicit RemoteTransportImpl(std::shared_ptr<Sender> sender) : sender_(std::move(sender)) {}
  ~RemoteTransportImpl() override { sender_->stop(); }

  Result<std::string> call(uint16_t method, const rpc::Identity&, std::string body) override {
    struct Waiting {
      Mutex mutex;
      CondVar told;
      std::optional<Result<std::string>> answer;
    };
    const auto waiting = std::make_shared<Waiting>();
    sender_->send(method, std::move(body), [waiting](Result<std::string> answer) {
      MutexLock lock(waiting->mutex);
      waiting->answer = std::move(answer);
      waiting->told.notify_all();
    });
    MutexLock lock(waiting->mutex);
    while (!waiting->answer) {
      if (!wait_unless_given_up(waiting->told, waiting->mutex)) return Error(EINTR);
    }
    return *std::move(waiting->answer);
  }

  uint64_t wait_for_lock(const meta::Request& request, Ino ino, const meta::Lock& wanted,
                         Done done) override {
    Asked<LockWait> asked;
    asked.caller = request.caller;
    asked.arguments.ino = ino;
    asked.arguments.wanted = wanted;
    asked.arguments.wait = sender_->new_wait();
    sender_->wait_for_lock(LockWait::kNumber, encode(asked), asked.arguments.wait, std::move(done));
    return asked.arguments.wait;
  }
  void cancel_lock(uint64_t ticket) override { sender_->cancel_lock(ticket); }
  void hear_events(SessionId, std::function<void(const meta::SessionEvent&)> hear) override {
    sender_->hear_events(std::move(hear));
  }

 private:
  const std::shared_ptr<Sender> sender_;
};

}  // namespace

Result<std::unique_ptr<RemoteTransport>> RemoteTransport::connect(rpc::Seams seams,
                                                                  RemoteOptions options) {
  auto sender = std::make_shared<Sender>(seams, std::move(options));
  TRY(sender->connect_first());
  sender->start_heartbeat();
  return std::unique_ptr<RemoteTransport>(std::make_unique<RemoteTransportImpl>(std::move(sender)));
}

}  // namespace shoal::metasvc
