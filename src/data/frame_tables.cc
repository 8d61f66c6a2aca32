#include "data/frame_tables.h"

#include <algorithm>
#include <optional>

#include "base/limits.h"
#include "base/log.h"

namespace shoal::data {
namespace {

// Read at once: the footers of most segments are shorter, so that one request brings them.
constexpr uint64_t kFooterFirstBytes = 128 << 10;

}  // namespace

struct FrameTables::Slot {
  Mutex mutex;  // held while loading: the others of this segment wait here
  std::shared_ptr<const FrameTable> table GUARDED_BY(mutex);
  std::optional<Error> failed GUARDED_BY(mutex);  // for those who waited; later ones try again
  // Guarded by FrameTables::mutex_, so that whoever lets a table go needs no lock that is held
  // while others load.
  uint64_t memory_bytes = 0;
};

FrameTables::FrameTables(object::ObjectStore& store, BlockSource& blocks, const Uuid& volume,
                         uint64_t memory_bytes, std::chrono::milliseconds deadline)
    : store_(store),
      blocks_(blocks),
      volume_(volume),
      memory_bytes_(memory_bytes),
      deadline_(deadline) {}

Result<std::shared_ptr<const FrameTable>> FrameTables::get(const SegmentId& id) {
  std::shared_ptr<Slot> slot;
  {
    MutexLock lock(mutex_);
    std::shared_ptr<Slot>& entry = slots_[id];
    if (entry == nullptr) entry = std::make_shared<Slot>();
    slot = entry;
  }
  MutexLock loading(slot->mutex);
  if (slot->table != nullptr) return slot->table;
  if (slot->failed) return *slot->failed;
  Result<std::shared_ptr<const FrameTable>> loaded = load(id);
  MutexLock lock(mutex_);
  const auto it = slots_.find(id);
  const bool current = it != slots_.end() && it->second == slot;
  if (!loaded.ok()) {
    if (current) slots_.erase(it);
    slot->failed = loaded.error();
    return loaded;
  }
  slot->table = *loaded;
  if (!current) return loaded;
  order_.push_back(id);
  slot->memory_bytes = (*loaded)->memory_bytes();
  bytes_ += slot->memory_bytes;
  while (bytes_ > memory_bytes_ && order_.size() > 1) {
    const auto oldest = slots_.find(order_.front());
    order_.pop_front();
    bytes_ -= oldest->second->memory_bytes;
    slots_.erase(oldest);
  }
  return loaded;
}

void FrameTables::drop(const SegmentId& id) {
  std::shared_ptr<Slot> slot;  // freed without the lock
  MutexLock lock(mutex_);
  const auto it = slots_.find(id);
  if (it == slots_.end()) return;
  const size_t before = order_.size();
  order_.remove(id);
  if (order_.size() == before) return;  // being loaded: fresh enough
  slot = std::move(it->second);
  slots_.erase(it);
  bytes_ -= slot->memory_bytes;
}

Result<std::shared_ptr<const FrameTable>> FrameTables::load(const SegmentId& id) {
  object::CallOptions options;
  options.deadline = deadline_;
  TRY_ASSIGN(const object::ObjectInfo info,
             object::head_and_wait(store_, format::segment_object_key(volume_, id), options));
  if (info.size < format::kFooterTailBytes) {
    return error(EIO, "segment {} has {} bytes: too short for a footer", id.to_string(), info.size);
  }
  for (int attempt = 1;; ++attempt) {
    uint64_t from = 0;
    const Result<format::Footer> footer = read_footer(id, info.size, &from);
    if (footer.ok()) return table_of(id, *footer);
    if (!footer.error().is(ENODATA)) return footer.error();
    blocks_.drop(id, from, info.size - from);
    log(LogLevel::kWarn, "segment {}: {}", id.to_string(), footer.error().text());
    if (attempt == kFetchTries)
      return error(EIO, "segment {}: {}", id.to_string(), footer.error().text());
  }
}

// ENODATA: the copy that was read, from byte `from` on, is not what was written.
Result<format::Footer> FrameTables::read_footer(const SegmentId& id, uint64_t object_bytes,
                                                uint64_t* from) {
  ByteBuffer bytes(std::min<uint64_t>(object_bytes, kFooterFirstBytes));
  *from = object_bytes - bytes.size();
  TRY(blocks_.read(id, *from, bytes, BlockSource::Want::kExact));
  const Result<format::FooterPlace> place =
      format::find_footer(ByteView(bytes).last(format::kFooterTailBytes), object_bytes);
  if (!place.ok()) return Error(ENODATA, place.error().text());
  if (place->length > bytes.size()) {
    bytes.resize(place->length);
    *from = place->offset;
    TRY(blocks_.read(id, *from, bytes, BlockSource::Want::kExact));
  }
  Result<format::Footer> footer = format::decode_footer(ByteView(bytes).last(place->length), id);
  if (!footer.ok()) return Error(ENODATA, footer.error().text());
  return footer;
}

Result<std::shared_ptr<const FrameTable>> FrameTables::table_of(const SegmentId& id,
                                                                const format::Footer& footer) {
  auto table = std::make_shared<FrameTable>();
  table->crcs = footer.frame_crcs;
  for (const format::FooterRecord& record : footer.records) {
    if (record.header.kind != format::RecordKind::kData || record.header.frame_bytes == 0) continue;
    // Its bytes and their CRCs are in another segment.
    if ((record.header.flags & format::kRecordExternal) != 0) continue;
    const uint64_t frames =
        (record.header.length + record.header.frame_bytes - 1) / record.header.frame_bytes;
    if (frames <= 1) continue;
    if (record.first_frame + frames > table->crcs.size()) {
      return error(EIO, "segment {}: the footer's frame table is too short", id.to_string());
    }
    table->slices.emplace(record.position + format::kRecordHeaderBytes,
                          std::pair(record.first_frame, static_cast<uint32_t>(frames)));
  }
  return std::shared_ptr<const FrameTable>(std::move(table));
}

}  // namespace shoal::data
