#include "client/committer.h"

#include <algorithm>
#include <cstdlib>

#include "base/log.h"
#include "sys/on_behalf.h"

namespace shoal::client {

// --- running ---

struct Committer::Background {
  explicit Background(Committer& owner) : committer(&owner) {}
  Mutex mutex;
  CondVar idle;
  Committer* committer GUARDED_BY(mutex);  // null once stopped
  bool running GUARDED_BY(mutex) = false;
  std::atomic<bool> posted = false;

  static void run(const std::shared_ptr<Background>& self) {
    Committer* committer = nullptr;
    {
      MutexLock lock(self->mutex);
      self->posted = false;
      if (self->committer == nullptr) return;
      committer = self->committer;
      self->running = true;
    }
    committer->commit_everything().ignore("logged, noted at the inodes, tried again by the timer");
    MutexLock lock(self->mutex);
    self->running = false;
    self->idle.notify_all();
  }
};

Committer::Committer(const Client::Seams& seams, const std::atomic<SessionId>& session,
                     const ClientOptions& options, InodeTable& table, SpacePool& space,
                     SeenVersions& seen)
    : seams_(seams),
      session_(session),
      buffer_bytes_max_(options.buffer_bytes_max),
      end_process_(options.end_process),
      table_(table),
      space_(space),
      seen_(seen),
      background_(std::make_shared<Background>(*this)) {
  auto every = [&](std::chrono::milliseconds period, std::function<void()> body) {
    timers_.push_back(std::make_unique<Periodic>(seams_.executor, period, std::move(body)));
  };
  every(options.commit_interval,
        [this] { commit_everything().ignore("logged, noted at the inodes, tried again"); });
  // While journaling waits for room in staging, commits must go on: they make the room.
  every(options.commit_interval, [this] {
    if (journal_running_)
      run_shared(committing_, &Committer::commit_all).ignore("logged, tried again");
  });
  every(options.engine_sync_interval, [this] {
    if (seams_.metadata.committed_stamp() != seams_.metadata.synced_stamp()) sync_engine();
    if (operations_ == 0) space_.settle();
  });
}

Committer::~Committer() { stop(); }

void Committer::stop() {
  timers_.clear();
  MutexLock lock(background_->mutex);
  background_->committer = nullptr;
  while (background_->running) background_->idle.wait(background_->mutex);
}

void Committer::commit_soon() {
  if (background_->posted.exchange(true)) return;
  seams_.executor.post([self = background_] { Background::run(self); });
}

Status Committer::run_shared(Shared& shared, Status (Committer::*run)()) {
  MutexLock lock(shared.mutex);
  uint64_t mine = shared.started + 1;  // a run under way may have passed what the caller means
  while (shared.finished < mine) {
    if (shared.running) {
      if (!wait_unless_given_up(shared.finished_one, shared.mutex)) return Error(EINTR);
      const bool given_up = shared.finished >= mine && shared.code == EINTR;  // by whom it was for
      if (given_up) mine = shared.started + 1;
      continue;
    }
    shared.running = true;
    ++shared.started;
    lock.unlock();
    const Status status = (this->*run)();
    lock.lock();
    shared.running = false;
    shared.finished = shared.started;
    shared.code = status.code();
    shared.finished_one.notify_all();
    return status;
  }
  if (shared.code != 0) return Error(shared.code);
  return {};
}

Status Committer::commit_everything() {
  const Status journaled = run_shared(journaling_, &Committer::journal_all);
  const Status committed = run_shared(committing_, &Committer::commit_all);
  if (!journaled.ok()) return journaled;
  return committed;
}

Status Committer::journal_all() {
  journal_running_ = true;
  Status result;
  for (const InodeRef& inode : table_.dirty()) {
    const Status status = journal(*inode);
    if (status.ok()) continue;
    fail(*inode, status.error());
    if (result.ok()) result = status;
  }
  journal_running_ = false;
  return result;
}

Status Committer::commit_all() {
  const std::vector<InodeRef> inodes = table_.dirty();
  if (inodes.empty()) return {};
  Status result = sync_all(inodes);
  Batch batch;
  for (const InodeRef& inode : inodes) {
    for (bool more = true; more;) {
      {
        MutexLock lock(inode->latch);
        if (inode->committing) break;  // somebody else commits it; what is left is the next run's
        more = collect(*inode, batch, inode->list.last_id());
      }
      if (!more && batch.records.size() < kPageEntriesMax) break;
      const Status sent = send(std::move(batch));
      batch = {};
      if (sent.ok()) continue;
      if (result.ok()) result = sent;
      break;
    }
  }
  const Status sent = send(std::move(batch));
  return result.ok() ? sent : result;
}

// --- room ---

Status Committer::take_room(uint64_t bytes) {
  for (int failures = 0;;) {
    uint64_t held = held_bytes_.load();
    const bool fits = held == 0 || held + bytes <= buffer_bytes_max_;
    if (fits && operations_.load() < kOperationsMax) {
      if (!held_bytes_.compare_exchange_weak(held, held + bytes)) continue;
      if (held > buffer_bytes_max_ / 2 || operations_.load() > kOperationsSoft) commit_soon();
      return {};
    }
    // A failure here may be another file's; that there is still no room after another try is not.
    const Status made = commit_everything();
    if (!made.ok() && ++failures > 1) return made;
  }
}

void Committer::added(InodeState& inode) {
  ++operations_;
  if (inode.dirty) return;
  inode.dirty = true;
  table_.add_dirty(inode);
}

// --- journal ---

Status Committer::journal(InodeState& inode) {
  MutexLock lock(inode.latch);
  return journal_to(inode, inode.list.last_id());
}

Status Committer::journal_full(InodeState& inode) {
  MutexLock lock(inode.latch);
  if (inode.list.empty()) return {};
  const bool full = inode.list.back().length >= kRecordBytesMax;
  return journal_to(inode, full ? inode.list.last_id() : inode.list.last_id() - 1);
}

Status Committer::journal_to(InodeState& inode, uint64_t target) {
  while (inode.journaling && inode.next_to_journal <= target) {
    if (!wait_unless_given_up(inode.turn_over, inode.latch)) return Error(EINTR);
  }
  if (inode.next_to_journal > target) return {};
  inode.journaling = true;
  const Status status = journal_turn(inode, target);
  inode.journaling = false;
  inode.turn_over.notify_all();
  return status;
}

Status Committer::journal_turn(InodeState& inode, uint64_t target) {
  std::vector<ByteView> bytes;
  while (inode.next_to_journal <= target) {
    Operation& operation = inode.list.at(inode.next_to_journal);
    operation.sealed = true;
    data::DataOperation wanted;
    wanted.kind = operation.kind;
    wanted.flags = operation.flags;
    wanted.ino = inode.ino;
    wanted.generation = inode.generation;
    wanted.parent = inode.parent;
    wanted.previous_sequence = inode.last_sequence;
    wanted.base_version = inode.record_base;
    wanted.offset = operation.offset;
    wanted.length = operation.length;
    wanted.mtime = operation.mtime;
    wanted.atime = operation.atime;
    bytes.clear();
    for (const ChunkPtr& chunk : operation.chunks)
      bytes.push_back({chunk->bytes.get(), chunk->size});

    inode.latch.unlock();  // the operation stays: only durable ones leave the list, and drop()
                           // waits for the turn
    Result<data::Journaled> placed = seams_.staging.append(wanted, bytes);
    inode.latch.lock();
    if (!placed.ok()) return placed.error().in(fmt::format("journaling inode {}", inode.ino));
    operation.place = std::move(placed).value();
    operation.journaled = true;
    if (operation.is_data()) inode.buffered_bytes -= operation.length;
    inode.last_sequence = operation.place.record.header.sequence;
    ++inode.next_to_journal;
  }
  return {};
}

// --- stable storage ---

bool Committer::note_durable(InodeState& inode, uint64_t target) {
  const uint64_t synced = seams_.staging.synced_position();
  MutexLock lock(inode.latch);
  while (inode.next_not_durable < inode.next_to_journal) {
    Operation& operation = inode.list.at(inode.next_not_durable);
    if (operation.place.position > synced) break;
    if (operation.is_data()) held_bytes_ -= operation.length;
    std::vector<ChunkPtr>().swap(operation.chunks);
    inode.durable_sequence = operation.place.record.header.sequence;
    ++inode.next_not_durable;
  }
  return inode.next_not_durable > target;
}

void Committer::take_back_lost() {
  MutexLock one_at_a_time(taking_back_);  // over I/O, as whoever waits here waits for just that
  const std::vector<uint64_t> lost = seams_.staging.lost_positions();
  if (lost.empty()) return;
  log(LogLevel::kError, "{} journaled data operations were not made durable, journaling them anew",
      lost.size());
  for (const InodeRef& inode : table_.dirty()) take_back_lost(*inode, lost);
  for (const uint64_t position : lost)
    seams_.staging.forget_lost(position);  // those left belong to no list any more
}

void Committer::take_back_lost(InodeState& inode, const std::vector<uint64_t>& lost) {
  std::vector<data::Journaled> void_records;
  {
    MutexLock lock(inode.latch);
    while (inode.journaling) inode.turn_over.wait(inode.latch);
    uint64_t first = inode.next_not_durable;
    uint64_t sequence = inode.durable_sequence;
    while (first < inode.next_to_journal) {
      const data::Journaled& place = inode.list.at(first).place;
      if (std::binary_search(lost.begin(), lost.end(), place.position)) break;
      sequence = place.record.header.sequence;
      ++first;
    }
    if (first == inode.next_to_journal) return;
    for (uint64_t id = first; id < inode.next_to_journal; ++id) {
      Operation& operation = inode.list.at(id);
      void_records.push_back(std::move(operation.place));
      operation.place = {};
      operation.journaled = false;
      if (operation.is_data()) inode.buffered_bytes += operation.length;
    }
    inode.next_to_journal = first;
    inode.last_sequence = sequence;
  }
  // At once: what close acknowledged must not wait in memory for the timer.
  const Status again = journal(inode);
  if (!again.ok()) fail(inode, again.error());
  for (const data::Journaled& record : void_records) seams_.staging.committed(record, 0);
}

Status Committer::make_durable(InodeState& inode) {
  uint64_t target = 0;
  {
    MutexLock lock(inode.latch);
    target = inode.list.last_id();
  }
  for (int failures = 0;;) {
    Status status = journal(inode);
    if (status.ok()) {
      if (note_durable(inode, target)) return {};
      status = seams_.staging.sync();
      if (note_durable(inode, target)) return {};
      if (status.ok()) continue;  // another thread journaled them anew meanwhile
      log(LogLevel::kError, "syncing the journal for inode {} failed: {}", inode.ino,
          status.error().to_string());
      take_back_lost();
    }
    if (++failures < 2) continue;
    fail(inode, status.error());
    return status;
  }
}

Status Committer::sync_all(const std::vector<InodeRef>& inodes) {
  std::vector<uint64_t> targets;
  for (const InodeRef& inode : inodes) {
    MutexLock lock(inode->latch);
    targets.push_back(inode->next_to_journal - 1);
  }
  auto all_durable = [&] {
    bool all = true;
    for (size_t i = 0; i < inodes.size(); ++i) {
      if (!note_durable(*inodes[i], targets[i])) all = false;
    }
    return all;
  };
  if (all_durable()) return {};
  const Status synced = seams_.staging.sync();
  if (all_durable() || synced.ok()) return {};
  log(LogLevel::kError, "syncing the journal failed: {}", synced.error().to_string());
  take_back_lost();
  Status result;
  for (size_t i = 0; i < inodes.size(); ++i) {
    if (note_durable(*inodes[i], targets[i])) continue;
    const Status again = make_durable(*inodes[i]);
    if (!again.ok()) result = again;
  }
  return result;
}

// --- commit ---

// Adds the durable operations up to `target`, as many as the batch takes, and takes the inode's
// committing turn if there are any. True when there are more than fitted.
bool Committer::collect(InodeState& inode, Batch& batch, uint64_t target) {
  const uint64_t first = inode.list.first_id();
  const uint64_t end = std::min(target + 1, inode.next_not_durable);
  if (first >= end) return false;
  const uint64_t count = std::min<uint64_t>(end - first, kPageEntriesMax - batch.records.size());
  if (count > 0) {
    inode.committing = true;
    for (uint64_t id = first; id < first + count; ++id) {
      const Operation& operation = inode.list.at(id);
      meta::DataRecord& record = batch.records.emplace_back(operation.place.record);
      record.append = operation.append;
      record.live = true;
    }
    batch.slices.push_back({table_.again(inode), count});
  }
  return count < end - first;
}

Status Committer::send(Batch batch) {
  if (batch.records.empty()) return {};
  meta::Request request;
  request.session = session_;
  request.caller.kernel_checked = true;
  const Result<meta::CommitReply> reply =
      seams_.metadata.commit_data(request, seams_.store_number, batch.records);
  if (!reply.ok() || reply->outcomes.size() != batch.records.size()) {
    for (Slice& slice : batch.slices) {
      MutexLock lock(slice.inode->latch);
      slice.inode->committing = false;
      slice.inode->turn_over.notify_all();
    }
    if (reply.ok()) {
      return error(EIO, "commit of {} records: {} outcomes", batch.records.size(),
                   reply->outcomes.size());
    }
    log(LogLevel::kError, "committing {} data operations failed: {}", batch.records.size(),
        reply.error().to_string());
    return reply.error();
  }
  size_t outcome = 0, commit = 0;
  for (Slice& slice : batch.slices) {
    const meta::InodeCommit* of = nullptr;  // of those that exist, in the order of the slices
    if (commit < reply->inodes.size() && reply->inodes[commit].ino == slice.inode->ino) {
      of = &reply->inodes[commit++];
    }
    apply(slice, &reply->outcomes[outcome], of);
    outcome += slice.count;
  }
  return {};
}

void Committer::apply(Slice& slice, const meta::DataOutcome* outcomes,
                      const meta::InodeCommit* commit) {
  InodeState& inode = *slice.inode;
  const meta::Attr* const attr = commit == nullptr ? nullptr : &commit->attr;
  std::vector<std::unique_ptr<Operation>> done;
  uint64_t reserved = 0, added = 0;
  bool gone = false, conflict = false;
  bool others = false, open = false;  // others committed in between; it is open here
  Stamp before = 0;
  {
    MutexLock lock(inode.latch);
    for (size_t i = 0; i < slice.count; ++i) {
      done.push_back(inode.list.pop_front());
      const Operation& operation = *done.back();
      inode.overlay.forget(operation.id, operation.offset, operation.overlay_end());
      reserved += operation.reserved;
      gone |= outcomes[i].kind == meta::DataOutcome::Kind::kNoInode;
      conflict |= outcomes[i].kind == meta::DataOutcome::Kind::kConflict;
    }
    before = inode.base_version;
    if (attr != nullptr && attr->data_version >= inode.base_version) {
      others = commit->before != before;
      open = inode.handles > 0;
      if (attr->allocated > inode.base_allocated) added = attr->allocated - inode.base_allocated;
      inode.base_version = inode.record_base = inode.committed_stamp = attr->data_version;
      inode.base_size = attr->size;
      inode.base_allocated = attr->allocated;
      inode.extents.keep_only(attr->data_version);
    }
    ++inode.commits;
    inode.allocated.reset();
    if (inode.list.empty()) {
      CHECK(inode.overlay.empty());
      inode.size = inode.base_size;
      inode.atime.reset();
    } else if (others) {
      inode.rebase();
    }
    inode.committing = false;
    inode.turn_over.notify_all();
    changes_.note(inode.ino);
  }
  operations_ -= slice.count;
  added = std::min(added, reserved);
  space_.used(added);
  space_.give_back(reserved - added);
  if (attr != nullptr && !others) seen_.changed_by_us(inode.ino, before, attr->data_version);
  for (const auto& operation : done) {
    seams_.staging.committed(operation->place,
                             gone || conflict || attr == nullptr ? 0 : attr->data_version);
  }
  if (conflict) {
    fail(inode,
         error(EIO, "inode {}: the owner refused data operations as not following what it has",
               inode.ino));
  }
  if (gone || conflict) drop(inode);  // what follows a refused operation would be refused too
  if (others && open) others_changed_(inode.ino);
  leave_dirty(inode);
}

void Committer::leave_dirty(InodeState& inode) {
  InodeRef dropped;  // after the latch
  MutexLock lock(inode.latch);
  if (!inode.dirty || !inode.list.empty()) return;
  inode.dirty = false;
  dropped = table_.remove_dirty(inode);
}

Status Committer::commit(InodeState& inode) {
  uint64_t target = 0, errors = 0;
  {
    MutexLock lock(inode.latch);
    if (inode.list.empty()) return {};
    target = inode.list.last_id();
    errors = inode.errors;
  }
  TRY(make_durable(inode));
  for (;;) {
    Batch batch;
    {
      MutexLock lock(inode.latch);
      while (inode.committing) inode.turn_over.wait(inode.latch);
      if (inode.list.first_id() > target) {
        if (inode.errors != errors)
          return error(EIO, "inode {}: data operations were lost", inode.ino);
        return {};
      }
      collect(inode, batch, target);
      CHECK(!batch.records.empty());
    }
    TRY(send(std::move(batch)));
  }
}

void Committer::drop(InodeState& inode) {
  std::vector<std::unique_ptr<Operation>> done;
  uint64_t reserved = 0, not_durable_bytes = 0;
  {
    MutexLock lock(inode.latch);
    while (inode.journaling || inode.committing) inode.turn_over.wait(inode.latch);
    while (!inode.list.empty()) {
      done.push_back(inode.list.pop_front());
      const Operation& operation = *done.back();
      reserved += operation.reserved;
      if (operation.is_data() && operation.id >= inode.next_not_durable)
        not_durable_bytes += operation.length;
    }
    inode.overlay.clear();
    inode.next_to_journal = inode.next_not_durable = inode.list.next_id();
    inode.buffered_bytes = 0;
    inode.last_sequence = inode.durable_sequence = 0;
    inode.size = inode.base_size;
    inode.atime.reset();
    inode.allocated.reset();
    ++inode.commits;
    changes_.note(inode.ino);
  }
  held_bytes_ -= not_durable_bytes;
  operations_ -= done.size();
  space_.give_back(reserved);
  for (const auto& operation : done) {
    if (operation->journaled) seams_.staging.committed(operation->place, 0);
  }
  leave_dirty(inode);
}

void Committer::forget_everything() {
  for (const InodeRef& inode : table_.dirty()) {
    {
      MutexLock lock(inode->latch);
      while (!inode->list.empty()) inode->list.pop_front();
      inode->overlay.clear();
      inode->last_sequence = 0;
    }
    leave_dirty(*inode);
  }
}

void Committer::fail(InodeState& inode, const Error& error) {
  if (error.is(EINTR)) return;  // given up by one; what is in the list is safe later
  log(LogLevel::kError, "data of inode {} is not safe: {}", inode.ino, error.to_string());
  MutexLock lock(inode.latch);
  ++inode.errors;
  inode.error_code = error.code();
  inode.error_heard = false;
}

void Committer::sync_engine() {
  const Status synced = seams_.metadata.sync();
  if (!synced.ok()) {
    log(LogLevel::kError, "the metadata engine cannot make its commits durable, ending: {}",
        synced.error().to_string());
    if (!end_process_) std::abort();
    return end_process_();
  }
  const Stamp stamp = seams_.metadata.synced_stamp();
  seams_.staging.engine_synced(stamp);
  table_.forget_sequences(stamp);
}

}  // namespace shoal::client
