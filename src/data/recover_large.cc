// Large writers' segments that earlier processes left. The records in the journals say which bytes
// they must hold; what a power cut tore is found here, before anything is offered to the owner.
#include <unordered_map>

#include "data/external_segment.h"
#include "data/staging_impl.h"

namespace shoal::data {

namespace {

constexpr uint64_t kFrame = kFrameBytesLarge;
constexpr uint64_t kEndMax = format::kExternalSliceAt + format::kExternalSliceBytesMax;

// The frames of a slice being put together, in order.
struct Slice {
  std::vector<uint32_t> crcs;
  std::vector<uint32_t> damaged;

  uint64_t end() const { return format::kExternalSliceAt + crcs.size() * kFrame; }
  // Frames that no record describes hold nothing that anybody may read: a CRC that does not match.
  void skip_to(uint64_t position) {
    while (end() < position) {
      damaged.push_back(static_cast<uint32_t>(crcs.size()));
      crcs.push_back(0);
    }
  }
};

}  // namespace

Status StagingImpl::recover_large() {
  std::unordered_map<SegmentId, std::vector<ExternalRecord>> by_segment;
  for (ExternalRecord& record : external_records_)
    by_segment[record.place.segment].push_back(std::move(record));
  external_records_.clear();
  for (const JournalPtr& journal : all_journals()) {
    if (!journal->header.external) continue;
    TRY(recover_slice(journal, std::move(by_segment[journal->segment])));
    by_segment.erase(journal->segment);
  }
  // Segments that are not here were recycled: then the owner has these records, durably. Or they
  // are lost, and it shall not have them.
  for (const auto& [segment, records] : by_segment) {
    for (const ExternalRecord& record : records) bytes_are_missing_.insert(record.header.sequence);
  }
  return {};
}

Status StagingImpl::recover_slice(const JournalPtr& journal, std::vector<ExternalRecord> records) {
  std::sort(records.begin(), records.end(),
            [](const auto& a, const auto& b) { return a.place.offset < b.place.offset; });
  uint64_t limit = kEndMax;
  bool poisoned = false;
  std::optional<ExternalSeal> seal;
  {
    MutexLock lock(journal->mutex);
    poisoned = journal->poisoned;
    if (poisoned) limit = std::min(*journal->name.end, kEndMax);
  }
  if (!poisoned) {
    TRY_ASSIGN(seal, find_external_seal(*journal->file, journal->segment));
    if (seal.has_value()) limit = format::kExternalSliceAt + seal->slice_bytes;
  }
  Slice slice;
  std::vector<Ino> inos;
  uint64_t whole = 0;
  bool torn = false;
  for (const ExternalRecord& record : records) {
    const auto& crcs = record.place.frame_crcs;
    const uint64_t at = record.place.offset;
    const bool fits = at % kFrame == 0 && at >= slice.end() && at <= limit &&
                      crcs.size() * kFrame <= limit - at &&
                      crcs.size() * kFrame == whole_frames(record.header.length);
    {
      MutexLock lock(record.journal->mutex);
      auto& needs = record.journal->needs;
      if (std::find(needs.begin(), needs.end(), journal) == needs.end()) needs.push_back(journal);
    }
    if (!fits) {
      bytes_are_missing_.insert(record.header.sequence);
      continue;
    }
    TRY_ASSIGN(const auto wrong, wrong_frames(*journal->file, at, crcs));
    slice.skip_to(at);
    for (const uint32_t frame : wrong)
      slice.damaged.push_back(static_cast<uint32_t>(slice.crcs.size()) + frame);
    slice.crcs.insert(slice.crcs.end(), crcs.begin(), crcs.end());
    inos.push_back(record.header.ino);
    if (wrong.empty()) {
      ++whole;
      continue;
    }
    torn = true;
    bytes_are_missing_.insert(record.header.sequence);
    recovery_lines_.push_back(fmt::format(
        "journal {}: {} bytes at {} of inode {} (sequence {}) are torn", journal->ticket,
        record.header.length, record.header.offset, record.header.ino, record.header.sequence));
  }
  if (poisoned) slice.skip_to(limit);
  MutexLock lock(journal->mutex);
  if (seal.has_value()) {
    inos.push_back(seal->ino);
    slice.crcs = std::move(seal->frame_crcs);
    slice.damaged.clear();
    journal->object_bytes = seal->object_bytes;
    whole = std::max<uint64_t>(whole, 1);  // it was stored, or is to be
  }
  journal->torn = torn;
  journal->records = journal->uncommitted = whole;
  for (const Ino ino : inos) journal->note_ino(ino);
  journal->sort_inos();
  journal->end = journal->synced_end = slice.end();
  journal->damaged_frames = std::move(slice.damaged);
  journal->frames.extend(format::kExternalSliceAt, slice.crcs);
  bytes_.fetch_add(journal->end - journal->begin());
  return {};
}

}  // namespace shoal::data
