#include "data/frame_tables.h"

#include "base/limits.h"
#include "format/segment.h"

namespace shoal::data {

namespace {
constexpr int kTries = 3;
}

struct FrameTables::Slot {
  Mutex mutex;  // held while loading: the others of this segment wait here
  std::shared_ptr<const FrameTable> table GUARDED_BY(mutex);
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
  Result<std::shared_ptr<const FrameTable>> loaded = load(id);
  MutexLock lock(mutex_);
  const auto it = slots_.find(id);
  const bool current = it != slots_.end() && it->second == slot;
  if (!loaded.ok()) {
    if (current) slots_.erase(it);
    return loaded;
  }
  slot->table = *loaded;
  if (!current) return loaded;
  order_.push_back(id);
  bytes_ += (*loaded)->memory_bytes();
  while (bytes_ > memory_bytes_ && order_.size() > 1) {
    const auto oldest = slots_.find(order_.front());
    order_.pop_front();
    if (oldest == slots_.end()) continue;
    // Its table is set, so nobody holds its mutex for long.
    MutexLock evicted(oldest->second->mutex);
    bytes_ -= oldest->second->table->memory_bytes();
    slots_.erase(oldest);
  }
  return loaded;
}

void FrameTables::drop(const SegmentId& id) {
  std::shared_ptr<Slot> slot;
  MutexLock lock(mutex_);
  const auto it = slots_.find(id);
  if (it == slots_.end()) return;
  const size_t before = order_.size();
  order_.remove(id);
  if (order_.size() == before) return;  // being loaded: fresh enough
  slot = it->second;
  slots_.erase(it);
  MutexLock dropped(slot->mutex);
  bytes_ -= slot->table->memory_bytes();
}

Result<std::shared_ptr<const FrameTable>> FrameTables::load(const SegmentId& id) {
  object::CallOptions options;
  options.deadline = deadline_;
  TRY_ASSIGN(const object::ObjectInfo info,
             object::head_and_wait(store_, format::segment_object_key(volume_, id), options));
  if (info.size < format::kFooterTailBytes) {
    return error(EIO, "segment {} has {} bytes: too short for a footer", id.to_string(), info.size);
  }
  // The disk cache gives what it has unchecked, and a power cut may have torn that: what makes no
  // footer is dropped and asked for again.
  Result<format::Footer> footer = read_footer(id, info.size);
  for (int attempt = 1; attempt < kTries && footer.code() == EBADMSG; ++attempt)
    footer = read_footer(id, info.size);
  if (footer.code() == EBADMSG)
    return error(EIO, "segment {}: {}", id.to_string(), footer.error().text());
  if (!footer.ok()) return footer.error();
  auto table = std::make_shared<FrameTable>();
  table->crcs = std::move(footer->frame_crcs);
  for (const format::FooterRecord& record : footer->records) {
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

// EBADMSG: what was read is none; no copy of it is left here.
Result<format::Footer> FrameTables::read_footer(const SegmentId& id, uint64_t object_bytes) {
  ByteBuffer tail(format::kFooterTailBytes);
  const uint64_t tail_at = object_bytes - tail.size();
  TRY(blocks_.read(id, tail_at, tail, BlockSource::Want::kExact));
  const Result<format::FooterPlace> place = format::find_footer(tail, object_bytes);
  if (!place.ok()) {
    blocks_.drop(id, tail_at, tail.size());
    return place.error();
  }
  ByteBuffer bytes(place->length);
  TRY(blocks_.read(id, place->offset, bytes, BlockSource::Want::kExact));
  Result<format::Footer> footer = format::decode_footer(bytes, id);
  if (!footer.ok()) blocks_.drop(id, place->offset, object_bytes - place->offset);
  return footer;
}

}  // namespace shoal::data
