#include "meta/extent_work.h"

#include <algorithm>

#include "format/keys.h"

namespace shoal::meta {
namespace {

std::string encode_record(const format::Extent& extent) {
  std::string value;
  Encoder out(value);
  out.u8(format::kExtentFormat);
  format::encode_extent(out, extent);
  return value;
}

void count_live(Change& change, const format::Extent& extent, int64_t sign) {
  if (extent.target.kind != format::Target::Kind::kSegment) return;
  change.live(extent.target.segment, sign * static_cast<int64_t>(extent.length));
}

}  // namespace

ExtentWork::ExtentWork(const ExtentStore& store, Ino ino, const InodeRef& ref)
    : store_(store),
      ino_(ino),
      ref_(ref),
      in_records_(ref->inode.content == format::Content::kExtents),
      map_(ref->inode.extents) {}

Status ExtentWork::load(uint64_t from, uint64_t to) {
  if (!in_records_ || (from >= loaded_from_ && to <= loaded_to_)) return {};
  if (!records_) {
    TRY_ASSIGN(records_, store_.all(ino_, ref_));
  }
  TRY_ASSIGN(const auto found, records_ ? load_part(records_->list, from, to, SIZE_MAX)
                                        : store_.load(ino_, ref_, from, to, SIZE_MAX / 2));
  for (const StampedExtent& stamped : found) {
    // What was loaded before may have been edited since; what was not lies outside of every edited
    // range.
    if (base_.emplace(stamped.extent.offset, stamped).second) map_.add(stamped.extent);
  }
  loaded_from_ = from;
  // No record lies behind the committed end of file, so appending needs no further look.
  loaded_to_ = to >= ref_->inode.size ? UINT64_MAX : to;
  return {};
}

// Are so few extents left that the inode can hold them? Loads the ones that were not looked at if
// so.
Result<bool> ExtentWork::fits_inline() {
  if (map_.size() > kExtentsInline) return false;
  if (!in_records_) return true;
  if (map_.size() >= base_.size()) return false;  // only what shrinks is worth the look
  const size_t most = base_.size() + kExtentsInline - map_.size();
  size_t all = 0;
  if (records_) {
    all = records_->list.size();
  } else {
    TRY_ASSIGN(all, store_.count(ino_, most + 1));
  }
  if (all > most) return false;
  loaded_to_ = 0;
  if (all > base_.size()) TRY(load(0, kFileBytesMax));
  return true;
}

// All records as they will be once committed with `stamp`; nullptr: not known, or too many.
ExtentRecordsRef ExtentWork::records_after(Stamp stamp) const {
  if (in_records_ && !records_) return nullptr;
  std::vector<StampedExtent> after;
  auto now = map_.extents().begin();
  const auto take_up_to = [&](uint64_t offset) {
    for (; now != map_.extents().end() && now->first < offset; ++now) {
      const auto before = base_.find(now->first);
      const bool same = before != base_.end() && before->second.extent == now->second;
      after.push_back({now->second, same ? before->second.stamp : stamp});
    }
  };
  if (records_) {
    after.reserve(records_->list.size() + map_.size());
    for (const StampedExtent& record : records_->list) {
      if (base_.contains(record.extent.offset)) continue;
      take_up_to(record.extent.offset);
      after.push_back(record);
    }
  }
  take_up_to(UINT64_MAX);
  return store_.keep(std::move(after));
}

void ExtentWork::write_records(Change& change) const {
  engine::Batch& batch = change.batch();
  auto now = map_.extents().begin();
  const auto now_end = map_.extents().end();
  const auto insert = [&](const format::Extent& extent) {
    batch.insert(format::extent_key(ino_, extent.offset), encode_record(extent));
  };
  for (const auto& [offset, before] : base_) {
    for (; now != now_end && now->first < offset; ++now) insert(now->second);
    if (now == now_end || now->first != offset) {
      batch.erase(format::extent_key(ino_, offset), before.stamp);
      continue;
    }
    if (now->second != before.extent) {
      batch.update(format::extent_key(ino_, offset), encode_record(now->second), before.stamp);
    }
    ++now;
  }
  for (; now != now_end; ++now) insert(now->second);
}

Status ExtentWork::finish(Change& change, format::Inode& inode) {
  int64_t bytes = 0;
  const auto count = [&](const format::Extent& extent, int64_t sign) {
    bytes += sign * static_cast<int64_t>(extent.length);
    count_live(change, extent, sign);
  };
  for (const auto& [offset, stamped] : base_) count(stamped.extent, -1);
  for (const format::Extent& extent : ref_->inode.extents) count(extent, -1);
  for (const auto& [offset, extent] : map_.extents()) count(extent, +1);
  inode.allocated = static_cast<uint64_t>(static_cast<int64_t>(inode.allocated) + bytes);
  change.usage(kUsedBytes, bytes);
  if ((inode.flags & format::kFlagTrashed) != 0) change.usage(kTrashBytes, bytes);

  TRY_ASSIGN(const bool few, fits_inline());
  if (!few) {
    write_records(change);
    inode.extents.clear();
    inode.content = format::Content::kExtents;
    change.set_records(ino_, records_after(change.stamp()));
    return {};
  }
  for (const auto& [offset, before] : base_) {
    change.batch().erase(format::extent_key(ino_, offset), before.stamp);
  }
  inode.extents = map_.list();
  change.set_records(ino_, nullptr);
  inode.content = inode.extents.empty() ? format::Content::kNone : format::Content::kInlineExtents;
  return {};
}

}  // namespace shoal::meta
