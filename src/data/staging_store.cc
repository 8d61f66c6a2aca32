// Waiting until data is in the bucket: class `object`, flush, umount.
#include "data/staging_impl.h"
#include "sys/on_behalf.h"

namespace shoal::data {

Error StagingImpl::store_timed_out() const {
  const StagingStatus now = status();
  return error(EIO, "not stored within {} ms, {} segments wait{}{}", options_.store_timeout.count(),
               now.segments_waiting, now.upload_error.empty() ? "" : ": ", now.upload_error);
}

// Everything committed so far becomes durable in the engine.
Status StagingImpl::sync_engine() {
  const Stamp stamp = metadata_->committed_stamp();
  TRY(metadata_->sync());
  engine_synced(stamp);
  return {};
}

Status StagingImpl::wait_stored(const std::vector<JournalPtr>& journals,
                                const std::function<void(const StagingStatus&)>& progress) {
  const auto stored = [](const JournalPtr& journal) {
    MutexLock lock(journal->mutex);
    return (journal->state == Journal::State::kStored && journal->complete_told) ||
           (journal->state == Journal::State::kOpen && journal->records == 0);
  };
  const auto started = seams_.clock.since_boot();
  auto progress_at = started;
  for (;;) {
    uint64_t changes = 0;
    {
      MutexLock lock(mutex_);
      changes = changes_;
    }
    if (std::all_of(journals.begin(), journals.end(), stored)) return {};
    if (given_up()) return Error(EINTR);
    const auto now = seams_.clock.since_boot();
    if (options_.store_timeout.count() > 0 && now - started >= options_.store_timeout)
      return store_timed_out();
    if (progress && now >= progress_at) {
      progress(status());
      progress_at = now + std::chrono::seconds(1);
    }
    MutexLock lock(mutex_);
    if (changes_ == changes) changed_.wait_for(mutex_, std::chrono::milliseconds(100));
  }
}

Status StagingImpl::store_inode(Ino ino) {
  if (!options_.uploads_enabled) return error(EIO, "uploads are switched off");
  const auto holds_it = [ino](Journal& journal) {
    MutexLock lock(journal.mutex);
    return journal.holds_ino(ino) && !journal.complete_told;
  };
  seal_open_if(holds_it);
  std::vector<JournalPtr> journals;
  for (const JournalPtr& journal : all_journals()) {
    if (!holds_it(*journal)) continue;
    journals.push_back(journal);
    hurry(journal);
  }
  TRY(wait_stored(journals, nullptr));
  return sync_engine();
}

bool StagingImpl::upload_soon(const SegmentId& id) {
  JournalPtr journal;
  {
    ReadLock lock(registry_mutex_);
    const auto at = by_segment_.find(id);
    if (at == by_segment_.end()) return false;
    journal = at->second;
  }
  seal_open_if([&journal](Journal& open) { return &open == journal.get(); });
  hurry(journal);
  pump();
  return true;
}

Status StagingImpl::store_all(const std::function<void(const StagingStatus&)>& progress) {
  if (!options_.uploads_enabled) return error(EIO, "uploads are switched off");
  // Empty ones too, and the one made ahead: they are discarded, so that after an umount `B` lists
  // nothing here.
  seal_open_if([](Journal&) { return true; });
  for (const JournalKind kind : {kSmall, kExternal}) {
    JournalPtr ahead;
    {
      MutexLock lock(mutex_);
      Standby& standby = standby_[kind];
      standby.wanted = false;
      while (standby.preparing) changed_.wait(mutex_);
      ahead = std::exchange(standby.journal, nullptr);
    }
    if (ahead != nullptr) seal(ahead);
  }
  std::vector<JournalPtr> journals;
  for (const JournalPtr& journal : all_journals()) {
    MutexLock lock(journal->mutex);
    if (journal->state != Journal::State::kOpen) journals.push_back(journal);
  }
  TRY(wait_stored(journals, progress));
  return sync_engine();
}

}  // namespace shoal::data
