#include "metasvc/service.h"

#include <atomic>
#include <optional>

#include "base/log.h"
#include "engine/notes.h"
#include "metasvc/codec.h"
#include "metasvc/dispatch.h"
#include "metasvc/job_dispatch.h"
#include "metasvc/session.h"

namespace shoal::metasvc {
namespace {

using rpc::Call;
using rpc::KeptReply;
using rpc::ReplyCache;
using CallPtr = std::shared_ptr<Call>;

constexpr size_t kRepeatedNoteBytesMax = 1024;  // few records: one may be an append, with its place
constexpr size_t kEventsToldMax = 1024;         // likewise
constexpr size_t kLocksToldMax = 64;  // of a session: told, and kept for its next connection

// What an operation answered, as it lies in its group.
struct Note {
  SessionId session = 0;
  uint32_t slot = 0;
  uint64_t sequence = 0;
  int code = 0;
  std::string body;
};
SHOAL_WIRE_FIELDS(Note, v.session, v.slot, v.sequence, v.code, v.body)

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

// Done again it does the same and answers the same (records carry their sequences, segments their
// ids), so that a long reply need not be kept.
bool may_be_repeated(uint16_t method) {
  switch (method) {
    case CommitData::kNumber:
    case SegmentOpen::kNumber:
    case SegmentStored::kNumber:
    case SegmentDiscard::kNumber:
    case StoreOpen::kNumber:
      return true;
    default:
      return false;
  }
}

class Service final : public VolumeService {
 public:
  Service(meta::OwnerHandle& owner, engine::GroupCommit* group, const Clock& clock,
          std::vector<meta::Grouped::Note> notes, ServiceOptions options);

  void call(const CallPtr& call) override;
  void tick() override;
  void engine_was_away() override {
    for (const SessionPtr& session : all()) {
      MutexLock lock(session->mutex);
      session->heard = clock_.since_boot();
    }
  }
  std::vector<SessionStatus> sessions() const override;
  Status evict(SessionId session) override;

 private:
  // sessions
  void open_session(const CallPtr& call);
  void end_session(const SessionPtr& session, std::string_view why);
  void session_returned(const SessionPtr& session, const CallPtr& call);
  SessionPtr find(SessionId id) const;
  std::vector<SessionPtr> all() const;
  void heard_from(Session& session, const std::shared_ptr<rpc::Peer>& peer);
  void restore(const std::vector<meta::Grouped::Note>& notes);
  bool hold_back(const CallPtr& call);
  void forget_note(uint64_t n) {
    if (group_ != nullptr) group_->forget_note(n);
  }
  void serve_held_back();
  void somebody_returned();

  // requests
  void serve(const SessionPtr& session, const CallPtr& call);
  void execute_once(const SessionPtr& session, const CallPtr& call);
  using Answer = std::function<void(Result<std::string>)>;
  Result<std::string> run(const SessionPtr& session, const Call& call);
  void when_durable(Result<std::string> result, Answer done);
  void keep_reply(Session& session, const Call& call, const KeptReply& reply);
  void opened_before(Session& session, const Call& call, const KeptReply& reply);

  // locks
  Result<std::string> wait_for_lock(const SessionPtr& session, const Call& call);
  Result<std::string> cancel_lock(const SessionPtr& session, const Call& call);
  void lock_done(const SessionPtr& session, uint64_t wait, int code);
  void hear_events(const SessionPtr& session);
  static void tell(const SessionPtr& session, const meta::SessionEvent& event);

