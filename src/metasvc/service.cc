#include "metasvc/service.h"

#include <map>
#include <optional>
#include <unordered_map>

#include "base/log.h"
#include "metasvc/codec.h"
#include "metasvc/dispatch.h"
#include "metasvc/job_dispatch.h"
#include "rpc/reply_cache.h"
#include "sys/mutex.h"

namespace shoal::metasvc {
namespace {

using rpc::Call;
using rpc::KeptReply;
using rpc::ReplyCache;

constexpr size_t kLocksToldMax = 64;  // of a session: told, and kept for its next connection

void answer(Call& call, const KeptReply& reply) {
  if (reply.code == 0) {
    call.reply(reply.body);
  } else {
    call.fail(Error(reply.code, reply.body));
  }
}

KeptReply kept(const Result<std::string>& result) {
  if (result.ok()) return {0, *result};
  return {result.code(), result.error().text()};
}

// Shared with what answers later.
struct Session {
  Session(SessionId number, uint32_t slots) : id(number), replies(slots) {}

  const SessionId id;
  Mutex mutex;
  ReplyCache replies GUARDED_BY(mutex);
  std::shared_ptr<rpc::Peer> peer GUARDED_BY(mutex);  // its newest connection
  std::chrono::nanoseconds heard GUARDED_BY(mutex){0};
  struct LockWaiting {
    uint64_t ticket = 0;     // of the owner; 0: not queued yet
    bool cancelled = false;  // its LockCancel came first: requests overtake each other
  };
  std::map<uint64_t, LockWaiting> lock_waits GUARDED_BY(mutex);  // by wait
  // Told to a connection that may not have been there any more: told again to the next one.
  std::map<uint64_t, int> locks_done GUARDED_BY(mutex);
  bool ended GUARDED_BY(mutex) = false;
};
using SessionPtr = std::shared_ptr<Session>;

class Service final : public VolumeService {
 public:
  Service(meta::Metadata& metadata, const Clock& clock, WhenDurable when_durable,
          ServiceOptions options)
      : metadata_(metadata),
        clock_(clock),
        when_durable_(std::move(when_durable)),
        options_(options) {}

  void call(const std::shared_ptr<Call>& call) override;
  void tick() override;
  size_t sessions() const override {
    MutexLock lock(mutex_);
    return sessions_.size();
  }

 private:
  void open_session(const std::shared_ptr<Call>& call);
  void end_session(const SessionPtr& session, std::string_view why);
  SessionPtr find(SessionId id) const;
  void heard_from(Session& session, const std::shared_ptr<rpc::Peer>& peer);

  void execute(const SessionPtr& session, const std::shared_ptr<Call>& call);
  void execute_once(const SessionPtr& session, const std::shared_ptr<Call>& call);
  using Answer = std::function<void(Result<std::string>)>;
  void run(const SessionPtr& session, const Call& call, Answer done);
  Result<std::string> wait_for_lock(const SessionPtr& session, const Call& call);
  Result<std::string> cancel_lock(const SessionPtr& session, const Call& call);
  static void lock_done(const SessionPtr& session, uint64_t wait, int code);

