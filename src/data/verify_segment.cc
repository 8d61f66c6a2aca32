#include "data/verify_segment.h"

#include <algorithm>

#include "base/crc32c.h"
#include "format/segment.h"

namespace shoal::data {
namespace {

constexpr uint64_t kWindowBytes = 8 << 20;

// An object read from front to back, a window at a time.
class Window {
 public:
  Window(object::ObjectStore& store, std::string key, uint64_t object_bytes)
      : store_(store), key_(std::move(key)), object_bytes_(object_bytes) {
    options_.call.priority = object::Priority::kBackground;
    options_.call.deadline = std::chrono::minutes(2);
  }

  // Fewer than `length` bytes only at the object's end. Valid until the next call.
  Result<ByteView> at(uint64_t offset, uint64_t length) {
    if (offset < begin_ || offset + length > begin_ + bytes_.size()) {
      const uint64_t want = std::min(std::max(length, kWindowBytes), object_bytes_ - offset);
      TRY_ASSIGN(bytes_, object::get_and_wait(store_, key_, offset, want, options_));
      begin_ = offset;
    }
    const ByteView rest = as_bytes(bytes_).subspan(offset - begin_);
    return rest.first(std::min<uint64_t>(length, rest.size()));
  }

 private:
  object::ObjectStore& store_;
  const std::string key_;
  const uint64_t object_bytes_;
  object::GetOptions options_;
  std::string bytes_;
  uint64_t begin_ = 0;
};

void add(std::vector<ByteRange>& ranges, uint64_t begin, uint64_t end) {
  if (!ranges.empty() && ranges.back().end == begin) {
    ranges.back().end = end;
  } else {
    ranges.push_back({begin, end});
  }
}

Status verify_slice(Window& window, uint64_t begin, const format::FooterRecord& record,
                    const std::vector<uint32_t>& crcs, std::vector<ByteRange>& damaged) {
  uint32_t frame = record.first_frame;
  for (uint64_t at = 0; at < record.header.length; at += record.header.frame_bytes, ++frame) {
    const uint64_t length =
        std::min<uint64_t>(record.header.frame_bytes, record.header.length - at);
    TRY_ASSIGN(const ByteView bytes, window.at(begin + at, length));
    const bool right =
        bytes.size() == length && frame < crcs.size() && crc32c(bytes) == crcs[frame];
    if (!right) add(damaged, begin + at, begin + at + length);
  }
  return {};
}

Result<format::Footer> read_footer(Window& window, const SegmentId& id, uint64_t object_bytes) {
  if (object_bytes < format::kFooterTailBytes)
    return error(EBADMSG, "an object of {} bytes has no footer", object_bytes);
  TRY_ASSIGN(const ByteView tail,
             window.at(object_bytes - format::kFooterTailBytes, format::kFooterTailBytes));
  TRY_ASSIGN(const format::FooterPlace place, format::find_footer(tail, object_bytes));
  TRY_ASSIGN(const ByteView bytes, window.at(place.offset, place.length));
  return format::decode_footer(bytes, id);
}

}  // namespace

Result<std::vector<ByteRange>> damaged_ranges(object::ObjectStore& store, const Uuid& volume,
                                              const SegmentId& id, uint64_t object_bytes) {
  Window window(store, format::segment_object_key(volume, id), object_bytes);
  std::vector<ByteRange> damaged;
  const Result<format::Footer> footer = read_footer(window, id, object_bytes);
  if (footer.code() == EBADMSG || footer.code() == EIO) {
    add(damaged, 0, object_bytes);
    return damaged;
  }
  if (!footer.ok()) return footer.error();
  TRY_ASSIGN(const ByteView head, window.at(0, format::kSegmentHeaderBytes));
  const bool has_header = format::decode_segment_header(head).ok();
  if (!has_header) add(damaged, 0, format::kSegmentHeaderBytes);
  for (const format::FooterRecord& record : footer->records) {
    const format::RecordHeader& slice = record.header;
    if (slice.kind != format::RecordKind::kData || slice.frame_bytes == 0) continue;
    if ((slice.flags & format::kRecordExternal) != 0) continue;  // its bytes are elsewhere
    const uint64_t begin = record.position + format::kRecordHeaderBytes;
    TRY(verify_slice(window, begin, record, footer->frame_crcs, damaged));
  }
  return damaged;
}

}  // namespace shoal::data
