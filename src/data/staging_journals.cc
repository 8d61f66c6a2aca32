// Journal files: one made ready ahead of need, recycled ones kept, the registry.
#include "base/log.h"
#include "data/external_segment.h"
#include "data/staging_impl.h"

namespace shoal::data {

namespace {
constexpr size_t kFreeFilesMax = 4;
}

void StagingImpl::enter(const JournalPtr& journal) {
  WriteLock lock(registry_mutex_);
  by_ticket_[journal->ticket] = journal;
  by_segment_[journal->segment] = journal;
}

std::vector<JournalPtr> StagingImpl::all_journals() const {
  std::vector<JournalPtr> journals;
  {
    ReadLock lock(registry_mutex_);
    journals.reserve(by_ticket_.size());
    for (const auto& [ticket, journal] : by_ticket_) journals.push_back(journal);
  }
  std::sort(journals.begin(), journals.end(),
            [](const JournalPtr& a, const JournalPtr& b) { return a->ticket < b->ticket; });
  return journals;
}

Result<JournalPtr> StagingImpl::take_standby(JournalKind kind) {
  MutexLock lock(mutex_);
  Standby& standby = standby_[kind];
  while (standby.journal == nullptr && standby.preparing) changed_.wait(mutex_);
  standby.wanted = true;
  if (standby.journal == nullptr) {
    standby.preparing = true;
    lock.unlock();
    auto journal = prepare(kind);
    lock.lock();
    standby.preparing = false;
    changed_.notify_all();
    lock.unlock();
    post([this, kind] { prepare_ahead(kind); });
    return journal;
  }
  JournalPtr journal = std::exchange(standby.journal, nullptr);
  lock.unlock();
  post([this, kind] { prepare_ahead(kind); });
  return journal;
}

void StagingImpl::prepare_ahead(JournalKind kind) {
  MutexLock lock(mutex_);
  Standby& standby = standby_[kind];
  if (standby.journal != nullptr || standby.preparing || !standby.wanted) return;
  standby.preparing = true;
  lock.unlock();
  auto journal = prepare(kind);
  if (!journal.ok()) log(LogLevel::kWarn, "no journal ahead of need: {}", journal.error().text());
  lock.lock();
  standby.preparing = false;
  if (journal.ok()) standby.journal = *journal;
  changed_.notify_all();
}

// A free file of full size under its free name, to be overwritten.
Result<std::unique_ptr<File>> StagingImpl::open_free_file(uint64_t number, Path& path) {
  std::optional<uint64_t> recycled;
  {
    MutexLock lock(mutex_);
    if (!free_.empty()) {
      recycled = free_.back();
      free_.pop_back();
    }
  }
  if (recycled.has_value()) {
    path = folder_->journal_path({.number = *recycled, .free = true});
    return seams_.fs.open(path, OpenMode::kReadWrite);
  }
  path = folder_->journal_path({.number = number, .free = true});
  TRY_ASSIGN(auto file, seams_.fs.open(path, OpenMode::kTruncate));
  Status made = file->allocate(0, options_.segment_bytes);
  if (made.ok()) made = file->sync();  // so that no fdatasync of records has a size to write
  if (!made.ok()) {
    seams_.fs.remove(path).ignore(
        "the disk is full or broken: the first error is the one to report");
    return made.error().in("journal " + path);
  }
  return file;
}

// The order is the point; see staging_impl.h. One of a kind at a time.
Result<JournalPtr> StagingImpl::prepare(JournalKind kind) {
  const JournalName name{.number = next_number_.fetch_add(1)};
  Path free_path;
  TRY_ASSIGN(auto file, open_free_file(name.number, free_path));
  format::SegmentHeader header;
  header.volume = identity_.volume;
  header.lineage = identity_.lineage;
  header.store = uuid();
  header.segment = {nonce(), last_segment_.fetch_add(1) + 1};
  header.external = kind == kExternal;
  const std::string head =
      header.external ? encode_external_head(header) : format::encode_segment_header(header);
  Status ready = file->write_at(0, as_bytes(head));
  if (ready.ok()) ready = file->sync_data();
  if (!ready.ok()) {
    seams_.fs.remove(free_path).ignore("it is free: the next start sweeps it up");
    return ready.error().in("journal " + free_path);
  }
  TRY(seams_.fs.rename(free_path, folder_->journal_path(name)));
  TRY(folder_->sync_journals());
  auto journal = std::make_shared<Journal>(name, std::move(file), header);
  if (const Status opened = metadata_->segment_open({}, header.segment, store_number_);
      !opened.ok()) {
    bool renamed = false;  // without `B` it is just a file
    free_file(journal, renamed);
    return opened.error().in("opening segment " + header.segment.to_string());
  }
  enter(journal);
  return journal;
}

bool StagingImpl::recyclable(Journal& journal, Stamp synced) const {
  std::vector<JournalPtr> needs;
  {
    MutexLock lock(journal.mutex);
    const bool done = journal.told(synced) && journal.uncommitted == 0 &&
                      journal.unsynced.empty() && journal.syncing.empty() &&
                      journal.commit_stamp <= synced;
    if (!done) return false;
    needs = journal.needs;
  }
  return std::all_of(needs.begin(), needs.end(), [synced](const JournalPtr& bytes) {
    MutexLock lock(bytes->mutex);
    return bytes->told(synced);
  });
}

void StagingImpl::recycle() {
  std::vector<JournalPtr> candidates;
  {
    MutexLock lock(mutex_);
    candidates.swap(finished_);
  }
  if (candidates.empty()) return;
  const Stamp synced = synced_stamp_.load();
  std::vector<JournalPtr> gone;
  std::vector<JournalPtr> later;
  for (const JournalPtr& journal : candidates) {
    if (!recyclable(*journal, synced)) {
      later.push_back(journal);
      continue;
    }
    WriteLock lock(registry_mutex_);
    if (journal->pins.load() > 0) {
      later.push_back(journal);
      continue;
    }
    by_ticket_.erase(journal->ticket);
    by_segment_.erase(journal->segment);
    gone.push_back(journal);
  }
  {
    MutexLock lock(mutex_);
    finished_.insert(finished_.end(), later.begin(), later.end());
  }
  if (gone.empty()) return;
  std::vector<uint64_t> freed;
  for (const JournalPtr& journal : gone) {
    bool renamed = false;
    free_file(journal, renamed);
    if (renamed) freed.push_back(journal->ticket);
    MutexLock lock(journal->mutex);
    bytes_.fetch_sub(journal->end - journal->begin());
  }
  keep_free(std::move(freed));
  announce();
}

// Takes the journal's name away. A poisoned file is never used again.
void StagingImpl::free_file(const JournalPtr& journal, bool& renamed) {
  Path path;
  bool poisoned = false;
  {
    MutexLock lock(journal->mutex);
    path = folder_->journal_path(journal->name);
    poisoned = journal->poisoned;
  }
  const Path free_path = folder_->journal_path({.number = journal->ticket, .free = true});
  const Status done = poisoned ? seams_.fs.remove(path) : seams_.fs.rename(path, free_path);
  renamed = done.ok() && !poisoned;
  if (!done.ok()) log(LogLevel::kWarn, "journal {} cannot be freed: {}", path, done.error().text());
}

// Files may be written again only once their new names are durable: else a power cut brings the old
// name back with somebody else's bytes in it.
void StagingImpl::keep_free(std::vector<uint64_t> numbers) {
  if (const Status synced = folder_->sync_journals(); !synced.ok()) {
    log(LogLevel::kWarn, "freed journals are not used again before the next start: {}",
        synced.error().text());
    return;
  }
  std::vector<uint64_t> surplus;
  {
    MutexLock lock(mutex_);
    for (const uint64_t number : numbers)
      (free_.size() < kFreeFilesMax ? free_ : surplus).push_back(number);
  }
  for (const uint64_t number : surplus) {
    seams_.fs.remove(folder_->journal_path({.number = number, .free = true}))
        .ignore("it is free: the next start sweeps it up");
  }
}

void StagingImpl::engine_synced(Stamp stamp) {
  Stamp before = synced_stamp_.load();
  while (before < stamp && !synced_stamp_.compare_exchange_weak(before, stamp)) {
  }
  bool any = false;
  {
    MutexLock lock(mutex_);
    any = !finished_.empty();
  }
  if (any) post([this] { recycle(); });
}

}  // namespace shoal::data
