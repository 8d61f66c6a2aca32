// Serving slices that are (still) in a journal. A pinned journal is not recycled, so its bytes stay
// what they are.
#include "base/crc32c.h"
#include "base/limits.h"
#include "data/staging_impl.h"

namespace shoal::data {

class StagingImpl::Pin {
 public:
  Pin(const StagingImpl& staging, const SegmentId& id) {
    ReadLock lock(staging.registry_mutex_);
    const auto at = staging.by_segment_.find(id);
    if (at == staging.by_segment_.end()) return;
    journal_ = at->second;
    journal_->pins.fetch_add(1);
  }
  ~Pin() {
    if (journal_ != nullptr) journal_->pins.fetch_sub(1);
  }
  Pin(const Pin&) = delete;
  Pin& operator=(const Pin&) = delete;

  explicit operator bool() const { return journal_ != nullptr; }
  Journal* operator->() const { return journal_.get(); }

 private:
  JournalPtr journal_;
};

bool StagingImpl::holds(const SegmentId& id) const {
  ReadLock lock(registry_mutex_);
  return by_segment_.contains(id);
}

Status StagingImpl::read(const SegmentId& id, uint64_t offset, MutableBytes into) {
  const Pin journal(*this, id);
  if (!journal) return Error(ENOENT);
  uint64_t end = 0;
  {
    MutexLock lock(journal->mutex);
    end = std::max(journal->end, journal->object_bytes);
  }
  if (offset > end || into.size() > end - offset) {
    return error(EIO, "segment {} has {} bytes in staging, asked for {}+{}", id.to_string(), end,
                 offset, into.size());
  }
  TRY_ASSIGN(const size_t n, journal->file->read_at(offset, into));
  if (n == into.size()) return {};
  return error(EIO, "segment {}: journal file ends at {}", id.to_string(), offset + n);
}

void StagingImpl::will_need(const SegmentId& id, uint64_t begin, uint64_t end) {
  const Pin journal(*this, id);
  if (journal) journal->file->will_need(begin, end - begin);
}

Result<std::vector<uint32_t>> StagingImpl::frame_crcs(const SegmentId& id, uint64_t offset) {
  const Pin journal(*this, id);
  if (!journal) return Error(ENOENT);
  {
    MutexLock lock(journal->mutex);
    if (const auto* crcs = journal->frames.find(offset)) return *crcs;
    if (offset > journal->end)
      return error(EIO, "segment {} has no slice at {}", id.to_string(), offset);
  }
  constexpr uint64_t kFirst = format::kSegmentHeaderBytes + format::kRecordHeaderBytes;
  if (offset < kFirst) return error(EIO, "segment {} has no slice at {}", id.to_string(), offset);
  const auto header = read_record_header(*journal->file, id, offset - format::kRecordHeaderBytes);
  if (!header.ok() || header->kind != format::RecordKind::kData ||
      (header->flags & format::kRecordExternal) != 0 || header->length > header->frame_bytes) {
    return error(EIO, "segment {} has no slice of one frame at {}", id.to_string(), offset);
  }
  return std::vector<uint32_t>{header->payload_crc};
}

}  // namespace shoal::data
