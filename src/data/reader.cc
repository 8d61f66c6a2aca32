#include "data/reader.h"

#include <atomic>
#include <cstring>

#include "base/crc32c.h"
#include "base/limits.h"
#include "base/log.h"
#include "data/block_source.h"
#include "data/frame_tables.h"
#include "data/read_pattern.h"
#include "data/staged_ahead.h"

namespace shoal::data {
namespace {

using format::Target;

constexpr uint64_t kNearBytes = 8 << 20;         // how far ahead the cache disk is read into memory
constexpr int kFetchTries = 3;                   // of a range whose CRC does not match
constexpr uint64_t kFrameTableBytes = 16 << 20;  // memory for footers

// What one look ahead found worth having: few blocks, in the order in which the file needs them.
class Ahead {
 public:
  static constexpr size_t kBlocksMax = 12;  // 48 MiB

  // False: there are too many different blocks.
  bool add(const BlockId& id, uint64_t file_offset) {
    for (const Item& item : items_) {
      if (item.id == id) return true;
    }
    if (items_.size() == kBlocksMax) return false;
    items_.push_back({id, file_offset});
    return true;
  }
  struct Item {
    BlockId id;
    uint64_t file_offset = 0;  // where it is first needed
  };
  const std::vector<Item>& items() const { return items_; }

 private:
  std::vector<Item> items_;
};

class ReaderImpl final : public Reader {
 public:
  ReaderImpl(const Seams& seams, Staging* staging, const ReaderOptions& options)
      : staging_(staging),
        options_(options),
        blocks_(seams.store, seams.cache, seams.executor, seams.volume,
                {options.memory_bytes, options.ahead_bytes_max, options.deadline}),
        tables_(seams.store, blocks_, seams.volume, kFrameTableBytes, options.deadline) {}

  std::shared_ptr<ReadPattern> make_pattern() override { return std::make_shared<ReadPattern>(); }

  ReadMode begin(ReadPattern& pattern, uint64_t offset, uint64_t length,
                 std::span<const format::Extent> extents) override;
  Status read(const Target& target, uint64_t first, MutableBytes into, ReadMode mode) override;
  ReadStats stats() const override;
  void forget(const SegmentId& id) override {
    blocks_.drop(id, 0, kSegmentBytesMax + kBlockBytes);
    tables_.drop(id);
  }

 private:
  // Reads stored bytes of the object; `from_staging` tells which copy it was.
  Status fetch(const Target& target, uint64_t offset, MutableBytes into, BlockSource::Want want,
               bool* from_staging);
  Status read_one_frame(const Target& target, uint64_t first, MutableBytes into,
                        BlockSource::Want want);
  Status read_frames(const Target& target, uint64_t first, MutableBytes into,
                     BlockSource::Want want);
  Result<std::vector<uint32_t>> crcs_of(const Target& target, uint64_t first_frame,
                                        uint64_t frames);
  ReadMode start(const Ahead& ahead, ReadPattern& pattern, uint64_t offset, uint64_t looked_to,
                 bool scattered);
  void corrupt(const Target& target, uint64_t offset, uint64_t length);

