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

Result<format::Extent> decode_extent_record(const engine::Item& item) {
  TRY_ASSIGN(const auto key, format::parse_extent_key(item.key));
  Decoder in(item.value);
  const uint8_t format = in.u8();
  if (format > format::kExtentFormat) {
    return error(ENOTSUP, "extent record of format {}: made by a newer shoal", format);
  }
  return format::decode_extent(in, key.second);
}

Result<std::vector<StampedExtent>> load_extents(engine::KvEngine& engine, Ino ino, uint64_t from,
                                                uint64_t to, size_t limit) {
  std::vector<StampedExtent> found;
  const std::string prefix = format::extent_prefix(ino);
  if (from > 0) {
    TRY_ASSIGN(const auto before, engine.last(nullptr, prefix, format::extent_key(ino, from)));
    if (before) {
      TRY_ASSIGN(const format::Extent extent, decode_extent_record(*before));
      if (extent.end() >= from) found.push_back({extent, before->stamp});
    }
  }
  std::string begin = format::extent_key(ino, from);
  const std::string end = format::extent_key(ino, to) + '\0';
  while (found.size() <= limit) {
    const size_t page_max = std::min(kPageEntriesMax, limit + 1 - found.size() + 1);
    TRY_ASSIGN(const engine::Page page, engine.scan(nullptr, begin, end, page_max));
    for (const engine::Item& item : page.items) {
      TRY_ASSIGN(const format::Extent extent, decode_extent_record(item));
      found.push_back({extent, item.stamp});
    }
    if (!page.more) break;
    begin = page.items.back().key + '\0';
  }
  return found;
}

ExtentWork::ExtentWork(engine::KvEngine& engine, Ino ino, const InodeRef& ref)
    : engine_(engine),
      ino_(ino),
      ref_(ref),
      in_records_(ref->inode.content == format::Content::kExtents),
      map_(ref->inode.extents) {}

Status ExtentWork::load(uint64_t from, uint64_t to) {
  if (!in_records_ || (from >= loaded_from_ && to <= loaded_to_)) return {};
  TRY_ASSIGN(const auto found, load_extents(engine_, ino_, from, to, SIZE_MAX / 2));
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
  const std::string prefix = format::extent_prefix(ino_);
  const size_t most = base_.size() + kExtentsInline - map_.size();
  size_t seen = 0;
  std::string begin = prefix;
  for (bool more = true; more;) {
    TRY_ASSIGN(const engine::Page page,
               engine_.scan(nullptr, begin, engine::prefix_end(prefix), kPageEntriesMax));
    seen += page.items.size();
    if (seen > most) return false;
    more = page.more;
    if (more) begin = page.items.back().key + '\0';
  }
  loaded_to_ = 0;
  if (seen > base_.size()) TRY(load(0, kFileBytesMax));
  return true;
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
    return {};
  }
  for (const auto& [offset, before] : base_) {
    change.batch().erase(format::extent_key(ino_, offset), before.stamp);
  }
  inode.extents = map_.list();
  inode.content = inode.extents.empty() ? format::Content::kNone : format::Content::kInlineExtents;
  return {};
}

}  // namespace shoal::meta
