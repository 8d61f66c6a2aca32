#include "client/read_plan.h"

#include <algorithm>

namespace shoal::client {
namespace {

class Planner {
 public:
  Planner(const InodeState& inode, uint64_t offset, ReadPlan& plan)
      : inode_(inode), start_(offset), plan_(plan) {}

  void hole(uint64_t from, uint64_t to) {
    if (from >= to) return;
    ReadPlan::Piece& piece = add(from, to);
    piece.from = ReadPlan::Piece::From::kHole;
  }

  void operation(const Overlay::Piece& covered) REQUIRES(inode_.latch) {
    const Operation& operation = inode_.list.at(covered.operation);
    if (covered.hole) return hole(covered.offset, covered.end());
    const uint64_t first = covered.offset - operation.offset;
    if (operation.chunks.empty()) {
      CHECK(operation.journaled && operation.place.record.target.has_value());
      ReadPlan::Piece& piece = add(covered.offset, covered.end());
      piece.from = ReadPlan::Piece::From::kSlice;
      piece.target = *operation.place.record.target;
      piece.first = operation.place.record.first + first;
      return;
    }
    uint64_t chunk_start = operation.offset;
    for (const ChunkPtr& chunk : operation.chunks) {
      const uint64_t from = std::max(covered.offset, chunk_start);
      const uint64_t to = std::min(covered.end(), chunk_start + chunk->size);
      if (from < to) {
        ReadPlan::Piece& piece = add(from, to);
        piece.from = ReadPlan::Piece::From::kMemory;
        piece.chunk = chunk;
        piece.first = from - chunk_start;
      }
      chunk_start += chunk->size;
    }
  }

  // What the owner has in [from, to).
  Planned owners(uint64_t from, uint64_t to, uint64_t& missing_from) REQUIRES(inode_.latch) {
    const uint64_t committed_end = inode_.base_allocated == 0 ? 0 : inode_.base_size;
    while (from < to && from < committed_end) {
      ExtentCache::PagePtr page = inode_.extents.page_at(from);
      if (!page) {
        missing_from = from;
        return Planned::kExtentsMissing;
      }
      const uint64_t end = std::min({to, page->to, committed_end});
      size_t i = page->first_behind(from);
      if (!plan_.page) {
        plan_.page = page;
        plan_.extents = std::span(page->extents).subspan(i);
      }
      for (; i < page->extents.size() && page->extents[i].offset < end; ++i) {
        const format::Extent& extent = page->extents[i];
        const uint64_t begin = std::max(from, extent.offset);
        hole(from, begin);
        from = std::min(end, extent.end());
        ReadPlan::Piece& piece = add(begin, from);
        piece.from = ReadPlan::Piece::From::kSlice;
        piece.target = extent.target;
        piece.first = extent.first + (begin - extent.offset);
      }
      hole(from, end);
      from = end;
    }
    hole(from, to);
    return Planned::kReady;
  }

 private:
  ReadPlan::Piece& add(uint64_t from, uint64_t to) {
    ReadPlan::Piece& piece = plan_.pieces.emplace_back();
    piece.at = from - start_;
    piece.length = to - from;
    return piece;
  }

  const InodeState& inode_;
  const uint64_t start_;
  ReadPlan& plan_;
};

}  // namespace

Planned plan_read(const InodeState& inode, uint64_t offset, size_t length, ReadPlan& plan,
                  uint64_t& missing_from) {
  plan.bytes = 0;
  plan.pieces.clear();
  plan.extents = {};
  plan.page = nullptr;
  if (offset >= inode.size || length == 0) return Planned::kReady;
  const uint64_t end = offset + std::min<uint64_t>(length, inode.size - offset);
  Planner planner(inode, offset, plan);
  uint64_t position = offset;
  Planned result = Planned::kReady;
  // The planner's inode is `inode`, whose latch is held; the analysis cannot see that.
  const auto owners = [&](uint64_t from, uint64_t to) NO_THREAD_SAFETY_ANALYSIS {
    result = planner.owners(from, to, missing_from);
  };
  inode.overlay.visit(offset, end, [&](const Overlay::Piece& piece) NO_THREAD_SAFETY_ANALYSIS {
    if (result != Planned::kReady) return;
    owners(position, piece.offset);
    if (result != Planned::kReady) return;
    planner.operation(piece);
    position = piece.end();
  });
  if (result == Planned::kReady) owners(position, end);
  plan.bytes = end - offset;
  return result;
}

Sought plan_seek(const InodeState& inode, uint64_t offset, bool data) {
  using Outcome = Sought::Outcome;
  const uint64_t committed_end = inode.base_allocated == 0 ? 0 : inode.base_size;
  uint64_t position = offset;
  while (position < inode.size) {
    const std::optional<Overlay::Piece> piece = inode.overlay.at_or_after(position);
    if (piece && piece->offset <= position) {
      if (piece->hole != data) return {Outcome::kFound, position};
      position = piece->end();
      continue;
    }
    // The owner's, up to the next piece.
    const uint64_t gap_end = std::min(piece ? piece->offset : inode.size, inode.size);
    if (position >= committed_end) {
      if (!data) return {Outcome::kFound, position};
      position = gap_end;
      continue;
    }
    const ExtentCache::PagePtr page = inode.extents.page_at(position);
    if (!page) return {Outcome::kExtentsMissing, position};
    const uint64_t known_end = std::min({gap_end, page->to, committed_end});
    const size_t i = page->first_behind(position);
    const format::Extent* extent = i < page->extents.size() ? &page->extents[i] : nullptr;
    if (extent != nullptr && extent->offset <= position) {
      if (data) return {Outcome::kFound, position};
      position = std::min(known_end, extent->end());
    } else {
      if (!data) return {Outcome::kFound, position};
      position = extent != nullptr ? std::min(known_end, extent->offset) : known_end;
    }
  }
  if (data || offset >= inode.size) return {Outcome::kNone, 0};
  return {Outcome::kFound, inode.size};
}

}  // namespace shoal::client
