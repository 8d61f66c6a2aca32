#include "data/replay.h"

#include <queue>
#include <unordered_set>

#include "base/log.h"
#include "data/external_segment.h"

namespace shoal::data {

using format::RecordHeader;
using format::RecordKind;

namespace {

constexpr size_t kBatchRecordsMax = 1000;
constexpr size_t kLinesMax = 10'000;
constexpr uint64_t kRecordCost = 256;  // of an ordinary record in a message

std::string_view kind_name(RecordKind kind) {
  switch (kind) {
    case RecordKind::kData:
      return "data";
    case RecordKind::kTruncate:
      return "truncate";
    case RecordKind::kPunch:
      return "punch";
    case RecordKind::kZero:
      return "zero";
    case RecordKind::kTimes:
      return "times";
    default:
      return "record";
  }
}

std::string describe(const RecordHeader& h) {
  return fmt::format("{} {}+{} of inode {} generation {} under directory {}, sequence {} after {}",
                     kind_name(h.kind), h.offset, h.length, h.ino, h.generation, h.parent,
                     h.sequence, h.previous_sequence);
}

}  // namespace

Result<ReplayReport> StagingImpl::replay(meta::Metadata& metadata, uint32_t store_number) {
  CHECK(metadata_ == nullptr);
  metadata_ = &metadata;
  store_number_ = store_number;
  TRY_ASSIGN(ReplayReport report, Replay(*this, metadata).run());
  bytes_are_missing_.clear();
  replayed_ = true;
  {
    MutexLock lock(mutex_);
    standby_[kSmall].wanted = true;
  }
  post([this] { prepare_ahead(kSmall); });
  pump();
  return report;
}

Result<ReplayReport> Replay::run() {
  for (std::string& line : staging_.recovery_lines_) {
    if (line.find("quarantine") != std::string::npos) ++report_.quarantined_files;
    note(std::move(line));
  }
  staging_.recovery_lines_.clear();
  for (const JournalPtr& journal : staging_.all_journals()) {
    auto source = std::make_unique<Source>();
    source->journal = journal;
    MutexLock lock(journal->mutex);
    source->end = journal->end;
    ++report_.journals;
    if (journal->header.external) {
      large_[journal->segment] = source.get();
    } else {
      report_.records += journal->records;
    }
    report_.torn_tails += journal->torn ? 1 : 0;
    sources_.push_back(std::move(source));
  }
  TRY(make_durable());
  TRY(offer_all());
  TRY(settle());
  TRY(write_report());
  return std::move(report_);
}

// What survived a SIGKILL may still be in the page cache only: durable before committed (I1).
Status Replay::make_durable() {
  for (const auto& source : sources_) {
    bool poisoned = false;
    {
      MutexLock lock(source->journal->mutex);
      poisoned = source->journal->poisoned;  // what counts of it was synced before
    }
    if (poisoned) continue;
    const Status synced = source->journal->file->sync_data();
    if (!synced.ok()) {
      return synced.error().in(
          fmt::format("journal {} of store {}", source->journal->ticket, staging_.folder()));
    }
  }
  return {};
}

Status Replay::advance(Source& source) {
  source.position = source.next;
  if (source.position >= source.end) return {};
  TRY_ASSIGN(source.header,
             read_record_header(*source.journal->file, source.journal->segment, source.position));
  source.next = source.position + format::kRecordHeaderBytes + source.header.payload_length;
  return {};
}

Status Replay::offer_all() {
  const auto later = [](const Source* a, const Source* b) {
    return a->header.sequence > b->header.sequence;
  };
  std::priority_queue<Source*, std::vector<Source*>, decltype(later)> heap(later);
  for (const auto& source : sources_) {
    if (source->journal->header.external) continue;
    TRY(advance(*source));
    if (source->position < source->end) heap.push(source.get());
  }
  while (!heap.empty()) {
    Source& source = *heap.top();
    heap.pop();
    // Without its bytes it ends what can be known of its inode. (Or the owner has had it for long.)
    if (!staging_.bytes_are_missing_.contains(source.header.sequence)) TRY(offer(source));
    TRY(advance(source));
    if (source.position < source.end) heap.push(&source);
  }
  return flush_batch();
}

Status Replay::offer(Source& source) {
  TRY_ASSIGN(Offered one, offered(source));
  if (source.journal->header.lineage != staging_.identity_.lineage) {
    ++report_.conflicts;
    ++one.journal->refused;
    ++one.bytes->refused;
    note("written under another lineage, not applied: " + describe(source.header));
    return {};
  }
  batch_.push_back(std::move(one));
  batch_bytes_ += kRecordCost;
  const bool full =
      batch_.size() >= kBatchRecordsMax || batch_bytes_ + kRecordCost > kBatchBytesMax;
  return full ? flush_batch() : Status();
}

Result<Replay::Offered> Replay::offered(Source& source) {
  const RecordHeader& h = source.header;
  Offered one{{}, &source, &source};
  one.record.header = h;
  one.record.append = (h.flags & format::kRecordAppend) != 0;
  if (h.kind != RecordKind::kData) return one;
  format::Target target;
  target.segment = source.journal->segment;
  target.offset = source.position + format::kRecordHeaderBytes;
  target.length = h.length;
  if (h.length <= kFrameBytesMax) target.crc = h.payload_crc;
  if ((h.flags & format::kRecordExternal) != 0) {
    ByteBuffer payload(h.payload_length);
    TRY_ASSIGN(const size_t n, source.journal->file->read_at(target.offset, payload));
    TRY_ASSIGN(const auto place, format::decode_external(ByteView(payload).first(n)));
    const auto bytes = large_.find(place.segment);
    CHECK(bytes != large_.end());  // else recovery has called its bytes missing
    one.bytes = bytes->second;
    one.record.first = place.offset - format::kExternalSliceAt;
    target = external_target(place.segment);
  }
  one.record.target = target;
  return one;
}

Status Replay::flush_batch() {
  if (batch_.empty()) return {};
  std::vector<meta::DataRecord> records;
  records.reserve(batch_.size());
  for (const Offered& one : batch_) records.push_back(one.record);
  TRY_ASSIGN(const meta::CommitReply reply,
             metadata_.commit_data({}, staging_.store_number_, records));
  if (reply.outcomes.size() != batch_.size()) {
    return error(EIO, "the owner answered {} outcomes for {} records", reply.outcomes.size(),
                 batch_.size());
  }
  for (size_t i = 0; i < batch_.size(); ++i) count(batch_[i], reply.outcomes[i]);
  batch_.clear();
  batch_bytes_ = 0;
  return {};
}

void Replay::count(const Offered& offered, const meta::DataOutcome& outcome) {
  const RecordHeader& header = offered.record.header;
  const bool two = offered.bytes != offered.journal;
  switch (outcome.kind) {
    case meta::DataOutcome::Kind::kApplied:
      ++report_.applied;
      break;
    case meta::DataOutcome::Kind::kAlready:
      ++report_.already;
      break;
    case meta::DataOutcome::Kind::kNoInode:
      ++report_.no_inode;
      note("its inode is gone, dropped: " + describe(header));
      return;
    case meta::DataOutcome::Kind::kConflict:
      ++report_.conflicts;
      ++offered.journal->refused;
      if (two) ++offered.bytes->refused;
      note(fmt::format(
          "predecessor or base version is missing, not applied: {}; bytes in segment {}",
          describe(header), offered.bytes->journal->segment.to_string()));
      return;
  }
  ++offered.journal->living;
  if (two) ++offered.bytes->living;
}

void Replay::note(std::string line) {
  if (report_.lines.size() < kLinesMax) {
    report_.lines.push_back(std::move(line));
  } else {
    ++lines_dropped_;
  }
}

Status Replay::settle() {
  TRY_ASSIGN(auto listed, metadata_.store_segments(staging_.store_number_));
  const Stamp stamp = metadata_.committed_stamp();
  std::unordered_set<SegmentId> staged;  // as `B` says
  for (meta::SegmentInfo& segment : listed) {
    staged.insert(segment.id);
    if (staging_.holds(segment.id)) continue;
    const bool given_up = segment.record.state == format::Segment::State::kLost;
    if (given_up && segment.live_bytes > 0) continue;  // told before
    note(fmt::format("segment {} was staged here and its journal is gone: {} live bytes are lost",
                     segment.id.to_string(), segment.live_bytes));
    report_.lost_segments.push_back(std::move(segment));
  }
  for (const auto& source : sources_) {
    const bool staging_in_b = staged.contains(source->journal->segment);
    if (!staging_in_b) TRY(drop_unless_wanted(*source));
    settle_journal(*source, staging_in_b, stamp);
  }
  return staging_.sync_engine();
}

// Others gave the segment up while this store was away, and nothing needs it: the bucket is not to
// have it either. (Refused records need it: their bytes are nowhere else.)
Status Replay::drop_unless_wanted(Source& source) {
  const auto place = metadata_.segment_place(source.journal->segment);
  if (!place.ok() && !place.error().is(ENOENT)) return place.error();
  if (!place.ok()) source.living = 0;
  return {};
}

// A journal that holds nothing alive is discarded. What `B` still calls staging is uploaded. What
// the bucket has already waits for recycling only.
void Replay::settle_journal(Source& source, bool staging_in_b, Stamp stamp) {
  const JournalPtr& journal = source.journal;
  bool stored = false;
  bool done = false;
  {
    MutexLock lock(journal->mutex);
    journal->uncommitted = 0;
    journal->commit_stamp = stamp;
    journal->discard = source.living == 0 && source.refused == 0;
    stored = !staging_in_b && journal->records > 0 && journal->object_bytes > 0;
    if (stored) journal->state = Journal::State::kUploaded;
    // The journal with its records was recycled, so the owner knew that it is stored and complete.
    done = journal->header.external && !staging_in_b && journal->records == 0;
    if (done) {
      journal->state = Journal::State::kStored;
      journal->complete_told = true;
      journal->told_stamp = stamp;
    }
  }
  if (done) {
    staging_.told(journal);
  } else if (stored) {
    staging_.post([&staging = staging_, journal] { staging.tell(journal); });
  } else {
    staging_.enqueue(journal, false);
  }
}

Status Replay::write_report() {
  if (report_.lines.empty()) return {};
  std::string text;
  for (const std::string& line : report_.lines) text += line + "\n";
  if (lines_dropped_ > 0) text += fmt::format("and {} more\n", lines_dropped_);
  const Path path =
      join(staging_.folder(), fmt::format("report-{}.txt", staging_.folder_->identity().starts));
  log(LogLevel::kWarn, "replay: {} of {} records not applied, see {}",
      report_.no_inode + report_.conflicts, report_.records, path);
  return write_file_atomically(staging_.seams_.fs, path, as_bytes(text));
}

}  // namespace shoal::data
