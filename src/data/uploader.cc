// Sealed journals → bucket → `B`. Every byte is checked on its way from the disk. The footer is on
// stable storage before the PUT starts: a start after a power cut uploads the same bytes again,
// never others (I2).
#include "data/uploader.h"

#include "base/crc32c.h"
#include "base/log.h"
#include "data/external_segment.h"
#include "data/staging_impl.h"

namespace shoal::data {

namespace {

constexpr std::chrono::milliseconds kPutDeadline{300'000};
constexpr std::chrono::seconds kRetryFirst{1};
constexpr std::chrono::seconds kRetryMax{30};

std::chrono::nanoseconds backoff(int failures, Random& random) {
  const std::chrono::nanoseconds whole = std::min<std::chrono::nanoseconds>(
      kRetryMax, kRetryFirst * (int64_t{1} << std::min(failures, 8)));
  return whole / 2 +
         std::chrono::nanoseconds(random.below(static_cast<uint64_t>(whole.count() / 2) + 1));
}

Result<format::Footer> index_of_records(const Upload& upload, uint64_t end) {
  format::Footer footer;
  const auto visit = [&](uint64_t position, const format::RecordHeader& h,
                         ByteView payload) -> Status {
    footer.records.push_back({position, h, static_cast<uint32_t>(footer.frame_crcs.size())});
    if (h.kind != format::RecordKind::kData || (h.flags & format::kRecordExternal) != 0) return {};
    footer.data_bytes += h.length;
    if (h.length <= h.frame_bytes) {
      footer.frame_crcs.push_back(h.payload_crc);
    } else {
      const auto crcs = format::frame_crcs(payload);
      footer.frame_crcs.insert(footer.frame_crcs.end(), crcs.begin(), crcs.end());
    }
    return {};
  };
  const SegmentId& id = upload.journal->segment;
  TRY_ASSIGN(const Scan scan, scan_records(memory_source(upload.file_bytes()), id, end, visit));
  if (scan.end != end) {
    return error(EIO, "journal of segment {} is corrupt at byte {} of {}", id.to_string(), scan.end,
                 end);
  }
  return footer;
}

// … of a large writer's segment, whose frames must be what the records said, but for those known
// not to be.
Result<format::Footer> index_of_slice(const Upload& upload, uint64_t end) {
  const SegmentId& id = upload.journal->segment;
  const ByteView slice = upload.file_bytes().first(end).subspan(format::kExternalSliceAt);
  if (upload.ino == 0) {
    return error(EIO, "segment {} has living bytes, but the records that tell its frames are gone",
                 id.to_string());
  }
  std::vector<uint32_t> crcs = upload.frame_crcs;
  crcs.resize(slice.size() / kFrameBytesLarge);
  for (size_t i = 0; i < crcs.size(); ++i) {
    const ByteView frame = slice.subspan(i * kFrameBytesLarge, kFrameBytesLarge);
    const auto& damaged = upload.damaged_frames;
    if (crc32c(frame) == crcs[i] || std::binary_search(damaged.begin(), damaged.end(), i)) continue;
    return error(EIO, "journal of segment {} is corrupt at byte {} of {}", id.to_string(),
                 format::kExternalSliceAt + i * kFrameBytesLarge, end);
  }
  return external_footer(upload.ino, slice, std::move(crcs));
}

Result<format::Footer> index_of(const Upload& upload, uint64_t end) {
  const SegmentId& id = upload.journal->segment;
  TRY_ASSIGN(const auto header, format::decode_segment_header(upload.file_bytes()));
  if (header.segment != id)
    return error(EIO, "journal of segment {} holds {}", id.to_string(), header.segment.to_string());
  return header.external ? index_of_slice(upload, end) : index_of_records(upload, end);
}

}  // namespace

void StagingImpl::enqueue(const JournalPtr& journal, bool first) {
  {
    MutexLock lock(mutex_);
    if (first) {
      queue_.push_front(journal);
    } else {
      queue_.push_back(journal);
    }
  }
  pump();
}

void StagingImpl::hurry(const JournalPtr& journal) {
  MutexLock lock(mutex_);
  const auto at = std::find(queue_.begin(), queue_.end(), journal);
  if (at == queue_.end()) return;
  queue_.erase(at);
  queue_.push_front(journal);
}

// The first in the queue that need not wait after a failure.
JournalPtr StagingImpl::next_upload() {
  const auto now = seams_.clock.since_boot();
  std::deque<JournalPtr> queue;
  {
    MutexLock lock(mutex_);
    queue = queue_;
  }
  for (const JournalPtr& journal : queue) {
    {
      MutexLock lock(journal->mutex);
      if (journal->retry_at > now) continue;
    }
    MutexLock lock(mutex_);
    const auto at = std::find(queue_.begin(), queue_.end(), journal);
    if (at == queue_.end()) continue;
    if (uploads_running_ >= options_.uploads_max) return nullptr;
    queue_.erase(at);
    ++uploads_running_;
    return journal;
  }
  return nullptr;
}

void StagingImpl::pump() {
  if (!options_.uploads_enabled || !replayed_) return;
  while (JournalPtr journal = next_upload()) {
    post([this, journal] { upload(journal); });
  }
}

void StagingImpl::release_slot() {
  {
    MutexLock lock(mutex_);
    --uploads_running_;
  }
  announce();
  pump();
}

void StagingImpl::upload(const JournalPtr& journal) {
  bool discard = false;
  bool unmarked = false;
  {
    MutexLock lock(journal->mutex);
    journal->state = Journal::State::kUploading;
    discard = journal->discard || (journal->records == 0 && !journal->keep);
    unmarked = journal->poisoned && !journal->marked;
  }
  if (unmarked) {  // the name must say what counts before the owner forgets the segment
    if (const Status marked = mark_poisoned(journal); !marked.ok()) {
      upload_failed(journal, marked.error());
      return;
    }
  }
  if (discard) {
    discard_segment(journal);
    return;
  }
  auto one = std::make_shared<Upload>(journal);  // shared with the store's callback
  if (const Status loaded = load(*one); !loaded.ok()) {
    upload_failed(journal, loaded.error());
    return;
  }
  std::vector<ByteView> spans{one->file_bytes()};
  if (!one->tail.empty()) spans.push_back(as_bytes(one->tail));
  object::CallOptions call;
  call.deadline = kPutDeadline;
  call.priority = object::Priority::kWriteback;
  // The store tries for minutes before it gives an upload back; people want to know at once.
  call.on_retry = [this, gate = gate_, segment = journal->segment](const Error& why) {
    gate->pass(
        [&] { note_upload_error(fmt::format("segment {}: {}", segment.to_string(), why.text())); });
  };
  // Neither this object nor the gate need to be alive when the store answers; the bytes do.
  auto done = [this, one, gate = gate_, executor = &seams_.executor](Result<std::string> result) {
    executor->post([this, one, gate, result] { gate->pass([&] { finish_upload(one, result); }); });
  };
  seams_.store.put(format::segment_object_key(identity_.volume, journal->segment), std::move(spans),
                   call, done);
}

Status StagingImpl::load(Upload& upload) {
  Journal& journal = *upload.journal;
  sync().ignore("what it lost is no longer counted in the journal, and its callers hear of it");
  bool sealed = false;
  uint64_t end = 0;
  {
    MutexLock lock(journal.mutex);
    end = journal.end;
    sealed = journal.object_bytes > 0 && !journal.poisoned;
    upload.length = sealed ? journal.object_bytes : end;
    if (journal.header.external) {
      const auto* crcs = journal.frames.find(format::kExternalSliceAt);
      if (crcs != nullptr) upload.frame_crcs = *crcs;
      upload.damaged_frames = journal.damaged_frames;
      upload.ino = journal.inos.empty() ? 0 : journal.inos.front();
    }
  }
  upload.bytes = std::make_unique_for_overwrite<std::byte[]>(upload.length);
  TRY_ASSIGN(const size_t n, journal.file->read_at(0, {upload.bytes.get(), upload.length}));
  if (n != upload.length)
    return error(EIO, "journal of segment {} ends at byte {}", journal.segment.to_string(), n);
  TRY_ASSIGN(const format::Footer footer, index_of(upload, end));
  if (journal.header.external && !sealed && !footer.records.empty())
    upload.set_slice_header(
        format::encode_record_header(footer.records.front().header, journal.segment));
  return sealed ? Status() : close_with_footer(upload, footer);
}

Status StagingImpl::close_with_footer(Upload& upload, const format::Footer& footer) {
  const JournalPtr& journal = upload.journal;
  upload.tail = encode_end(footer, upload.length, journal->segment);
  {
    MutexLock lock(journal->mutex);
    if (journal->poisoned) return {};  // never written again: the footer goes to the bucket only
  }
  TRY(journal->file->write_at(upload.length, as_bytes(upload.tail)));
  if (journal->header.external)
    TRY(journal->file->write_at(format::kExternalRecordAt, upload.slice_header()));
  if (const Status synced = journal->file->sync_data(); !synced.ok()) {
    poison(journal, synced.error());
    return {};
  }
  MutexLock lock(journal->mutex);
  journal->object_bytes = upload.object_bytes();
  return {};
}

void StagingImpl::finish_upload(const std::shared_ptr<Upload>& upload, Result<std::string> result) {
  const JournalPtr journal = upload->journal;
  const uint64_t length = upload->object_bytes();
  upload->bytes.reset();
  if (!result.ok()) {
    upload_failed(journal, result.error());
    return;
  }
  {
    MutexLock lock(journal->mutex);
    journal->state = Journal::State::kUploaded;
    journal->object_bytes = length;
    journal->failures = 0;
  }
  {
    MutexLock lock(mutex_);
    ++stored_segments_;
    stored_bytes_ += length;
    upload_error_.clear();
  }
  release_slot();
  tell(journal);
}

void StagingImpl::note_upload_error(const std::string& why) {
  bool first = false;
  {
    MutexLock lock(mutex_);
    first = upload_error_.empty();
    if (first) upload_error_since_ = seams_.clock.since_boot();
    upload_error_ = why;
  }
  if (first) log(LogLevel::kWarn, "uploads do not get on: {}", why);
}

// Never gives up (design §6.2).
void StagingImpl::upload_failed(const JournalPtr& journal, const Error& why) {
  const std::string text = fmt::format("segment {}: {}", journal->segment.to_string(), why.text());
  note_upload_error(text);
  std::chrono::nanoseconds delay{0};
  {
    MutexLock lock(journal->mutex);
    journal->state = Journal::State::kSealed;
    delay = backoff(journal->failures++, seams_.random);
    journal->retry_at = seams_.clock.since_boot() + delay;
  }
  {
    MutexLock lock(mutex_);
    queue_.push_back(journal);
  }
  release_slot();
  post_after(delay, [this] { pump(); });
}

void StagingImpl::tell(const JournalPtr& journal) {
  uint64_t length = 0;
  {
    MutexLock lock(journal->mutex);
    if (journal->telling || journal->complete_told) return;
    journal->telling = true;
    length = journal->object_bytes;
  }
  for (bool again = true; again;) {
    bool complete = false;
    {
      MutexLock lock(journal->mutex);
      complete = journal->uncommitted == 0;
    }
    const Status stored = metadata_->segment_stored({}, journal->segment, length, complete);
    const bool freed =
        stored.code() == ENOENT || stored.code() == ESTALE;  // gone or going: it had been complete
    if (!stored.ok() && !freed) {
      note_upload_error(
          fmt::format("segment {}: {}", journal->segment.to_string(), stored.error().text()));
      MutexLock lock(journal->mutex);
      journal->telling = false;
      post_after(kRetryMax, [this, journal] { tell(journal); });
      return;
    }
    const Stamp stamp = metadata_->committed_stamp();  // `B` says so by then
    MutexLock lock(journal->mutex);
    journal->state = Journal::State::kStored;
    journal->told_stamp = stamp;
    journal->complete_told = complete || freed;
    again = !journal->complete_told && journal->uncommitted == 0;
    if (!again) journal->telling = false;
  }
  told(journal);
}

void StagingImpl::discard_segment(const JournalPtr& journal) {
  const Status discarded = metadata_->segment_discard({}, journal->segment);
  if (!discarded.ok() && discarded.code() != ENOENT) {
    if (discarded.code() == EBUSY) {  // an extent names it after all
      MutexLock lock(journal->mutex);
      journal->discard = false;
      journal->keep = true;
    }
    upload_failed(journal, discarded.error());
    return;
  }
  {
    MutexLock lock(journal->mutex);
    journal->state = Journal::State::kStored;
    journal->told_stamp = metadata_->committed_stamp();
    journal->complete_told = true;
  }
  release_slot();
  told(journal);
}

// The owner has heard: waiters look again, and the journal may be recycled once that is synced.
void StagingImpl::told(const JournalPtr& journal) {
  {
    MutexLock journal_lock(journal->mutex);
    if (!journal->complete_told) return;
  }
  {
    MutexLock lock(mutex_);
    finished_.push_back(journal);
  }
  announce();
  if (waiting_for_room_ > 0)
    sync_engine().ignore("the owner's next sync will do; a broken engine shows elsewhere");
}

}  // namespace shoal::data
