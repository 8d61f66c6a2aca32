#include "data/frame_tables.h"

#include "base/limits.h"
#include "format/segment.h"

namespace shoal::data {
namespace {

// In a large writer's segment the slice has no record header before it. (The journal's record of
// such a slice has no frames of its own: frame_bytes is 0 there.)
uint64_t slice_offset(const format::FooterRecord& record) {
  const bool external = (record.header.flags & format::kRecordExternal) != 0;
  return record.position + (external ? 0 : format::kRecordHeaderBytes);
}

}  // namespace

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
  ByteBuffer tail(format::kFooterTailBytes);
  TRY(blocks_.read(id, info.size - tail.size(), tail, BlockSource::Want::kExact));
  Result<format::FooterPlace> place = format::find_footer(tail, info.size);
  if (!place.ok()) {
    blocks_.drop(id, info.size - tail.size(), tail.size());
    return error(EIO, "segment {}: {}", id.to_string(), place.error().text());
  }
  ByteBuffer bytes(place->length);
  TRY(blocks_.read(id, place->offset, bytes, BlockSource::Want::kExact));
  Result<format::Footer> footer = format::decode_footer(bytes, id);
  if (!footer.ok()) {
    blocks_.drop(id, place->offset, place->length);
    return error(EIO, "segment {}: {}", id.to_string(), footer.error().text());
  }
  auto table = std::make_shared<FrameTable>();
  table->crcs = std::move(footer->frame_crcs);
  for (const format::FooterRecord& record : footer->records) {
    if (record.header.kind != format::RecordKind::kData || record.header.frame_bytes == 0) continue;
    const uint64_t frames =
        (record.header.length + record.header.frame_bytes - 1) / record.header.frame_bytes;
    if (frames <= 1) continue;
    if (record.first_frame + frames > table->crcs.size()) {
      return error(EIO, "segment {}: the footer's frame table is too short", id.to_string());
    }
    table->slices.emplace(slice_offset(record),
                          std::pair(record.first_frame, static_cast<uint32_t>(frames)));
  }
  return std::shared_ptr<const FrameTable>(std::move(table));
}

}  // namespace shoal::data
