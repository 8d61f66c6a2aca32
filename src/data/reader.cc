#include "data/reader.h"

#include <atomic>
#include <cstring>
#include <functional>

#include "base/crc32c.h"
#include "base/limits.h"
#include "base/log.h"
#include "data/block_source.h"
#include "data/frame_tables.h"
#include "data/holders.h"
#include "data/read_pattern.h"
#include "data/staged_ahead.h"

namespace shoal::data {
namespace {

using format::Target;

constexpr uint64_t kNearBytes = 8 << 20;         // this far ahead, blocks are needed very soon
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
        holders_(seams.holders),
        options_(options),
        blocks_(seams.store, seams.cache, seams.executor, seams.clock, seams.volume,
                limits_of(options)),
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
  static BlockSource::Limits limits_of(const ReaderOptions& options) {
    BlockSource::Limits limits;
    limits.memory_bytes = options.memory_bytes;
    limits.ahead_bytes_max = options.ahead_bytes_max;
    limits.fill_bytes_max = options.fill_bytes_max;
    limits.deadline = options.deadline;
    return limits;
  }

  // From this machine or the bucket. ENOENT: neither has the segment.
  Status read_here(const Target& target, uint64_t first, MutableBytes into, ReadMode mode);
  Result<bool> read_elsewhere(const Target& target, uint64_t first, MutableBytes into);

  // Tells whether bytes are those that were written.
  using Matches = std::function<Result<bool>(ByteView bytes)>;
  // Fills `into` from byte `offset` of the object, with a copy that matches.
  Status read_checked(const Target& target, uint64_t offset, MutableBytes into,
                      BlockSource::Want want, const Matches& matches);
  // Reads stored bytes of the object; `from_staging` tells which copy it was.
  Status fetch(const Target& target, uint64_t offset, MutableBytes into, BlockSource::Want want,
               bool* from_staging);
  Status read_one_frame(const Target& target, uint64_t first, MutableBytes into,
                        BlockSource::Want want);
  Status read_frames(const Target& target, uint64_t first, MutableBytes into,
                     BlockSource::Want want);
  Result<std::vector<uint32_t>> crcs_of(const Target& target, uint64_t first_frame,
                                        uint64_t frames);
  void start(const Ahead& ahead, ReadPattern& pattern, const ReadPattern::Look& look,
             uint64_t offset, uint64_t looked_to);

