// What a mount of a shared volume does beside: hears of other sessions, sees what they committed,
// and lets them see its own in time (design: close-to-open, "Locks", commit_wanted).
#include <set>

#include "base/log.h"
#include "client/client_impl.h"
#include "sys/on_behalf.h"

namespace shoal::client {

void ClientImpl::set_invalidation_sink(InvalidationSink* sink) {
  std::shared_ptr<Sink> old;
  {
    MutexLock lock(sink_mutex_);
    old = std::move(sink_);
    sink_ = sink == nullptr ? nullptr : std::make_shared<Sink>();
    if (sink != nullptr) sink_->sink = sink;
  }
  if (old != nullptr) old->gate.shut();
}

template <typename Body>
void ClientImpl::with_sink(const Body& body) {
  std::shared_ptr<Sink> sink;
  {
    MutexLock lock(sink_mutex_);
    sink = sink_;
  }
  if (sink != nullptr) sink->gate.pass([&] { body(*sink->sink); });
}

void ClientImpl::named_by_others(Ino parent, const std::string& name, Ino ino) {
  durability_.forget();
  with_sink([&](InvalidationSink& sink) {
    sink.invalidate_entry(parent, name);
    sink.invalidate_pages(parent, 0, 0);  // the kept listing
    sink.invalidate_attributes(ino);
  });
}

void ClientImpl::pages_changed(Ino ino, uint64_t from) {
  with_sink([&](InvalidationSink& sink) { sink.invalidate_pages(ino, from, 0); });
}

// --- events ---

void ClientImpl::listen() {
  metadata().session_events(session_, [this, gate = gate_](const meta::SessionEvent& event) {
    gate->pass([&] { hear(event); });
  });
}

void ClientImpl::hear(const meta::SessionEvent& event) {
  if (event.kind == meta::SessionEvent::Kind::kShared) return become_shared();
  const InodeRef inode = table_.find(event.ino);
  if (!inode) return;
  {
    MutexLock lock(inode->latch);
    inode->several = true;
  }
  // What is buffered follows; not here, the other session's open waits for us.
  seams_.executor.post([this, gate = gate_, ino = event.ino] {
    gate->pass([&] {
      if (const InodeRef buffered = table_.find(ino))
        commit_or_fail(*buffered).ignore("the open files hear of it");
    });
  });
}

void ClientImpl::become_shared() {
  if (shared_.exchange(true)) return;
  // Programs were told that their files are closed, and others see what the owner has.
  committer_.commit_everything().ignore("logged, noted at the inodes, tried again by the timer");
  for (const InodeRef& inode : table_.dirty())
    commit_or_fail(*inode).ignore("the open files hear of it");
  durability_.forget();
  struct Dropped {
    Mutex mutex;
    CondVar done;
    bool all GUARDED_BY(mutex) = false;
  };
  const auto dropped = std::make_shared<Dropped>();
  bool told = false;
  with_sink([&](InvalidationSink& sink) {
    sink.invalidate_everything();
    sink.when_dropped([dropped] {
      MutexLock lock(dropped->mutex);
      dropped->all = true;
      dropped->done.notify_all();
    });
    told = true;
  });
  if (!told) return;
  MutexLock lock(dropped->mutex);
  while (!dropped->all) dropped->done.wait(dropped->mutex);
}

// --- seeing and being seen ---

Status ClientImpl::refresh(InodeState& inode) {
  TRY_ASSIGN(const Attr attr, metadata().getattr(system_request(), inode.ino));
  bool changed = false;
  {
    MutexLock lock(inode.latch);
    while (inode.committing) inode.turn_over.wait(inode.latch);
    changed = learn(inode, attr);
  }
  if (changed) pages_changed(inode.ino);
  return {};
}

Status ClientImpl::commit_or_fail(InodeState& inode) {
  uint64_t errors = 0;
  {
    MutexLock lock(inode.latch);
    errors = inode.errors;
  }
  const Status committed = committer_.commit(inode);
  if (committed.ok()) return {};
  bool noted = false;
  {
    MutexLock lock(inode.latch);
    noted = inode.errors != errors;
  }
  if (!noted) committer_.fail(inode, committed.error());
  return committed;
}

Status ClientImpl::commit_if_others_wait(InodeState& inode) {
  if (!shared_) return {};
  {
    MutexLock lock(inode.latch);
    if (inode.list.empty() || (inode.handles > 0 && !inode.several)) return {};
  }
  return commit_or_fail(inode);
}

Status ClientImpl::commit_before_unlock(Ino ino) {
  if (!shared_) return {};
  const InodeRef inode = table_.find(ino);
  if (!inode) return {};
  return commit_or_fail(*inode);
}

void ClientImpl::see_what_others_wrote(Ino ino, const std::function<void(Status)>& done) {
  const InodeRef inode = table_.find(ino);
  if (inode) {
    const Status seen = refresh(*inode);
    if (!seen.ok() && !seen.error().is(ENOENT)) return done(seen);
  }
  bool told = false;
  with_sink([&](InvalidationSink& sink) {
    told = true;
    sink.when_dropped([done] { done({}); });
  });
  if (!told) done({});
}

void ClientImpl::note_pages(OpenFile& file) {
  if (file.pages_of.load(std::memory_order_relaxed) == 0) return;
  if (const Stamp version = file.pages_of.exchange(0); version != 0)
    seen_.set(file.inode->ino, version);
}

// --- locks order data ---

Status ClientImpl::lock_set(const Caller& who, Ino ino, const meta::Lock& wanted) {
  note_lock(wanted);
  if (wanted.type == meta::LockType::kUnlock) {
    const Status committed = commit_before_unlock(ino);
    if (committed.code() == EINTR) return committed;  // killed: its end unlocks
    committed.ignore("the open files hear of it; the lock goes all the same");
    const Status unlocked = metadata().lock_set(request(who), ino, wanted);
    if (unlocked.ok()) note_granted(wanted);
    return unlocked;
  }
  TRY(metadata().lock_set(request(who), ino, wanted));
  note_granted(wanted);
  if (!shared_) return {};
  struct Seen {
    Mutex mutex;
    CondVar told;
    std::optional<Status> status GUARDED_BY(mutex);
  };
  const auto seen = std::make_shared<Seen>();
  see_what_others_wrote(ino, [seen](Status status) {
    MutexLock lock(seen->mutex);
    seen->status = std::move(status);
    seen->told.notify_all();
  });
  Status status;
  {
    MutexLock lock(seen->mutex);
    while (!seen->status) seen->told.wait(seen->mutex);
    status = *seen->status;
  }
  if (status.ok()) return {};
  meta::Lock back = wanted;
  back.type = meta::LockType::kUnlock;
  metadata().lock_set(request(who), ino, back).ignore("the program hears why it has no lock");
  return status;
}

uint64_t ClientImpl::lock_wait(const Caller& who, Ino ino, const meta::Lock& wanted,
                               std::function<void(Status)> done) {
  note_lock(wanted);
  if (wanted.type == meta::LockType::kUnlock) {
    done(lock_set(who, ino, wanted));
    return 0;
  }
  auto granted = [this, gate = gate_, ino, wanted, done = std::move(done)](Status status) {
    if (!status.ok()) return done(std::move(status));
    note_granted(wanted);
    if (!shared_) return done(std::move(status));
    // Not here: this is the thread of who unlocked, or the connection's.
    seams_.executor.post([this, gate, ino, done] {
      bool in = false;
      gate->pass([&] {
        in = true;
        see_what_others_wrote(ino, done);
      });
      if (!in) done(Error(EIO, "the mount is ending"));
    });
  };
  return metadata().lock_wait(request(who), ino, wanted, std::move(granted));
}

// --- a lost session ---

void ClientImpl::session_lost(SessionId fresh) {
  std::vector<OpenFilePtr> alive;
  uint64_t dead = 0;
  std::set<Ino> told;  // those with a handle that will say so
  for (const HandleId handle : handles_.ids()) {
    const OpenFilePtr file = handles_.find(handle);
    if (!file) continue;
    MutexLock lock(file->inode->latch);
    if (file->locked || (file->options.write && !file->inode->list.empty())) file->dead = true;
    if (file->dead) {
      ++dead;
      told.insert(file->inode->ino);
    } else {
      alive.push_back(file);
    }
  }
  const uint64_t operations = committer_.operations();
  for (const InodeRef& inode : table_.dirty()) {
    if (!told.contains(inode->ino))
      committer_.fail(*inode, error(EIO, "the session with the owner was lost"));
    committer_.drop(*inode);
  }
  log(LogLevel::kError,
      "volume {}: {} uncommitted operations and {} open files went with a session", volume_.name,
      operations, dead);
  session_ = fresh;
  space_.grants_lost();
  listen();
  for (const OpenFilePtr& file : alive) reopen(*file);
}

void ClientImpl::reopen(OpenFile& file) {
  InodeState& inode = *file.inode;
  const Result<meta::Opened> again =
      metadata().open(system_request(), inode.ino, {file.options.read, file.options.write});
  if (!again.ok()) {
    MutexLock lock(inode.latch);
    file.dead = true;
    return;
  }
  file.session = session_.load();
  bool changed = false;
  {
    MutexLock lock(inode.latch);
    while (inode.committing) inode.turn_over.wait(inode.latch);
    changed = learn(inode, again->attr);
    if (again->written_by_several) inode.several = true;
  }
  if (changed) pages_changed(inode.ino);
}

}  // namespace shoal::client
