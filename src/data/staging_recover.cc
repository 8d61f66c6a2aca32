// What earlier processes left in the store's folder, read at open. Every file is a whole journal, a
// free file, or does not belong here and goes to quarantine.
#include "base/log.h"
#include "data/staging_impl.h"

namespace shoal::data {

namespace {

constexpr size_t kFreeFilesMax = 4;

// Empty when the header is of this store; else what is wrong.
std::string foreign(const Result<format::SegmentHeader>& header, const Uuid& volume,
                    const Uuid& store) {
  if (!header.ok()) return header.error().text();
  if (header->volume != volume) return "of volume " + header->volume.to_string();
  if (header->store != store) return "of store " + header->store.to_string();
  return {};
}

}  // namespace

Status StagingImpl::recover() {
  recovery_lines_ = folder_->notes();
  TRY_ASSIGN(const auto names, folder_->list_journals());
  for (const std::string& name : names) TRY(recover_file(name));
  TRY(recover_large());
  std::vector<uint64_t> surplus;
  {
    MutexLock lock(mutex_);
    while (free_.size() > kFreeFilesMax) {
      surplus.push_back(free_.back());
      free_.pop_back();
    }
  }
  for (const uint64_t number : surplus) {
    TRY(seams_.fs.remove(folder_->journal_path({.number = number, .free = true})));
  }
  // A process that died may have renamed without syncing: what is free must be so for good before
  // it is overwritten.
  return folder_->sync_journals();
}

void StagingImpl::quarantine(const std::string& name, const std::string& why) {
  std::string line =
      fmt::format("{} moved to quarantine: {}", join(folder_->journals(), name), why);
  if (const Status moved = folder_->quarantine(name); !moved.ok()) {
    line = fmt::format("{} does not belong here ({}) and cannot be moved: {}",
                       join(folder_->journals(), name), why, moved.error().text());
  }
  log(LogLevel::kError, "{}", line);
  recovery_lines_.push_back(std::move(line));
}

Status StagingImpl::recover_file(const std::string& file_name) {
  const auto name = JournalName::parse(file_name);
  if (!name.has_value()) {
    quarantine(file_name, "not a journal's name");
    return {};
  }
  next_number_ = std::max(next_number_.load(), name->number + 1);
  if (name->free) {
    MutexLock lock(mutex_);
    free_.push_back(name->number);
    return {};
  }
  const Path path = folder_->journal_path(*name);
  TRY_ASSIGN(auto file, seams_.fs.open(path, OpenMode::kReadWrite));
  std::array<std::byte, format::kSegmentHeaderBytes> head;
  TRY_ASSIGN(const size_t head_bytes, file->read_at(0, head));
  const auto header = format::decode_segment_header(ByteView(head).first(head_bytes));
  if (const std::string why = foreign(header, identity_.volume, uuid()); !why.empty()) {
    quarantine(file_name, why);
    return {};
  }
  if (holds(header->segment)) {
    quarantine(file_name, "a second journal of segment " + header->segment.to_string());
    return {};
  }
  TRY_ASSIGN(const uint64_t size, file->size());
  auto journal = std::make_shared<Journal>(*name, std::move(file), *header);
  {
    MutexLock lock(journal->mutex);
    journal->state = Journal::State::kSealed;
    journal->poisoned = journal->marked = name->end.has_value();
    journal->first_record_at = seams_.clock.since_boot();
  }
  if (!header->external) {
    const Status read = recover_records(journal, std::min(size, name->end.value_or(size)));
    if (read.code() == ENOTSUP) {
      quarantine(file_name, read.error().text());
      return {};
    }
    if (!read.ok()) return read.error().in("journal " + path);
  }
  enter(journal);
  return {};
}

Status StagingImpl::recover_records(const JournalPtr& journal, uint64_t limit) {
  std::vector<ExternalRecord> external;
  const auto visit = [&](uint64_t position, const format::RecordHeader& h,
                         ByteView payload) -> Status {
    MutexLock lock(journal->mutex);
    journal->note_ino(h.ino);
    if (h.kind != format::RecordKind::kData) return {};
    if ((h.flags & format::kRecordExternal) != 0) {
      TRY_ASSIGN(auto place, format::decode_external(payload));
      external.push_back({journal, h, std::move(place)});
    } else if (h.length > h.frame_bytes) {
      journal->frames.add(position + format::kRecordHeaderBytes, format::frame_crcs(payload));
    }
    return {};
  };
  TRY_ASSIGN(const Scan scan,
             scan_records(file_source(*journal->file), journal->segment, limit, visit));
  if (scan.torn) {
    recovery_lines_.push_back(
        fmt::format("journal {} cut at byte {}: torn record", journal->ticket, scan.end));
  }
  next_sequence_ = std::max(next_sequence_.load(), scan.sequence_max + 1);
  external_records_.insert(external_records_.end(), std::make_move_iterator(external.begin()),
                           std::make_move_iterator(external.end()));
  MutexLock lock(journal->mutex);
  journal->torn = scan.torn;
  journal->end = journal->synced_end = scan.end;
  journal->object_bytes = journal->poisoned ? 0 : scan.object_bytes;
  journal->records = journal->uncommitted = scan.records;
  journal->sort_inos();
  bytes_.fetch_add(scan.end - journal->begin());
  return {};
}

}  // namespace shoal::data
