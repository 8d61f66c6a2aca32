// Group fdatasync: whoever comes first leads a round for all journals with unsynced records; who
// comes during a round waits for the next one. A failed fdatasync poisons its journal: the kernel
// may have dropped the pages and call them clean, so nothing that was not covered before is trusted
// again.
#include "base/log.h"
#include "data/staging_impl.h"

namespace shoal::data {

Status StagingImpl::sync() {
  const uint64_t mine = last_position_.load();
  MutexLock lock(sync_mutex_);
  while (sync_covered_ < mine) {
    if (sync_running_) {
      sync_done_.wait(sync_mutex_);
      continue;
    }
    sync_running_ = true;
    lock.unlock();
    sync_round();
    lock.lock();
    sync_running_ = false;
    sync_done_.notify_all();
  }
  if (lost_.empty() || *lost_.begin() > mine) return {};
  return error(EIO, "a sync of the journal failed, {} records from position {} on are lost: {}",
               lost_.size(), *lost_.begin(), lost_why_);
}

void StagingImpl::sync_round() {
  // First the position, then the list: a journal that holds a position ≤ `covered` was in the list
  // before it.
  const uint64_t covered = last_position_.load();
  std::vector<JournalPtr> dirty;
  {
    MutexLock lock(dirty_mutex_);
    dirty = dirty_;
  }
  for (const JournalPtr& journal : dirty) {
    if (const Status synced = sync_journal(journal); !synced.ok()) poison(journal, synced.error());
  }
  note_synced(covered);
}

Status StagingImpl::sync_journal(const JournalPtr& journal) {
  uint64_t end = 0;
  {
    MutexLock lock(journal->mutex);
    if (journal->poisoned) return {};
    journal->syncing.insert(journal->syncing.end(), journal->unsynced.begin(),
                            journal->unsynced.end());
    journal->unsynced.clear();
    end = journal->end;
  }
  TRY(journal->file->sync_data());
  MutexLock lock(journal->mutex);
  journal->syncing.clear();
  journal->synced_end = std::max(journal->synced_end, end);
  if (!journal->unsynced.empty()) return {};
  journal->dirty = false;
  MutexLock dirty(dirty_mutex_);
  std::erase(dirty_, journal);
  return {};
}

void StagingImpl::poison(const JournalPtr& journal, const Error& why) {
  for (Stream& stream : streams_) {  // after this nobody appends to it
    MutexLock lock(stream.mutex);
    if (stream.open == journal) stream.open = nullptr;
  }
  for (LargeWriter& writer : large_writers_) {
    MutexLock lock(writer.mutex);
    if (writer.open == journal) writer.open = nullptr;
  }
  std::vector<uint64_t> lost;
  bool enqueue_it = false;
  {
    MutexLock lock(journal->mutex);
    if (journal->poisoned) return;
    journal->poisoned = true;
    lost = journal->syncing;
    lost.insert(lost.end(), journal->unsynced.begin(), journal->unsynced.end());
    journal->lost.insert(journal->lost.end(), lost.begin(), lost.end());
    std::sort(journal->lost.begin(), journal->lost.end());
    journal->syncing.clear();
    journal->unsynced.clear();
    journal->uncommitted -= lost.size();
    journal->records -= lost.size();
    bytes_.fetch_sub(journal->end - journal->synced_end);
    journal->end = journal->synced_end;
    enqueue_it = journal->state == Journal::State::kOpen;
    if (enqueue_it) journal->state = Journal::State::kSealed;
    journal->sort_inos();
    journal->dirty = false;
    MutexLock dirty(dirty_mutex_);
    std::erase(dirty_, journal);
  }
  lose_other_halves(journal, lost);
  const Status marked = mark_poisoned(journal);
  log(LogLevel::kError, "journal {} of {} is poisoned, {} records are lost: {}{}", journal->ticket,
      folder_->path(), lost.size(), why.text(),
      marked.ok() ? "" : "; it could not be marked: " + marked.error().text());
  {
    MutexLock lock(sync_mutex_);
    lost_.insert(lost.begin(), lost.end());
    lost_why_ = why.text();
    publish_synced();
  }
  if (enqueue_it) enqueue(journal, false);
}

// Durable before anybody hears of the loss: what is journaled anew must not meet the lost records
// at a replay.
Status StagingImpl::mark_poisoned(const JournalPtr& journal) {
  JournalName from;
  JournalName to;
  {
    MutexLock lock(journal->mutex);
    if (journal->marked) return {};
    from = journal->name;
    to = from;
    to.end = journal->end;
  }
  if (from.to_string() != to.to_string()) {
    TRY(seams_.fs.rename(folder_->journal_path(from), folder_->journal_path(to)));
    MutexLock lock(journal->mutex);
    journal->name = to;
  }
  TRY(folder_->sync_journals());
  MutexLock lock(journal->mutex);
  journal->marked = true;
  return {};
}

void StagingImpl::note_synced(uint64_t covered) {
  MutexLock lock(sync_mutex_);
  sync_covered_ = std::max(sync_covered_, covered);
  publish_synced();
}

void StagingImpl::publish_synced() {
  const uint64_t synced =
      lost_.empty() ? sync_covered_ : std::min(sync_covered_, *lost_.begin() - 1);
  if (synced > synced_position_.load()) synced_position_.store(synced, std::memory_order_release);
}

std::vector<uint64_t> StagingImpl::lost_positions() const {
  MutexLock lock(sync_mutex_);
  return {lost_.begin(), lost_.end()};
}

void StagingImpl::forget_lost(uint64_t position) {
  MutexLock lock(sync_mutex_);
  lost_.erase(position);
  publish_synced();
}

}  // namespace shoal::data
