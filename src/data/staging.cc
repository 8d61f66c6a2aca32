// Opening, appending and sealing. See staging_impl.h for the map of the other files.
#include "data/staging.h"

#include "base/crc32c.h"
#include "base/log.h"
#include "data/staging_impl.h"
#include "sys/on_behalf.h"

namespace shoal::data {

using format::RecordHeader;
using format::RecordKind;

namespace {

constexpr std::chrono::milliseconds kTick{500};
constexpr unsigned kSequenceBitsPerStart = 40;

// The error ends in a write(2): that this disk has no room is said as it is, but a program did not
// open a journal, and ENOENT or EROFS of one would tell it nonsense.
Error for_programs(const Error& failed) {
  if (failed.is(ENOSPC) || failed.is(EDQUOT)) return failed;
  return Error(EIO, failed.text());
}

// CRC of the payload and, when it has several frames, of each.
uint32_t payload_crcs(std::span<const ByteView> data, uint32_t frame_bytes, bool several,
                      std::vector<uint32_t>& crcs) {
  uint32_t whole = 0;
  uint32_t frame = 0;
  size_t in_frame = 0;
  for (ByteView span : data) {
    whole = crc32c(span, whole);
    while (several && !span.empty()) {
      const size_t n = std::min<size_t>(span.size(), frame_bytes - in_frame);
      frame = crc32c(span.first(n), frame);
      in_frame += n;
      span = span.subspan(n);
      if (in_frame < frame_bytes) break;
      crcs.push_back(frame);
      frame = 0;
      in_frame = 0;
    }
  }
  if (in_frame > 0) crcs.push_back(frame);
  return whole;
}

RecordHeader header_of(const DataOperation& operation) {
  RecordHeader h;
  h.kind = operation.kind;
  h.flags = operation.flags;
  h.ino = operation.ino;
  h.generation = operation.generation;
  h.previous_sequence = operation.previous_sequence;
  h.base_version = operation.base_version;
  h.offset = operation.offset;
  h.length = operation.length;
  h.mtime = operation.mtime;
  h.parent = operation.parent;
  if ((operation.flags & format::kRecordAtime) != 0) h.atime = operation.atime;
  return h;
}

}  // namespace

Result<std::unique_ptr<Staging>> Staging::open(const StagingSeams& seams, const Path& state_dir,
                                               const StagingIdentity& identity,
                                               const StagingOptions& options) {
  TRY_ASSIGN(auto folder, StoreFolder::open(seams.fs, seams.random, state_dir, identity.volume,
                                            identity.lineage, identity.host));
  auto staging = std::make_unique<StagingImpl>(seams, identity, options, std::move(folder));
  TRY(staging->recover());
  return std::unique_ptr<Staging>(std::move(staging));
}

StagingImpl::StagingImpl(const StagingSeams& seams, const StagingIdentity& identity,
                         const StagingOptions& options, std::unique_ptr<StoreFolder> folder)
    : seams_(seams), identity_(identity), options_(options), folder_(std::move(folder)) {
  next_sequence_ = (folder_->identity().starts << kSequenceBitsPerStart) + 1;
  timer_ = std::make_unique<Periodic>(seams_.executor, kTick, [this] { tick(); });
}

StagingImpl::~StagingImpl() {
  timer_.reset();
  gate_->shut();
}

void StagingImpl::post(std::function<void()> body) {
  seams_.executor.post([gate = gate_, body = std::move(body)] { gate->pass(body); });
}

void StagingImpl::post_after(std::chrono::nanoseconds delay, std::function<void()> body) {
  seams_.executor.post_after(delay, [gate = gate_, body = std::move(body)] { gate->pass(body); });
}

void StagingImpl::announce() {
  MutexLock lock(mutex_);
  ++changes_;
  changed_.notify_all();
}

void StagingImpl::tick() {
  if (!replayed_) return;
  const auto now = seams_.clock.since_boot();
  const bool pressed = waiting_for_room_ > 0;
  seal_open_if([&](Journal& journal) {
    MutexLock lock(journal.mutex);
    if (journal.records == 0) return false;
    if (pressed) return true;
    const auto age = now - journal.first_record_at;
    return age >= options_.seal_age_small ||
           (age >= options_.seal_age_large && journal.end >= options_.seal_large_bytes);
  });
  if (pressed)
    sync_engine().ignore("the owner's next sync will do; a broken engine shows elsewhere");
  recycle();
  pump();
}

Status StagingImpl::check_operation(const DataOperation& operation,
                                    std::span<const ByteView> data) const {
  if (!replayed_) return error(EINVAL, "append before replay");
  uint64_t bytes = 0;
  for (const ByteView span : data) bytes += span.size();
  const bool is_data = operation.kind == RecordKind::kData;
  if (is_data && (bytes == 0 || bytes > kRecordBytesMax || bytes != operation.length)) {
    return error(EINVAL, "data record of {} bytes with length {}", bytes, operation.length);
  }
  if (!is_data && bytes != 0)
    return error(EINVAL, "record of kind {} with data", static_cast<int>(operation.kind));
  if (operation.kind > RecordKind::kTimes || operation.ino == 0 || operation.ino > kInoMax ||
      operation.parent > kInoMax || operation.offset > kFileBytesMax ||
      operation.length > kFileBytesMax - operation.offset) {
    return error(EINVAL, "record of kind {} for inode {}, range {}+{}",
                 static_cast<int>(operation.kind), operation.ino, operation.offset,
                 operation.length);
  }
  if ((operation.flags &
       ~(format::kRecordAtime | format::kRecordKeepSize | format::kRecordAppend)) != 0) {
    return error(EINVAL, "record flags {:#x}", operation.flags);
  }
  return {};
}

Result<Journaled> StagingImpl::append(const DataOperation& operation,
                                      std::span<const ByteView> data) {
  TRY(check_operation(operation, data));
  RecordHeader header = header_of(operation);
  std::vector<uint32_t> crcs;
  if (header.kind == RecordKind::kData) {
    if (LargeWriter* writer = large_writer(header)) {
      TRY_ASSIGN(auto journaled, append_external(*writer, header, data));
      if (journaled.has_value()) return std::move(*journaled);
    }
    header.payload_length = static_cast<uint32_t>(header.length);
    header.frame_bytes = format::frame_bytes_for(header.length);
    header.payload_crc =
        payload_crcs(data, header.frame_bytes, header.length > header.frame_bytes, crcs);
  }
  const uint64_t need = format::kRecordHeaderBytes + header.payload_length;
  TRY(wait_for_room(need));
  Stream& stream = stream_of(operation.parent);
  MutexLock lock(stream.mutex);
  TRY(make_ready(stream, need));
  TRY_ASSIGN(const uint64_t end, write_record(stream, header, data));
  return account(stream.open, end, header, std::move(crcs));
}

// Leaves `stream` with a journal that has room.
Status StagingImpl::make_ready(Stream& stream, uint64_t bytes) {
  const bool fits = stream.open != nullptr && (stream.tail + bytes <= options_.segment_bytes ||
                                               stream.tail == format::kSegmentHeaderBytes);
  if (fits) return {};
  const Status rolled = roll(stream);
  return rolled.ok() ? rolled : for_programs(rolled.error());
}

// Writes header and payload, and gives the header its sequence. Returns where they end.
Result<uint64_t> StagingImpl::write_record(Stream& stream, RecordHeader& header,
                                           std::span<const ByteView> payload) {
  header.sequence =
      next_sequence_.fetch_add(1);  // under the stream's lock: they ascend within a journal
  const JournalPtr journal = stream.open;
  const std::string encoded = format::encode_record_header(header, journal->segment);
  std::vector<ByteView> spans;
  spans.reserve(payload.size() + 1);
  spans.push_back(as_bytes(encoded));
  spans.insert(spans.end(), payload.begin(), payload.end());
  if (const Status written = journal->file->write_spans_at(stream.tail, spans); !written.ok()) {
    append_failed(stream);
    return for_programs(written.error().in("journal of store " + uuid().to_string()));
  }
  stream.tail += format::kRecordHeaderBytes + header.payload_length;
  bytes_.fetch_add(format::kRecordHeaderBytes + header.payload_length);
  return stream.tail;
}

Journaled StagingImpl::account(const JournalPtr& journal, uint64_t end, const RecordHeader& header,
                               std::vector<uint32_t> crcs) {
  Journaled out;
  const uint64_t offset = end - header.payload_length;
  out.journal = journal->ticket;
  out.record.header = header;
  if (header.kind == RecordKind::kData) {
    format::Target target;
    target.segment = journal->segment;
    target.offset = offset;
    target.length = header.length;
    if (header.length <= kFrameBytesMax) target.crc = header.payload_crc;
    out.record.target = target;
  }
  MutexLock lock(journal->mutex);
  journal->note_record(header.ino, end, seams_.clock.since_boot());
  if (!crcs.empty()) journal->frames.add(offset, std::move(crcs));
  mark_dirty(journal);
  out.position = last_position_.fetch_add(1) + 1;
  journal->unsynced.push_back(out.position);
  return out;
}

// Before the position exists: who sees the position finds the journal.
void StagingImpl::mark_dirty(const JournalPtr& journal) {
  if (journal->dirty) return;
  journal->dirty = true;
  MutexLock lock(dirty_mutex_);
  dirty_.push_back(journal);
}

// Whatever part of the record reached the file must not come back as a record: an end record takes
// its place, and the journal takes no more. If even that fails, the file is not to be trusted.
void StagingImpl::append_failed(Stream& stream) {
  const JournalPtr journal = std::move(stream.open);
  stream.open = nullptr;
  const Status closed =
      journal->file->write_at(stream.tail, as_bytes(encode_bare_end(journal->segment)));
  if (closed.ok()) {
    seal(journal);
    return;
  }
  post([this, journal, why = closed.error()] { poison(journal, why); });
}

Status StagingImpl::roll(Stream& stream) {
  if (stream.open != nullptr) seal(stream.open);
  stream.open = nullptr;
  TRY_ASSIGN(stream.open, take_standby(kSmall));
  stream.tail = format::kSegmentHeaderBytes;
  return {};
}

void StagingImpl::seal(const JournalPtr& journal) {
  {
    MutexLock lock(journal->mutex);
    if (journal->state != Journal::State::kOpen) return;
    journal->state = Journal::State::kSealed;
    journal->sort_inos();
  }
  enqueue(journal, false);
}

void StagingImpl::seal_open_if(const std::function<bool(Journal&)>& wanted) {
  for (Stream& stream : streams_) {
    MutexLock lock(stream.mutex);
    if (stream.open == nullptr || !wanted(*stream.open)) continue;
    seal(stream.open);
    stream.open = nullptr;
  }
  for (LargeWriter& writer : large_writers_) {
    MutexLock lock(writer.mutex);
    if (writer.open == nullptr || !wanted(*writer.open)) continue;
    seal(writer.open);
    writer.open = nullptr;
  }
}

Status StagingImpl::wait_for_room(uint64_t need) {
  auto fits = [&] {
    const uint64_t bytes = bytes_.load();
    return bytes == 0 || bytes + need <= options_.bytes_max;
  };
  if (fits()) return {};
  ++waiting_for_room_;
  post([this] {  // what can be freed at all shall be on its way
    seal_open_if([](Journal& journal) {
      MutexLock lock(journal.mutex);
      return journal.records > 0;
    });
    sync_engine().ignore("the owner's next sync will do; a broken engine shows elsewhere");
  });
  const auto deadline = seams_.clock.since_boot() + options_.store_timeout;
  bool timed_out = false, killed = false;
  while (!fits() && !timed_out && !killed) {
    {
      MutexLock lock(mutex_);
      changed_.wait_for(mutex_, kAskEvery);
    }
    killed = given_up();
    timed_out = options_.store_timeout.count() > 0 && seams_.clock.since_boot() >= deadline;
  }
  --waiting_for_room_;
  if (fits()) return {};
  return killed ? Error(EINTR) : store_timed_out();
}

void StagingImpl::committed(const Journaled& record, Stamp stamp) {
  if (record.bytes_in != 0) {
    const auto pair = take_pair(record.position);
    if (!pair.has_value()) return;  // one of the two files lost it
    note_committed(pair->bytes, record.position, stamp);
    note_committed(pair->journal, record.position, stamp);
    return;
  }
  JournalPtr journal;
  {
    ReadLock lock(registry_mutex_);
    const auto at = by_ticket_.find(record.journal);
    if (at == by_ticket_.end())
      return;  // poisoned and gone: its lost records are nobody's any more
    journal = at->second;
  }
  note_committed(journal, record.position, stamp);
}

void StagingImpl::note_committed(const JournalPtr& journal, uint64_t position, Stamp stamp) {
  bool finish = false;
  {
    MutexLock lock(journal->mutex);
    const auto has = [&](const std::vector<uint64_t>& list) {
      return std::binary_search(list.begin(), list.end(), position);
    };
    if (has(journal->lost)) return;
    for (auto* list : {&journal->unsynced, &journal->syncing}) {
      if (!has(*list)) continue;
      CHECK(stamp == 0);  // I1: durable before committed
      list->erase(std::lower_bound(list->begin(), list->end(), position));
    }
    CHECK(journal->uncommitted > 0);
    --journal->uncommitted;
    journal->commit_stamp = std::max(journal->commit_stamp, stamp);
    finish = journal->finished();
  }
  if (finish) post([this, journal] { tell(journal); });
}

StagingStatus StagingImpl::status() const {
  StagingStatus status;
  const auto now = seams_.clock.since_boot();
  for (const JournalPtr& journal : all_journals()) {
    MutexLock lock(journal->mutex);
    if (journal->records == 0 || journal->state == Journal::State::kStored) continue;
    const bool sealed = journal->state != Journal::State::kOpen;
    if (sealed && journal->state != Journal::State::kUploaded) ++status.segments_waiting;
    status.oldest_age = std::max(status.oldest_age, now - journal->first_record_at);
  }
  status.bytes = bytes_.load();
  status.large_segments = large_segments_.load();
  MutexLock lock(mutex_);
  status.uploads_running = static_cast<uint64_t>(uploads_running_);
  status.stored_segments = stored_segments_;
  status.stored_bytes = stored_bytes_;
  status.upload_error = upload_error_;
  if (!upload_error_.empty()) status.upload_error_age = now - upload_error_since_;
  return status;
}

}  // namespace shoal::data