  meta::Metadata& metadata_;
  meta::SessionKeeper& keeper_;
  engine::GroupCommit* group_;
  const Clock& clock_;
  const ServiceOptions options_;
  const std::chrono::nanoseconds serves_at_;  // at the latest
  std::atomic<size_t> away_ = 0;              // sessions that have not returned yet
  mutable Mutex mutex_;
  std::unordered_map<SessionId, SessionPtr> sessions_ GUARDED_BY(mutex_);
  bool serving_ GUARDED_BY(mutex_) = false;
  std::vector<CallPtr> held_back_ GUARDED_BY(mutex_);
};

Service::Service(meta::OwnerHandle& owner, engine::GroupCommit* group, const Clock& clock,
                 std::vector<meta::Grouped::Note> notes, ServiceOptions options)
    : metadata_(owner.metadata()),
      keeper_(*owner.sessions()),
      group_(group),
      clock_(clock),
      options_(options),
      serves_at_(clock.since_boot() + options.return_wait) {
  for (const meta::KeptSession& kept : keeper_.kept_sessions()) {
    auto session =
        std::make_shared<Session>(kept.id, options_.slots_max, kept.host, kept.description);
    {
      MutexLock inner(session->mutex);
      session->heard = clock_.since_boot();
      session->returned = false;
      session->replies.allow_gaps();
    }
    hear_events(session);
    MutexLock lock(mutex_);
    sessions_.emplace(kept.id, std::move(session));
    ++away_;
  }
  {
    MutexLock lock(mutex_);
    serving_ = away_ == 0;
  }
  restore(notes);
}

// Of each slot the newest reply; the others were acknowledged.
void Service::restore(const std::vector<meta::Grouped::Note>& notes) {
  struct Newest {
    uint64_t n = 0;
    Note note;
  };
  std::map<std::pair<SessionId, uint32_t>, Newest> newest;
  for (const meta::Grouped::Note& packed : notes) {
    Result<Note> note = decode<Note>(packed.note);
    if (!note.ok() || note->slot >= options_.slots_max || find(note->session) == nullptr) {
      forget_note(packed.n);
      continue;
    }
    Newest& at = newest[{note->session, note->slot}];
    const bool newer = note->sequence > at.note.sequence;
    if (const uint64_t older = newer ? at.n : packed.n; older != 0) forget_note(older);
    if (newer) at = {packed.n, *std::move(note)};
  }
  for (auto& [key, found] : newest) {
    const SessionPtr session = find(key.first);
    MutexLock lock(session->mutex);
    session->replies.restore(key.second, found.note.sequence,
                             {found.note.code, std::move(found.note.body)});
    session->notes[key.second] = found.n;
    session->restored.insert(key.second);
  }
}

void Service::call(const CallPtr& call) {
  if (call->method() == SessionOpen::kNumber) return open_session(call);
  const SessionPtr session = find(call->identity().session);
  if (session == nullptr) {
    return call->fail(
        error(ESTALE, "session {} is not known here: it was silent for too long, or was evicted",
              call->identity().session));
  }
  heard_from(*session, call->peer());
  if (call->method() == SessionReturn::kNumber) return session_returned(session, call);
  bool returned = false;
  {
    MutexLock lock(session->mutex);
    returned = session->returned;
  }
  if (!returned) return call->fail(error(kReturnFirst, "the owner is a new one"));
  if (call->method() == Heartbeat::kNumber) return call->reply(encode(Nothing{}));
  if (!hold_back(call)) serve(session, call);
}

// --- sessions ---

void Service::open_session(const CallPtr& call) {
  const auto asked = decode<Asked<SessionOpen>>(call->body());
  if (!asked.ok()) return call->fail(asked.error());
  const SessionOpen& wanted = asked->arguments;
  const Result<SessionId> id = keeper_.open_kept_session(wanted.host, wanted.description);
  if (!id.ok()) return call->fail(id.error());
  auto session =
      std::make_shared<Session>(*id, options_.slots_max, wanted.host, wanted.description);
  heard_from(*session, call->peer());
  {
    MutexLock lock(mutex_);
    sessions_.emplace(*id, session);
  }
  hear_events(session);
  when_durable(encode(*id),
               [call](const Result<std::string>& reply) { answer(*call, kept(reply)); });
}

void Service::session_returned(const SessionPtr& session, const CallPtr& call) {
  const auto asked = decode<Asked<SessionReturn>>(call->body());
  if (!asked.ok()) return call->fail(asked.error());
  bool first = false;
  {
    MutexLock lock(session->mutex);
    first = !std::exchange(session->returned, true);
  }
  if (first) keeper_.session_returned(session->id, asked->arguments.opens);
  call->reply(encode(Nothing{}));
  if (first) somebody_returned();
}

void Service::somebody_returned() {
  if (--away_ == 0) serve_held_back();
}

// True: the call waits until what it may depend on is known.
bool Service::hold_back(const CallPtr& call) {
  MutexLock lock(mutex_);
  if (serving_) return false;
  held_back_.push_back(call);
  return true;
}

void Service::serve_held_back() {
  std::vector<CallPtr> calls;
  {
    MutexLock lock(mutex_);
    serving_ = true;
    calls.swap(held_back_);
  }
  for (const CallPtr& call : calls) {
    if (const SessionPtr session = find(call->identity().session)) {
      serve(session, call);
    } else {
      call->fail(error(ESTALE, "session {} was evicted", call->identity().session));
    }
  }
}

SessionPtr Service::find(SessionId id) const {
  MutexLock lock(mutex_);
  const auto at = sessions_.find(id);
  return at == sessions_.end() ? nullptr : at->second;
}

std::vector<SessionPtr> Service::all() const {
  std::vector<SessionPtr> all;
  MutexLock lock(mutex_);
  for (const auto& [id, session] : sessions_) all.push_back(session);
  return all;
}

void Service::heard_from(Session& session, const std::shared_ptr<rpc::Peer>& peer) {
  std::map<uint64_t, int> again;
  std::deque<meta::SessionEvent> events;
  {
    MutexLock lock(session.mutex);
    session.heard = clock_.since_boot();
    if (session.peer == peer) return;
    session.peer = peer;
    again = session.locks_done;
    events = session.events;
  }
  for (const auto& [wait, code] : again) {
    LockDone done;
    done.wait = wait;
    done.code = code;
    peer->notify(LockDone::kNumber, encode(done));
  }
  for (const meta::SessionEvent& event : events) {
    SessionTold told;
    told.event = event;
    peer->notify(SessionTold::kNumber, encode(told));
  }
}

void Service::hear_events(const SessionPtr& session) {
  metadata_.session_events(session->id,
                           [session](const meta::SessionEvent& event) { tell(session, event); });
}

void Service::tell(const SessionPtr& session, const meta::SessionEvent& event) {
  std::shared_ptr<rpc::Peer> peer;
  {
    MutexLock lock(session->mutex);
    session->events.push_back(event);
    if (session->events.size() > kEventsToldMax) session->events.pop_front();
    peer = session->peer;
  }
  SessionTold told;
  told.event = event;
  if (peer != nullptr) peer->notify(SessionTold::kNumber, encode(told));
}

void Service::end_session(const SessionPtr& session, std::string_view why) {
  {
    MutexLock lock(mutex_);
    if (sessions_.erase(session->id) == 0) return;
  }
  std::vector<uint64_t> tickets;
  std::unordered_map<uint32_t, uint64_t> notes;
  bool was_away = false;
  {
    MutexLock lock(session->mutex);
    session->ended = true;
    was_away = !std::exchange(session->returned, true);
    notes.swap(session->notes);
    for (const auto& [wait, waiting] : session->lock_waits) tickets.push_back(waiting.ticket);
  }
  for (const uint64_t ticket : tickets) metadata_.lock_cancel(ticket);
  if (!why.empty()) {
    log(LogLevel::kWarn, "session {} ({} {}) is ended: {}", session->id, session->host,
        session->description, why);
  }
  const Status closed = metadata_.session_close(session->id);
  if (!closed.ok()) {
    log(LogLevel::kWarn, "session {} could not be closed: {}", session->id,
        closed.error().to_string());
  }
  for (const auto& [slot, n] : notes) forget_note(n);
  if (was_away) somebody_returned();
}

void Service::tick() {
  const auto now = clock_.since_boot();
  for (const SessionPtr& session : all()) {
    bool silent = false;
    {
      MutexLock lock(session->mutex);
      silent = now - session->heard > options_.session_ttl;
    }
    if (silent)
      end_session(session, fmt::format("silent for {} s", options_.session_ttl.count() / 1000));
  }
  bool waiting = false;
  {
    MutexLock lock(mutex_);
    waiting = !serving_;
  }
  if (waiting && now >= serves_at_) serve_held_back();
}

std::vector<VolumeService::SessionStatus> Service::sessions() const {
  std::vector<SessionStatus> told;
  const auto now = clock_.since_boot();
  for (const SessionPtr& session : all()) {
    MutexLock lock(session->mutex);
    told.push_back({session->id, session->host, session->description,
                    std::chrono::duration_cast<std::chrono::milliseconds>(now - session->heard),
                    session->returned});
  }
  return told;
}

Status Service::evict(SessionId id) {
  const SessionPtr session = find(id);
  if (session == nullptr) return error(ENOENT, "there is no session {}", id);
  end_session(session, "evicted by the operator");
  return {};
}

// --- requests ---

void Service::serve(const SessionPtr& session, const CallPtr& call) {
  if (call->method() == SessionClose::kNumber) {
    end_session(session, "");
    return call->reply(encode(Nothing{}));
  }
  const bool changes =
      changes_anything(call->method()) || JobDispatch::changes_anything(call->method());
  if (changes && call->identity().sequence != 0) return execute_once(session, call);
  when_durable(run(session, *call),
               [call](const Result<std::string>& result) { answer(*call, kept(result)); });
}

Result<std::string> Service::run(const SessionPtr& session, const Call& call) {
  if (call.method() == LockWait::kNumber) return wait_for_lock(session, call);
  if (call.method() == LockCancel::kNumber) return cancel_lock(session, call);
  if (options_.jobs != nullptr && JobDispatch::knows(call.method()))
    return options_.jobs->dispatch(call.method(), call.identity(), call.body());
  return dispatch(metadata_, call.method(), call.identity(), call.body());
}

// Not before what was read or done is durable: a successor must not know less than was told.
void Service::when_durable(Result<std::string> result, Answer done) {
  if (group_ == nullptr) return done(std::move(result));
  group_->when_durable([done = std::move(done), result = std::move(result)](const Status& durable) {
    // It may or may not be found by the next owner, who is asked the same again.
    done(durable.ok() ? result : Error(error(kNotTheOwner, "{}", durable.error().text())));
  });
}

void Service::execute_once(const SessionPtr& session, const CallPtr& call) {
  const rpc::Identity id = call->identity();
  Result<ReplyCache::Begun> begun = Error(EIO);
  uint64_t acknowledged = 0;
  bool of_earlier_owner = false;
  {
    MutexLock lock(session->mutex);
    begun = session->replies.begin(id.slot, id.sequence,
                                   [call](const KeptReply& reply) { answer(*call, reply); });
    if (begun.ok() && begun->kind == ReplyCache::Kind::kNew) {
      const auto at = session->notes.find(id.slot);
      if (at != session->notes.end()) {
        acknowledged = at->second;
        session->notes.erase(at);
      }
      session->restored.erase(id.slot);
    } else if (begun.ok() && begun->kind == ReplyCache::Kind::kDone) {
      of_earlier_owner = session->restored.erase(id.slot) > 0;
    }
  }
  if (!begun.ok()) return call->fail(begun.error());
  if (begun->kind == ReplyCache::Kind::kRunning) return;
  if (begun->kind == ReplyCache::Kind::kDone) {
    if (of_earlier_owner) opened_before(*session, *call, begun->reply);
    return answer(*call, begun->reply);
  }
  if (acknowledged != 0) forget_note(acknowledged);

  if (group_ != nullptr) group_->begin_operation();
  const Result<std::string> result = run(session, *call);
  if (group_ != nullptr) keep_reply(*session, *call, kept(result));
  when_durable(result, [session, id](const Result<std::string>& told) {
    std::vector<ReplyCache::Tell> waiting;
    const KeptReply durable = kept(told);
    {
      MutexLock lock(session->mutex);
      waiting = session->replies.finish(id.slot, id.sequence, durable);
    }
    for (const ReplyCache::Tell& tell : waiting) tell(durable);
  });
}

// Ends the operation of this thread: what it answered goes with what it committed.
void Service::keep_reply(Session& session, const Call& call, const KeptReply& reply) {
  const rpc::Identity& id = call.identity();
  const Note note{session.id, id.slot, id.sequence, reply.code, reply.body};
  std::string packed = encode(note);
  // (A longer one is lost with its owner: then the program sees what a repetition answers.)
  const size_t bytes_max =
      may_be_repeated(call.method()) ? kRepeatedNoteBytesMax : engine::kNoteBytesMax;
  const bool keep = packed.size() <= bytes_max;
  const uint64_t n = group_->end_operation(keep ? std::move(packed) : std::string());
  if (n == 0) return;
  MutexLock lock(session.mutex);
  if (!session.ended) session.notes[id.slot] = n;
}

// A file that an earlier owner created and opened, whose answer only arrives now: it was not among
// what the session said to have open.
void Service::opened_before(Session& session, const Call& call, const KeptReply& reply) {
  if (reply.code != 0) return;
  std::vector<meta::HeldOpen> opens;
  const auto add = [&opens](const meta::Opened& opened) {
    opens.push_back({opened.attr.ino, 0, 1});
  };
  if (call.method() == Create::kNumber) {
    if (const auto created = decode<meta::Created>(reply.body); created.ok()) add(created->opened);
  } else if (call.method() == CreateUnnamed::kNumber) {
    if (const auto opened = decode<meta::Opened>(reply.body); opened.ok()) add(*opened);
  } else if (call.method() == CreateMany::kNumber) {
    const auto all = decode<CreateMany::Reply>(reply.body);
    for (size_t i = 0; all.ok() && i < all->size(); ++i) {
      if ((*all)[i].ok()) add((*all)[i]->opened);
    }
  }
  if (!opens.empty()) keeper_.session_returned(session.id, opens);
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
    // Asked again after a change of the owner or a lost reply: it is queued, or has been told.
    if (session->locks_done.contains(wait)) return encode(Nothing{});
    if (std::exchange(session->lock_waits[wait].asked, true)) return encode(Nothing{});
  }
  meta::Request request;
  request.session = session->id;
  request.caller = std::move(asked.caller);
  const uint64_t ticket = metadata_.lock_wait(
      request, asked.arguments.ino, asked.arguments.wanted,
      [this, session, wait](const Status& status) { lock_done(session, wait, status.code()); });
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

// (Not before the next owner would know of it.)
void Service::lock_done(const SessionPtr& session, uint64_t wait, int code) {
  const auto tell = [session, wait, code](const Status& durable) {
    if (!durable.ok()) return;  // the next owner is asked again
    std::shared_ptr<rpc::Peer> peer;
    {
      MutexLock lock(session->mutex);
      session->lock_waits.erase(wait);
      session->locks_done[wait] = code;
      // What was told long ago was heard: a session asks again at once after it lost its
      // connection.
      while (session->locks_done.size() > kLocksToldMax)
        session->locks_done.erase(session->locks_done.begin());
      peer = session->peer;
    }
    LockDone done;
    done.wait = wait;
    done.code = code;
    if (peer != nullptr) peer->notify(LockDone::kNumber, encode(done));
  };
  group_ == nullptr ? tell(Status()) : group_->when_durable(tell);
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

std::unique_ptr<VolumeService> VolumeService::make(meta::OwnerHandle& owner,
                                                   engine::GroupCommit* group, const Clock& clock,
                                                   std::vector<meta::Grouped::Note> notes,
                                                   ServiceOptions options) {
  return std::make_unique<Service>(owner, group, clock, std::move(notes), options);
}

}  // namespace shoal::metasvc