  Staging* const staging_;
  Holders* const holders_;
  const ReaderOptions options_;
  BlockSource blocks_;
  FrameTables tables_;
  std::atomic<uint64_t> staged_bytes_{0}, holder_bytes_{0}, crc_errors_{0}, retries_{0};
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
  const ReadPattern::Look look = pattern.note(offset, length, options_.read_ahead_bytes_max);
  if (look.window == 0) return ReadMode::kRandom;
  const uint64_t from = look.from, to = offset + length + look.window;
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
    if (holders_ != nullptr && holders_->likely(extent.target.segment)) continue;
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
  if (scattered) return ReadMode::kRandom;
  start(ahead, pattern, look, offset, looked_to);
  return ReadMode::kStream;
}

// Asks for the blocks one by one, up to where it is refused; there the next read goes on.
void ReaderImpl::start(const Ahead& ahead, ReadPattern& pattern, const ReadPattern::Look& look,
                       uint64_t offset, uint64_t looked_to) {
  for (const Ahead::Item& item : ahead.items()) {
    if (blocks_.prefetch(item.id, item.file_offset < offset + kNearBytes)) continue;
    looked_to = item.file_offset;
    break;
  }
  pattern.looked_to(look, looked_to);
}

// Its own staging, then the bucket; another mount's staging when it is in neither, or not likely to
// be. What another mount sends is kept nowhere: its segment is not whole yet.
Status ReaderImpl::read(const Target& target, uint64_t first, MutableBytes into, ReadMode mode) {
  TRY(check_target(target, first, into.size()));
  const bool here = staging_ != nullptr && staging_->holds(target.segment);
  if (holders_ == nullptr || here) return read_here(target, first, into, mode);
  if (!holders_->likely(target.segment)) {
    Status read = read_here(target, first, into, mode);
    if (read.ok() || !read.error().is(ENOENT)) return read;
    read.ignore("not in the bucket yet, or not any more");
  }
  TRY_ASSIGN(const bool read, read_elsewhere(target, first, into));
  return read ? Status() : read_here(target, first, into, mode);
}

// False: it is in the bucket.
Result<bool> ReaderImpl::read_elsewhere(const Target& target, uint64_t first, MutableBytes into) {
  TRY_ASSIGN(const Holders::Found found, holders_->read(target, first, into));
  if (found == Holders::Found::kInBucket) return false;
  holder_bytes_ += into.size();
  return true;
}

Status ReaderImpl::read_here(const Target& target, uint64_t first, MutableBytes into,
                             ReadMode mode) {
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

Status ReaderImpl::read_checked(const Target& target, uint64_t offset, MutableBytes into,
                                BlockSource::Want want, const Matches& matches) {
  for (int attempt = 0; attempt < kFetchTries; ++attempt) {
    if (attempt > 0) ++retries_;
    bool from_staging = false;
    std::string why = "CRC mismatch";
    if (Status got = fetch(target, offset, into, want, &from_staging); got.ok()) {
      TRY_ASSIGN(const bool right, matches(into));
      if (right) return {};
      ++crc_errors_;
    } else if (got.error().is(ENODATA)) {
      why = got.error().text();
    } else {
      return got;
    }
    // Nobody may be served this copy again.
    blocks_.drop(target.segment, offset, into.size());
    log(LogLevel::kWarn, "segment {}: bytes {} … {} from {}: {}", target.segment.to_string(),
        offset, offset + into.size(), from_staging ? "staging" : "cache or bucket", why);
  }
  return error(EIO, "segment {}: bytes {} … {} are corrupt or missing", target.segment.to_string(),
               offset, offset + into.size());
}

Status ReaderImpl::read_one_frame(const Target& target, uint64_t first, MutableBytes into,
                                  BlockSource::Want want) {
  if (!target.crc)
    return error(EIO, "segment {}: a small slice without a CRC", target.segment.to_string());
  const bool whole = first == 0 && into.size() == target.length;
  ByteBuffer buffer(whole ? 0 : target.length);
  const MutableBytes slice = whole ? into : MutableBytes(buffer);
  TRY(read_checked(target, target.offset, slice, want,
                   [&](ByteView bytes) -> Result<bool> { return crc32c(bytes) == *target.crc; }));
  if (!whole) std::memcpy(into.data(), slice.data() + first, into.size());
  return {};
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
  const MutableBytes frames = aligned ? into : MutableBytes(buffer);
  const auto matches = [&](ByteView bytes) -> Result<bool> {
    TRY_ASSIGN(const std::vector<uint32_t> crcs,
               crcs_of(target, begin / frame, (end - begin + frame - 1) / frame));
    for (size_t i = 0; i < crcs.size(); ++i) {
      const size_t at = i * frame;
      if (crc32c(bytes.subspan(at, std::min<size_t>(frame, bytes.size() - at))) != crcs[i])
        return false;
    }
    return true;
  };
  TRY(read_checked(target, target.offset + begin, frames, want, matches));
  if (!aligned) std::memcpy(into.data(), frames.data() + (first - begin), into.size());
  return {};
}

ReadStats ReaderImpl::stats() const {
  const BlockCounters& counters = blocks_.counters();
  return {staged_bytes_,
          counters.memory_bytes,
          counters.disk_bytes,
          counters.store_bytes,
          counters.store_gets,
          crc_errors_,
          retries_,
          holder_bytes_};
}

}  // namespace

std::unique_ptr<Reader> Reader::make(const Seams& seams, Staging* staging,
                                     const ReaderOptions& options) {
  return std::make_unique<ReaderImpl>(seams, staging, options);
}

}  // namespace shoal::data
