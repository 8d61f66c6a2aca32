// Large writers: who is one, their segments, and what ties a record to its bytes in another file.
// Whatever goes wrong before the record is written costs nothing: the bytes go to a journal then,
// as those of any writer.
#include "base/crc32c.h"
#include "base/log.h"
#include "data/external_segment.h"
#include "data/staging_impl.h"

namespace shoal::data {

using format::RecordHeader;

namespace {
// A writer that was silent for so long gives way when all places are taken.
constexpr std::chrono::seconds kGivesWayAfter{1};
}  // namespace

StagingImpl::LargeWriter* StagingImpl::large_writer(const RecordHeader& header) {
  const uint64_t before =
      sequential_.note(header.ino, header.generation, header.offset, header.length);
  if (header.length <= kFrameBytesMax || before < options_.large_writer_bytes) return nullptr;
  const auto now = seams_.clock.since_boot();
  MutexLock lock(places_mutex_);
  size_t oldest = 0;
  for (size_t i = 0; i < places_.size(); ++i) {
    if (places_[i].ino == header.ino) {
      places_[i].used_at = now;
      return &large_writers_[i];
    }
    if (places_[i].used_at < places_[oldest].used_at) oldest = i;
  }
  Place& place = places_[oldest];
  if (place.ino != 0 && now - place.used_at < kGivesWayAfter) return nullptr;
  place = {header.ino, now};
  return &large_writers_[oldest];
}

// Leaves `writer` with a segment of the inode that has room.
Status StagingImpl::make_ready(LargeWriter& writer, Ino ino, uint64_t bytes) {
  const uint64_t bytes_max = std::min(options_.segment_bytes, format::kExternalSliceBytesMax);
  if (writer.open != nullptr) {
    const bool fits = writer.tail + bytes <= bytes_max || writer.tail == format::kExternalSliceAt;
    if (writer.ino == ino && fits) return {};
    seal(writer.open);
    writer.open = nullptr;
  }
  TRY_ASSIGN(writer.open, take_standby(kExternal));
  writer.ino = ino;
  writer.tail = format::kExternalSliceAt;
  ++large_segments_;
  return {};
}

// nullopt: not this way, nothing was taken.
Result<std::optional<Journaled>> StagingImpl::append_external(LargeWriter& writer,
                                                              RecordHeader header,
                                                              std::span<const ByteView> data) {
  const uint64_t bytes = whole_frames(header.length);
  format::ExternalPlace place;
  place.frame_crcs = padded_frame_crcs(data);
  TRY(wait_for_room(bytes + format::kRecordHeaderBytes + format::encode_external(place).size()));
  MutexLock lock(writer.mutex);
  if (const Status ready = make_ready(writer, header.ino, bytes); !ready.ok()) {
    log(LogLevel::kWarn, "no segment of its own for inode {}: {}", header.ino,
        ready.error().text());
    return std::optional<Journaled>();
  }
  std::vector<ByteView> spans(data.begin(), data.end());
  spans.push_back(padding_of(header.length));
  const Status written = writer.open->file->write_spans_at(writer.tail, spans);
  if (!written.ok()) {
    log(LogLevel::kWarn, "segment of inode {} takes no more: {}", header.ino,
        written.error().text());
    seal(std::exchange(writer.open, nullptr));
    return std::optional<Journaled>();
  }
  place.segment = writer.open->segment;
  place.offset = writer.tail;
  auto journaled = describe_external(writer, header, place);
  if (!journaled.ok()) {
    seal(std::exchange(writer.open, nullptr));  // no place is ever written twice
    return journaled.error();
  }
  writer.tail += bytes;
  return std::optional<Journaled>(std::move(*journaled));
}

// The record in a journal that makes the bytes a piece of the file.
Result<Journaled> StagingImpl::describe_external(LargeWriter& writer, RecordHeader header,
                                                 const format::ExternalPlace& place) {
  const std::string payload = format::encode_external(place);
  header.flags |= format::kRecordExternal;
  header.frame_bytes = kFrameBytesLarge;
  header.payload_length = static_cast<uint32_t>(payload.size());
  header.payload_crc = crc32c(as_bytes(payload));
  Stream& stream = stream_of(header.parent);
  MutexLock lock(stream.mutex);
  TRY(make_ready(stream, format::kRecordHeaderBytes + payload.size()));
  const ByteView spans[] = {as_bytes(payload)};
  TRY_ASSIGN(const uint64_t end, write_record(stream, header, spans));
  return account_external(stream.open, end, header, writer.open, place);
}

Journaled StagingImpl::account_external(const JournalPtr& journal, uint64_t end,
                                        const RecordHeader& header, const JournalPtr& bytes,
                                        const format::ExternalPlace& place) {
  Journaled out;
  out.journal = journal->ticket;
  out.bytes_in = bytes->ticket;
  out.record.header = header;
  out.record.target = external_target(bytes->segment);
  out.record.first = place.offset - format::kExternalSliceAt;
  const auto now = seams_.clock.since_boot();
  const uint64_t slice_end = place.offset + place.frame_crcs.size() * kFrameBytesLarge;
  bytes_.fetch_add(slice_end - place.offset);
  // Both at once: a sync that covers the position must find it, and both files, everywhere.
  MutexLock bytes_lock(bytes->mutex);
  MutexLock lock(journal->mutex);
  bytes->note_record(header.ino, slice_end, now);
  bytes->frames.extend(format::kExternalSliceAt, place.frame_crcs);
  journal->note_record(header.ino, end, now);
  if (std::find(journal->needs.begin(), journal->needs.end(), bytes) == journal->needs.end())
    journal->needs.push_back(bytes);
  mark_dirty(bytes);
  mark_dirty(journal);
  out.position = last_position_.fetch_add(1) + 1;
  bytes->unsynced.push_back(out.position);
  journal->unsynced.push_back(out.position);
  MutexLock pairs(pairs_mutex_);
  pairs_.emplace(out.position, Pair{journal, bytes});
  return out;
}

std::optional<StagingImpl::Pair> StagingImpl::take_pair(uint64_t position) {
  MutexLock lock(pairs_mutex_);
  const auto at = pairs_.find(position);
  if (at == pairs_.end()) return std::nullopt;
  std::optional<Pair> pair(std::move(at->second));
  pairs_.erase(at);
  return pair;
}

// `failed` lost these positions: with the bytes goes the record, with the record the bytes.
void StagingImpl::lose_other_halves(const JournalPtr& failed,
                                    const std::vector<uint64_t>& positions) {
  for (const uint64_t position : positions) {
    const auto pair = take_pair(position);
    if (!pair.has_value()) continue;
    lose(pair->journal == failed ? pair->bytes : pair->journal, position);
  }
}

void StagingImpl::lose(const JournalPtr& journal, uint64_t position) {
  bool finish = false;
  {
    MutexLock lock(journal->mutex);
    const auto at = std::lower_bound(journal->lost.begin(), journal->lost.end(), position);
    if (at != journal->lost.end() && *at == position) return;  // it failed too
    journal->lost.insert(at, position);
    std::erase(journal->unsynced, position);
    std::erase(journal->syncing, position);
    CHECK(journal->uncommitted > 0);
    --journal->uncommitted;
    if (journal->header.external) --journal->records;
    finish = journal->finished();
  }
  if (finish) post([this, journal] { tell(journal); });
}

}  // namespace shoal::data
