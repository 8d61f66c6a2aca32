// fsck of inodes and data: I, E, X, A, B, W, R, and what waits to be freed: O, G, T.
#include "format/keys.h"
#include "meta/extent_work.h"
#include "meta/fsck_state.h"

namespace shoal::meta {
namespace {

std::string unreadable(std::string_view what, const engine::Item& item) {
  return fmt::format("{} {} cannot be read", what, to_hex(as_bytes(item.key)));
}

// The inode a record belongs to; null after a problem was noted.
InodeSummary* owner_of(FsckState& state, std::string_view what, Ino ino) {
  const auto it = state.inodes.find(ino);
  if (it != state.inodes.end()) return &it->second;
  state.problem(fmt::format("{} of inode {}, which does not exist", what, ino));
  return nullptr;
}

}  // namespace

void fsck_extent(FsckState& state, Ino ino, InodeSummary& inode, const format::Extent& extent) {
  ++state.report.extents;
  state.report.bytes += extent.length;
  inode.allocated_seen += extent.length;
  if (!inode.is_regular()) state.problem(fmt::format("inode {} is no file and has an extent", ino));
  if (extent.offset < inode.extents_end) {
    state.problem(fmt::format("inode {}: extents overlap at {}", ino, extent.offset));
  }
  if (extent.end() > inode.size && !inode.range_reclaim && !inode.reclaim) {
    state.problem(fmt::format("inode {}: an extent ends at {}, the file at {}", ino, extent.end(),
                              inode.size));
  }
  if (extent.length == 0 || extent.first + extent.length > extent.target.length) {
    state.problem(
        fmt::format("inode {}: the extent at {} is outside its slice", ino, extent.offset));
  }
  inode.extents_end = std::max(inode.extents_end, extent.end());
  if (extent.target.kind == format::Target::Kind::kSegment) {
    state.segments[extent.target.segment].live_seen += static_cast<int64_t>(extent.length);
  }
}

Status fsck_inodes(FsckState& state) {
  // Ranges that are being freed explain extents behind the end of a file.
  std::vector<Ino> ranges;
  TRY(state.each("G", [&ranges](const engine::Item& item) -> Status {
    const auto key = format::parse_reclaim_key(item.key);
    const Result<format::ReclaimRecord> record = format::decode_reclaim(item.value);
    if (key.ok() && record.ok() && record->range) ranges.push_back(key->second);
    return {};
  }));
  for (const Ino ino : ranges) state.inodes[ino].range_reclaim = true;
  TRY(state.each("I", [&state](const engine::Item& item) -> Status {
    const Result<Ino> ino = format::parse_inode_key(item.key);
    const Result<format::Inode> record = format::decode_inode(item.value);
    if (!ino.ok() || !record.ok()) {
      state.problem(unreadable("inode", item));
      return {};
    }
    InodeSummary& inode = state.inodes[*ino];
    ++state.report.inodes;
    if (record->is_directory()) ++state.report.directories;
    inode.mode = record->mode;
    inode.nlink = record->nlink;
    inode.flags = record->flags;
    inode.parent = record->parent;
    inode.entries = record->entries;
    inode.size = record->size;
    inode.allocated = record->allocated;
    inode.acl_access = record->acl_access;
    inode.acl_default = record->acl_default;
    inode.content = record->content;
    inode.big_xattrs = record->has_big_xattrs;
    for (const format::Extent& extent : record->extents) fsck_extent(state, *ino, inode, extent);
    return {};
  }));
  std::erase_if(state.inodes, [&state](const auto& item) {
    if (item.second.mode != 0) return false;
    state.problem(
        fmt::format("a range of inode {} waits to be freed, but it does not exist", item.first));
    return true;
  });
  return {};
}

Status fsck_waiting(FsckState& state) {
  TRY(state.each("O", [&state](const engine::Item& item) -> Status {
    const auto key = format::parse_open_unlinked_key(item.key);
    if (!key.ok()) return state.problem(unreadable("open-unlinked record", item)), Status();
    if (InodeSummary* inode = owner_of(state, "open-unlinked record", key->second))
      inode->open_unlinked = true;
    ++state.report.reclaimable;
    return {};
  }));
  TRY(state.each("G", [&state](const engine::Item& item) -> Status {
    const auto key = format::parse_reclaim_key(item.key);
    const Result<format::ReclaimRecord> record = format::decode_reclaim(item.value);
    if (!key.ok() || !record.ok())
      return state.problem(unreadable("reclaim record", item)), Status();
    if (record->range) return {};
    if (InodeSummary* inode = owner_of(state, "reclaim record", key->second)) inode->reclaim = true;
    ++state.report.reclaimable;
    return {};
  }));
  TRY(state.each("T", [&state](const engine::Item& item) -> Status {
    const auto key = format::parse_trash_key(item.key);
    const Result<format::TrashRecord> record = format::decode_trash(item.value);
    if (!key.ok() || !record.ok()) return state.problem(unreadable("trash record", item)), Status();
    InodeSummary* inode = owner_of(state, "trash record", key->second);
    if (inode == nullptr) return {};
    inode->trashed = true;
    if ((inode->flags & format::kFlagTrashed) == 0) {
      state.problem(fmt::format("inode {} has a trash record and no trash flag", key->second));
    }
    return {};
  }));
  for (const auto& [ino, inode] : state.inodes) {
    if ((inode.flags & format::kFlagTrashed) != 0 && !inode.trashed) {
      state.problem(fmt::format("inode {} has the trash flag and no trash record", ino));
    }
  }
  return {};
}

namespace {

Status check_extent_records(FsckState& state) {
  return state.each("E", [&state](const engine::Item& item) -> Status {
    const auto key = format::parse_extent_key(item.key);
    if (!key.ok()) return state.problem(unreadable("extent", item)), Status();
    const Result<format::Extent> extent = decode_extent_record(item);
    if (!extent.ok()) return state.problem(unreadable("extent", item)), Status();
    InodeSummary* inode = owner_of(state, "extent", key->first);
    if (inode == nullptr) {
      if (extent->target.kind == format::Target::Kind::kSegment) {
        state.segments[extent->target.segment].live_seen += static_cast<int64_t>(extent->length);
      }
      return {};
    }
    inode->extent_records_seen = true;
    if (inode->content != format::Content::kExtents) {
      state.problem(fmt::format("inode {} has extent records, its record says content {}",
                                key->first, static_cast<int>(inode->content)));
    }
    fsck_extent(state, key->first, *inode, *extent);
    return {};
  });
}

Status check_attributes(FsckState& state) {
  TRY(state.each("X", [&state](const engine::Item& item) -> Status {
    const auto key = format::parse_xattr_key(item.key);
    if (!key.ok()) return state.problem(unreadable("xattr", item)), Status();
    if (InodeSummary* inode = owner_of(state, "xattr", key->first)) inode->big_xattrs_seen = true;
    return {};
  }));
  std::unordered_map<uint64_t, bool> acls;
  TRY(state.each("A", [&acls](const engine::Item& item) -> Status {
    Decoder in(std::string_view(item.key).substr(1));
    acls[in.be64()] = true;
    return {};
  }));
  for (const auto& [ino, inode] : state.inodes) {
    if (inode.allocated != inode.allocated_seen) {
      state.problem(fmt::format("inode {} says {} bytes allocated, counted {}", ino,
                                inode.allocated, inode.allocated_seen));
    }
    if (inode.content == format::Content::kExtents && !inode.extent_records_seen &&
        !inode.reclaim) {
      state.problem(fmt::format("inode {} says its extents are records, there are none", ino));
    }
    if (inode.big_xattrs != inode.big_xattrs_seen && !inode.reclaim) {
      state.problem(fmt::format("inode {} says {} big xattrs, there are {}", ino,
                                inode.big_xattrs ? "it has" : "no",
                                inode.big_xattrs_seen ? "some" : "none"));
    }
    for (const uint64_t id : {inode.acl_access, inode.acl_default}) {
      if (id != 0 && !acls.contains(id))
        state.problem(fmt::format("inode {} names ACL {}, which does not exist", ino, id));
    }
  }
  return {};
}

Status check_segments(FsckState& state) {
  TRY(state.each("B", [&state](const engine::Item& item) -> Status {
    const Result<SegmentId> id = format::parse_segment_key(item.key);
    const Result<format::Segment> record = format::decode_segment(item.value);
    if (!id.ok() || !record.ok())
      return state.problem(unreadable("segment record", item)), Status();
    SegmentSummary& segment = state.segments[*id];
    segment.known = true;
    segment.record = *record;
    ++state.report.segments;
    return {};
  }));
  TRY(state.each("W", [&state](const engine::Item& item) -> Status {
    const Result<SegmentId> id = format::parse_segment_key(item.key);
    const Result<int64_t> live = engine::decode_counter(item.value);
    if (!id.ok() || !live.ok()) return state.problem(unreadable("live count", item)), Status();
    state.segments[*id].live = *live;
    return {};
  }));
  for (const auto& [id, segment] : state.segments) {
    if (segment.live != segment.live_seen) {
      state.repairable(fmt::format("segment {} has {} live bytes by its count, {} by its extents",
                                   id.to_string(), segment.live, segment.live_seen),
                       format::live_key(id), engine::encode_counter(segment.live_seen));
    }
    if (!segment.known && segment.live_seen > 0) {
      state.problem(fmt::format("segment {} holds {} bytes of files and has no record",
                                id.to_string(), segment.live_seen));
    }
    if (segment.known && segment.live_seen > 0 &&
        segment.record.state == format::Segment::State::kDying) {
      state.problem(fmt::format("segment {} is being deleted and holds {} bytes of files",
                                id.to_string(), segment.live_seen));
    }
  }
  return state.each("R", [&state](const engine::Item& item) -> Status {
    const auto reference = format::parse_back_reference_key(item.key);
    if (!reference.ok()) return state.problem(unreadable("back reference", item)), Status();
    const auto segment = state.segments.find(reference->segment);
    if (segment == state.segments.end() || !segment->second.known) {
      state.repairable(
          fmt::format("a back reference of inode {} names segment {}, which does not exist",
                      reference->ino, reference->segment.to_string()),
          item.key, std::nullopt);
    }
    return {};
  });
}

}  // namespace

Status fsck_data(FsckState& state) {
  TRY(check_extent_records(state));
  TRY(check_attributes(state));
  return check_segments(state);
}

}  // namespace shoal::meta
