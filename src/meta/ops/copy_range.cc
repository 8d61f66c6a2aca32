// copy_file_range(2) by reference: the target shares the source's slices. Both lists were committed
// before.
#include <algorithm>

#include "format/keys.h"
#include "meta/owner_impl.h"

namespace shoal::meta {
namespace {

constexpr size_t kExtentsPerPage = 400;

}  // namespace

struct Owner::CopyCall {
  Ino source = 0;
  Ino target = 0;
  uint64_t from = 0, end = 0;  // in the source
  uint64_t to = 0;             // in the target
  uint64_t at(uint64_t source_offset) const { return source_offset - from + to; }
};

Result<Attr> Owner::copy_range(const Request& request, Ino source, uint64_t from, Ino target,
                               uint64_t to, uint64_t length) {
  TRY(healthy());
  const Latches latches(latches_, {shared(source), exclusive(target)});
  TRY_ASSIGN(const InodeRef source_ref, inode_latched(source));
  TRY_ASSIGN(const InodeRef target_ref, inode_latched(target));
  if (source_ref->inode.is_directory() || target_ref->inode.is_directory()) return Error(EISDIR);
  if (!source_ref->inode.is_regular() || !target_ref->inode.is_regular()) return Error(EINVAL);
  TRY(check_access(request.caller, source_ref->inode, 4));
  TRY(check_access(request.caller, target_ref->inode, 2));
  constexpr uint32_t kFixed = format::kFlagImmutable | format::kFlagAppendOnly;
  if ((target_ref->inode.flags & kFixed) != 0) return Error(EPERM);
  const uint64_t size = source_ref->inode.size;
  length = from >= size ? 0 : std::min(length, size - from);
  if (length == 0) return attr_of(target, target_ref);
  if (to > kFileBytesMax || length > kFileBytesMax - to) return Error(EFBIG);
  if (source == target && from < to + length && to < from + length) return Error(EINVAL);

  CopyCall call{source, target, from, from + length, to};
  for (uint64_t next = from; next < call.end;) {
    TRY_ASSIGN(next, copy_page(call, next));
  }
  TRY_ASSIGN(const InodeRef result, inode_latched(target));
  const auto added = static_cast<int64_t>(result->inode.allocated) -
                     static_cast<int64_t>(target_ref->inode.allocated);
  use_grant(request.session, added);
  return attr_of(target, result);
}

// The target's extents of this page, as the source has them.
Result<std::vector<format::Extent>> Owner::copy_pieces(const CopyCall& call, uint64_t from,
                                                       uint64_t& end) {
  TRY_ASSIGN(const InodeRef source, inode_latched(call.source));
  std::vector<StampedExtent> found;
  if (source->inode.content == format::Content::kExtents) {
    TRY_ASSIGN(found, extent_store_.load(call.source, source, from, call.end, kExtentsPerPage));
    if (found.size() > kExtentsPerPage) end = std::min(end, found.back().extent.offset);
  } else {
    for (const format::Extent& extent : source->inode.extents) found.push_back({extent, 0});
  }
  std::vector<format::Extent> pieces;
  for (const StampedExtent& stamped : found) {
    const uint64_t a = std::max(stamped.extent.offset, from);
    const uint64_t b = std::min(stamped.extent.end(), end);
    if (a >= b) continue;
    format::Extent piece = part_of(stamped.extent, a, b);
    piece.offset = call.at(a);
    pieces.push_back(piece);
  }
  return pieces;
}

Result<uint64_t> Owner::copy_page(CopyCall& call, uint64_t from) {
  uint64_t end = call.end;
  TRY_ASSIGN(const auto pieces, copy_pieces(call, from, end));
  std::vector<Want> wants;
  for (const format::Extent& piece : pieces)
    wants.push_back(shared(latch_key(piece.target.segment)));
  const Latches segment_latches(segment_latches_, wants);

  TRY_ASSIGN(const InodeRef ref, inode_latched(call.target));
  Change change(stamps_);
  format::Inode& inode = change.edit(call.target, ref);
  ExtentWork work(extent_store_, call.target, ref);
  TRY(work.load(call.at(from), call.at(end)));
  work.map().punch(call.at(from), call.at(end));
  std::vector<SegmentId> checked;
  std::vector<std::string> references;
  for (const format::Extent& piece : pieces) {
    work.map().replace(piece);
    if (piece.target.kind != format::Target::Kind::kSegment) continue;
    const SegmentId& id = piece.target.segment;
    if (std::find(checked.begin(), checked.end(), id) == checked.end()) {
      TRY(check_segment(change, id));
      checked.push_back(id);
    }
    if (call.source == call.target) continue;  // whoever wrote it, what names it is there
    references.push_back(format::back_reference_key(id, piece.target.offset, call.target));
  }
  TRY(work.finish(change, inode));
  TRY(add_references(change, std::move(references)));
  inode.size = std::max(inode.size, call.at(end));
  inode.mtime = inode.ctime = now();
  inode.data_version = change.stamp();
  TRY(commit(change));
  return end;
}

// Inserts those `R` records that are not there yet. REQUIRES the latch of the inode they name.
Status Owner::add_references(Change& change, std::vector<std::string> keys) {
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  if (keys.empty()) return {};
  TRY_ASSIGN(const auto found, engine_.get_many(nullptr, keys));
  for (size_t i = 0; i < keys.size(); ++i) {
    if (!found[i]) change.batch().insert(std::move(keys[i]), format::encode_back_reference());
  }
  return {};
}

}  // namespace shoal::meta