  meta::Metadata& metadata_;
  const Clock& clock_;
  const WhenDurable when_durable_;
  const ServiceOptions options_;
  mutable Mutex mutex_;
  std::unordered_map<SessionId, SessionPtr> sessions_ GUARDED_BY(mutex_);
};

void Service::call(const std::shared_ptr<Call>& call) {
  if (call->method() == SessionOpen::kNumber) return open_session(call);
  const SessionPtr session = find(call->identity().session);
  if (session == nullptr) {
    return call->fail(error(ESTALE,
                            "session {} is not known here: it was silent for too long, or its "
                            "owner has changed",
                            call->identity().session));
  }
  heard_from(*session, call->peer());
  switch (call->method()) {
    case Heartbeat::kNumber:
      return call->reply(encode(Nothing{}));
    case SessionClose::kNumber:
      end_session(session, "");
      return call->reply(encode(Nothing{}));
    default:
      break;
  }
  const bool changes =
      changes_anything(call->method()) || JobDispatch::changes_anything(call->method());
  const bool once = changes && call->identity().sequence != 0;
  once ? execute_once(session, call) : execute(session, call);
}

// --- sessions ---

void Service::open_session(const std::shared_ptr<Call>& call) {
  const auto asked = decode<Asked<SessionOpen>>(call->body());
  if (!asked.ok()) return call->fail(asked.error());
  const Result<SessionId> id =
      metadata_.session_open(asked->arguments.host, asked->arguments.description);
  if (!id.ok()) return call->fail(id.error());
  auto session = std::make_shared<Session>(*id, options_.slots_max);
  heard_from(*session, call->peer());
  {
    MutexLock lock(mutex_);
    sessions_.emplace(*id, session);
  }
  when_durable_([call, id = *id](const Status& durable) {
    durable.ok() ? call->reply(encode(id))
                 : call->fail(error(kNotTheOwner, "{}", durable.error().text()));
  });
}

SessionPtr Service::find(SessionId id) const {
  MutexLock lock(mutex_);
  const auto at = sessions_.find(id);
  return at == sessions_.end() ? nullptr : at->second;
}

void Service::heard_from(Session& session, const std::shared_ptr<rpc::Peer>& peer) {
  std::map<uint64_t, int> again;
  {
    MutexLock lock(session.mutex);
    session.heard = clock_.since_boot();
    if (session.peer == peer) return;
    session.peer = peer;
    again = session.locks_done;
  }
  for (const auto& [wait, code] : again) {
    LockDone done;
    done.wait = wait;
    done.code = code;
    peer->notify(LockDone::kNumber, encode(done));
  }
}

void Service::end_session(const SessionPtr& session, std::string_view why) {
  {
    MutexLock lock(mutex_);
    if (sessions_.erase(session->id) == 0) return;
  }
  std::vector<uint64_t> tickets;
  {
    MutexLock lock(session->mutex);
    session->ended = true;
    for (const auto& [wait, waiting] : session->lock_waits) tickets.push_back(waiting.ticket);
  }
  for (const uint64_t ticket : tickets) metadata_.lock_cancel(ticket);
  if (!why.empty()) log(LogLevel::kWarn, "session {} is ended: {}", session->id, why);
  const Status closed = metadata_.session_close(session->id);
  if (!closed.ok()) {
    log(LogLevel::kWarn, "session {} could not be closed: {}", session->id,
        closed.error().to_string());
  }
}

void Service::tick() {
  std::vector<SessionPtr> all;
  {
    MutexLock lock(mutex_);
    for (const auto& [id, session] : sessions_) all.push_back(session);
  }
  const auto now = clock_.since_boot();
  for (const SessionPtr& session : all) {
    bool silent = false;
    {
      MutexLock lock(session->mutex);
      silent = now - session->heard > options_.session_ttl;
    }
    if (silent)
      end_session(session, fmt::format("silent for {} s", options_.session_ttl.count() / 1000));
  }
}

// --- requests ---

void Service::run(const SessionPtr& session, const Call& call, Answer done) {
  // Not before what was read or done is durable: a successor must not know less than was told.
  const auto later = [this, done = std::move(done)](Result<std::string> result) {
    when_durable_([done, result = std::move(result)](const Status& durable) {
      // It may or may not be found by the next owner, who is asked the same again.
      done(durable.ok() ? result : Error(error(kNotTheOwner, "{}", durable.error().text())));
    });
  };
  switch (call.method()) {
    case LockWait::kNumber:
      return later(wait_for_lock(session, call));
    case LockCancel::kNumber:
      return later(cancel_lock(session, call));
    default:
      break;
  }
  if (options_.jobs != nullptr && JobDispatch::knows(call.method()))
    return later(options_.jobs->dispatch(call.method(), call.identity(), call.body()));
  later(dispatch(metadata_, call.method(), call.identity(), call.body()));
}

void Service::execute(const SessionPtr& session, const std::shared_ptr<Call>& call) {
  run(session, *call, [call](const Result<std::string>& result) { answer(*call, kept(result)); });
}

void Service::execute_once(const SessionPtr& session, const std::shared_ptr<Call>& call) {
  const rpc::Identity id = call->identity();
  Result<ReplyCache::Begun> begun = Error(EIO);
  {
    MutexLock lock(session->mutex);
    begun = session->replies.begin(id.slot, id.sequence,
                                   [call](const KeptReply& reply) { answer(*call, reply); });
  }
  if (!begun.ok()) return call->fail(begun.error());
  if (begun->kind == ReplyCache::Kind::kDone) return answer(*call, begun->reply);
  if (begun->kind == ReplyCache::Kind::kRunning) return;
  run(session, *call, [session, id](const Result<std::string>& result) {
    std::vector<ReplyCache::Tell> waiting;
    const KeptReply reply = kept(result);
    {
      MutexLock lock(session->mutex);
      waiting = session->replies.finish(id.slot, id.sequence, reply);
    }
    for (const ReplyCache::Tell& tell : waiting) tell(reply);
  });
}

// --- locks that are waited for ---

Result<std::string> Service::wait_for_lock(const SessionPtr& session, const Call& call) {
  TRY_ASSIGN(Asked<LockWait> asked, decode<Asked<LockWait>>(call.body()));
  const uint64_t wait = asked.arguments.wait;
  {
    MutexLock lock(session->mutex);
    if (session->ended) return error(ESTALE, "session {} has ended", session->id);
    if (session->lock_waits.size() >= options_.lock_waits_max)
      return error(ENOLCK, "session {} waits for {} locks", session->id, options_.lock_waits_max);
    if (session->lock_waits[wait].ticket != 0)
      return error(EPROTO, "lock wait {} was drawn twice", wait);
  }
  meta::Request request;
  request.session = session->id;
  request.caller = std::move(asked.caller);
  const uint64_t ticket = metadata_.lock_wait(
      request, asked.arguments.ino, asked.arguments.wanted,
      [session, wait](const Status& status) { lock_done(session, wait, status.code()); });
  bool cancelled = false;
  {
    MutexLock lock(session->mutex);
    const auto at = session->lock_waits.find(wait);
    if (at != session->lock_waits.end()) {
      at->second.ticket = ticket;
      cancelled = at->second.cancelled || session->ended;
    }
  }
  if (cancelled) metadata_.lock_cancel(ticket);
  return encode(Nothing{});
}

void Service::lock_done(const SessionPtr& session, uint64_t wait, int code) {
  std::shared_ptr<rpc::Peer> peer;
  {
    MutexLock lock(session->mutex);
    session->lock_waits.erase(wait);
    session->locks_done[wait] = code;
    // What was told long ago was heard: a session asks again at once after it lost its connection.
    while (session->locks_done.size() > kLocksToldMax)
      session->locks_done.erase(session->locks_done.begin());
    peer = session->peer;
  }
  LockDone done;
  done.wait = wait;
  done.code = code;
  if (peer != nullptr) peer->notify(LockDone::kNumber, encode(done));
}

Result<std::string> Service::cancel_lock(const SessionPtr& session, const Call& call) {
  TRY_ASSIGN(const Asked<LockCancel> asked, decode<Asked<LockCancel>>(call.body()));
  uint64_t ticket = 0;
  {
    const uint64_t wait = asked.arguments.wait;
    MutexLock lock(session->mutex);
    if (session->locks_done.contains(wait)) return encode(Nothing{});  // too late
    if (session->lock_waits.size() >= options_.lock_waits_max) return Error(ENOLCK);
    Session::LockWaiting& waiting = session->lock_waits[wait];
    waiting.cancelled = true;
    ticket = waiting.ticket;
  }
  if (ticket != 0) metadata_.lock_cancel(ticket);
  return encode(Nothing{});
}

}  // namespace

std::unique_ptr<VolumeService> VolumeService::make(meta::Metadata& metadata, const Clock& clock,
                                                   WhenDurable when_durable,
                                                   ServiceOptions options) {
  return std::make_unique<Service>(metadata, clock, std::move(when_durable), options);
}

}  // namespace shoal::metasvc