  Staging* const staging_;
  const ReaderOptions options_;
  BlockSource blocks_;
  FrameTables tables_;
  std::atomic<uint64_t> staged_bytes_{0}, crc_errors_{0}, retries_{0};
};

Status check_target(const Target& target, uint64_t first, size_t length) {
  if (target.kind != Target::Kind::kSegment || target.flags != 0) {
    return error(EIO, "segment {}: this version cannot read its data (kind {}, flags {})",
                 target.segment.to_string(), static_cast<int>(target.kind), target.flags);
  }
  if (first > target.length || length > target.length - first) {
    return error(EIO, "segment {}: bytes {} … {} of a slice of {}", target.segment.to_string(),
                 first, first + length, target.length);
  }
  return {};
}

ReadMode ReaderImpl::begin(ReadPattern& pattern, uint64_t offset, uint64_t length,
                           std::span<const format::Extent> extents) {
  const uint64_t window = pattern.note(offset, length, options_.read_ahead_bytes_max);
  if (window == 0) return ReadMode::kRandom;
  const uint64_t from = std::max(offset, pattern.ahead_to()), to = offset + length + window;
  Ahead ahead;
  StagedAhead staged;
  uint64_t looked_to = from;
  bool full = false, scattered = false;
  for (size_t i = 0; i < extents.size() && !full; ++i) {
    const format::Extent& extent = extents[i];
    if (extent.end() <= from) continue;
    if (extent.offset >= to) break;
    const uint64_t begin = std::max(from, extent.offset), end = std::min(to, extent.end());
    looked_to = end;
    if (extent.target.kind != Target::Kind::kSegment) continue;
    const uint64_t place = extent.target.offset + extent.first;  // in the segment, of extent.offset
    const uint64_t first = place + (begin - extent.offset), last = place + (end - extent.offset);
    if (staging_ != nullptr && staging_->holds(extent.target.segment)) {
      staged.add(extent.target.segment, first, last);
      continue;
    }
    for (uint64_t block = first / kBlockBytes; block * kBlockBytes < last && !full; ++block) {
      const uint64_t needed =
          block * kBlockBytes <= first ? begin : begin + (block * kBlockBytes - first);
      full = !ahead.add({extent.target.segment, block}, needed);
      if (!full) continue;
      // Large extents are gone on with at the next read; a file that was written in small pieces
      // all over the bucket gains nothing from whole blocks.
      looked_to = needed;
      scattered = needed - from < Ahead::kBlocksMax * kBlockBytes / 4;
    }
  }
  for (const StagedAhead::Range& range : staged.merged()) {
    staging_->will_need(range.segment, range.begin, range.end);
  }
  return start(ahead, pattern, offset, looked_to, scattered);
}

ReadMode ReaderImpl::start(const Ahead& ahead, ReadPattern& pattern, uint64_t offset,
                           uint64_t looked_to, bool scattered) {
  if (scattered) return ReadMode::kRandom;
  for (const Ahead::Item& item : ahead.items()) {
    if (blocks_.prefetch(item.id, item.file_offset < offset + kNearBytes)) continue;
    looked_to = item.file_offset;
    break;
  }
  pattern.set_ahead_to(looked_to);
  return ReadMode::kStream;
}

Status ReaderImpl::read(const Target& target, uint64_t first, MutableBytes into, ReadMode mode) {
  TRY(check_target(target, first, into.size()));
  const BlockSource::Want want =
      mode == ReadMode::kStream ? BlockSource::Want::kWholeBlock : BlockSource::Want::kExact;
  if (target.length <= kFrameBytesMax) return read_one_frame(target, first, into, want);
  return read_frames(target, first, into, want);
}

Status ReaderImpl::fetch(const Target& target, uint64_t offset, MutableBytes into,
                         BlockSource::Want want, bool* from_staging) {
  *from_staging = false;
  if (staging_ != nullptr && staging_->holds(target.segment)) {
    Status staged = staging_->read(target.segment, offset, into);
    if (staged.ok() || !staged.error().is(ENOENT)) {
      *from_staging = true;
      if (staged.ok()) staged_bytes_ += into.size();
      return staged;
    }
    staged.ignore("recycled meanwhile: it is in the bucket now");
  }
  return blocks_.read(target.segment, offset, into, want);
}

// After a mismatch nobody may be served the same copy again.
void ReaderImpl::corrupt(const Target& target, uint64_t offset, uint64_t length) {
  ++crc_errors_;
  blocks_.drop(target.segment, offset, length);
  tables_.drop(target.segment);
}

Status ReaderImpl::read_one_frame(const Target& target, uint64_t first, MutableBytes into,
                                  BlockSource::Want want) {
  if (!target.crc)
    return error(EIO, "segment {}: a small slice without a CRC", target.segment.to_string());
  const bool whole = first == 0 && into.size() == target.length;
  ByteBuffer buffer(whole ? 0 : target.length);
  const MutableBytes slice = whole ? into : MutableBytes(buffer);
  for (int attempt = 0; attempt < kFetchTries; ++attempt) {
    if (attempt > 0) ++retries_;
    bool from_staging = false;
    TRY(fetch(target, target.offset, slice, want, &from_staging));
    if (crc32c(slice) == *target.crc) {
      if (!whole) std::memcpy(into.data(), slice.data() + first, into.size());
      return {};
    }
    corrupt(target, target.offset, target.length);
    log(LogLevel::kError, "segment {}: CRC mismatch in bytes {} … {} ({})",
        target.segment.to_string(), target.offset, target.offset + target.length,
        from_staging ? "staging" : "cache or bucket");
  }
  return error(EIO, "segment {}: bytes {} … {} are corrupt", target.segment.to_string(),
               target.offset, target.offset + target.length);
}

Result<std::vector<uint32_t>> ReaderImpl::crcs_of(const Target& target, uint64_t first_frame,
                                                  uint64_t frames) {
  if (staging_ != nullptr && staging_->holds(target.segment)) {
    Result<std::vector<uint32_t>> staged = staging_->frame_crcs(target.segment, target.offset);
    if (staged.ok()) {
      if (staged->size() < first_frame + frames) {
        return error(EIO, "segment {}: the staged frame table is too short",
                     target.segment.to_string());
      }
      return std::vector<uint32_t>(staged->begin() + static_cast<ptrdiff_t>(first_frame),
                                   staged->begin() + static_cast<ptrdiff_t>(first_frame + frames));
    }
    if (!staged.error().is(ENOENT)) return staged;
  }
  TRY_ASSIGN(const std::shared_ptr<const FrameTable> table, tables_.get(target.segment));
  const auto slice = table->slices.find(target.offset);
  if (slice == table->slices.end() || slice->second.second < first_frame + frames) {
    return error(EIO, "segment {}: no frame table for the slice at {}", target.segment.to_string(),
                 target.offset);
  }
  const auto begin =
      table->crcs.begin() + static_cast<ptrdiff_t>(slice->second.first + first_frame);
  return std::vector<uint32_t>(begin, begin + static_cast<ptrdiff_t>(frames));
}

// Whole frames are read into place; only the frames cut by the range's two ends need a copy.
Status ReaderImpl::read_frames(const Target& target, uint64_t first, MutableBytes into,
                               BlockSource::Want want) {
  const uint64_t frame = format::frame_bytes_for(target.length);
  const uint64_t begin = first / frame * frame;
  const uint64_t end =
      std::min<uint64_t>((first + into.size() + frame - 1) / frame * frame, target.length);
  const bool aligned = begin == first && end == first + into.size();
  ByteBuffer buffer(aligned ? 0 : end - begin);
  const MutableBytes bytes = aligned ? into : MutableBytes(buffer);
  for (int attempt = 0; attempt < kFetchTries; ++attempt) {
    if (attempt > 0) ++retries_;
    bool from_staging = false;
    TRY(fetch(target, target.offset + begin, bytes, want, &from_staging));
    TRY_ASSIGN(const std::vector<uint32_t> crcs,
               crcs_of(target, begin / frame, (end - begin + frame - 1) / frame));
    bool right = true;
    for (size_t i = 0; i < crcs.size() && right; ++i) {
      const ByteView piece =
          ByteView(bytes).subspan(i * frame, std::min<size_t>(frame, bytes.size() - i * frame));
      right = crc32c(piece) == crcs[i];
    }
    if (right) {
      if (!aligned) std::memcpy(into.data(), bytes.data() + (first - begin), into.size());
      return {};
    }
    corrupt(target, target.offset + begin, end - begin);
    log(LogLevel::kError, "segment {}: CRC mismatch in bytes {} … {} ({})",
        target.segment.to_string(), target.offset + begin, target.offset + end,
        from_staging ? "staging" : "cache or bucket");
  }
  return error(EIO, "segment {}: bytes {} … {} are corrupt", target.segment.to_string(),
               target.offset + begin, target.offset + end);
}

ReadStats ReaderImpl::stats() const {
  const BlockCounters& counters = blocks_.counters();
  return {staged_bytes_,
          counters.memory_bytes,
          counters.disk_bytes,
          counters.store_bytes,
          counters.store_gets,
          crc_errors_,
          retries_};
}

}  // namespace

std::unique_ptr<Reader> Reader::make(const Seams& seams, Staging* staging,
                                     const ReaderOptions& options) {
  return std::make_unique<ReaderImpl>(seams, staging, options);
}

}  // namespace shoal::data
