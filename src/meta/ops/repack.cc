// What repack asks: who points into a segment, and to point elsewhere instead.
#include <algorithm>

#include "engine/for_each.h"
#include "format/keys.h"
#include "meta/owner_impl.h"

namespace shoal::meta {

Result<std::vector<Maintenance::Reference>> Owner::references(const SegmentId& id,
                                                              const std::vector<Ino>& writers) {
  TRY(healthy());
  std::vector<Ino> inos = writers;
  const auto visit = [&](const engine::Item& item) -> Result<engine::Visit> {
    TRY_ASSIGN(const auto reference, format::parse_back_reference_key(item.key));
    inos.push_back(reference.ino);
    return engine::Visit::kContinue;
  };
  TRY(engine::for_each_with(engine_, nullptr, format::back_reference_prefix(id), visit));
  std::sort(inos.begin(), inos.end());
  inos.erase(std::unique(inos.begin(), inos.end()), inos.end());
  std::vector<Reference> references;
  for (const Ino ino : inos) TRY(find_references(id, ino, references));
  return references;
}

Status Owner::find_references(const SegmentId& id, Ino ino, std::vector<Reference>& found) {
  const Latches latch(latches_, {shared(ino)});
  auto ref = inode_latched(ino);
  if (!ref.ok()) return ref.error().is(ENOENT) ? Status() : Status(ref.error());
  const format::Inode& inode = ref.value()->inode;
  const auto add = [&](const format::Extent& extent) {
    const bool hit =
        extent.target.kind == format::Target::Kind::kSegment && extent.target.segment == id;
    if (hit) found.push_back({ino, inode.parent, extent});
  };
  for (const format::Extent& extent : inode.extents) add(extent);
  if (inode.content != format::Content::kExtents) return {};
  for (uint64_t from = 0;;) {
    TRY_ASSIGN(const auto page,
               extent_store_.load(ino, *ref, from, kFileBytesMax, kPageEntriesMax));
    for (const StampedExtent& stamped : page) {
      if (stamped.extent.offset >= from) add(stamped.extent);
    }
    if (page.size() <= kPageEntriesMax) return {};
    from = page.back().extent.offset + 1;
  }
}

Result<size_t> Owner::move_extents(const Request& /*request*/, const std::vector<Move>& moves) {
  TRY(healthy());
  size_t moved = 0;
  for (const Move& move : moves) {
    TRY_ASSIGN(const bool done, move_extent(move));
    moved += done ? 1 : 0;
  }
  return moved;
}

// The bytes stay what they were, so the data version does too.
Result<bool> Owner::move_extent(const Move& move) {
  const format::Extent& from = move.from;
  format::Extent to = from;
  to.target = move.to;
  to.first = move.first;
  if (to.first > to.target.length || to.length > to.target.length - to.first) {
    return error(EINVAL, "inode {}: the new slice is too short", move.ino);
  }
  const Latches latch(latches_, {exclusive(move.ino)});
  const Latches segment_latch(segment_latches_, {shared(latch_key(to.target.segment))});
  auto found = inode_latched(move.ino);
  if (!found.ok()) {
    if (found.error().is(ENOENT)) return false;
    return found.error();
  }
  const InodeRef ref = *found;
  ExtentWork work(extent_store_, move.ino, ref);
  TRY(work.load(from.offset, from.end()));
  const auto& extents = work.map().extents();
  const auto it = extents.find(from.offset);
  if (it == extents.end() || it->second != from) return false;

  Change change(stamps_);
  format::Inode& inode = change.edit(move.ino, ref);
  work.map().replace(to);
  TRY(work.finish(change, inode));
  if (to.target.kind == format::Target::Kind::kSegment) {
    TRY(check_segment(change, to.target.segment));
    // Who was no writer of the old slice is not the new one's either.
    TRY_ASSIGN(const auto reference,
               engine_.get(nullptr, format::back_reference_key(from.target.segment,
                                                               from.target.offset, move.ino)));
    if (reference) {
      TRY(add_references(
          change, {format::back_reference_key(to.target.segment, to.target.offset, move.ino)}));
    }
  }
  TRY(commit(change));
  return true;
}

}  // namespace shoal::meta
