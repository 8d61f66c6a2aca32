#include "data/external_segment.h"

#include <algorithm>
#include <array>

#include "base/crc32c.h"

namespace shoal::data {
namespace {

constexpr uint64_t kFrame = kFrameBytesLarge;
constexpr uint64_t kFooterBytesMax = 1 << 20;
constexpr std::array<std::byte, kFrameBytesLarge> kZeros{};

}  // namespace

std::string encode_external_head(const format::SegmentHeader& header) {
  CHECK(header.external);
  std::string head = format::encode_segment_header(header);
  head.resize(format::kExternalSliceAt);
  return head;
}

format::Target external_target(const SegmentId& segment) {
  format::Target target;
  target.segment = segment;
  target.offset = format::kExternalSliceAt;
  target.length = format::kExternalSliceBytesMax;
  return target;
}

std::vector<uint32_t> padded_frame_crcs(std::span<const ByteView> data) {
  std::vector<uint32_t> crcs;
  uint32_t frame = 0;
  size_t in_frame = 0;
  for (ByteView span : data) {
    while (!span.empty()) {
      const size_t n = std::min<size_t>(span.size(), kFrame - in_frame);
      frame = crc32c(span.first(n), frame);
      in_frame += n;
      span = span.subspan(n);
      if (in_frame < kFrame) break;
      crcs.push_back(frame);
      frame = 0;
      in_frame = 0;
    }
  }
  if (in_frame > 0) crcs.push_back(crc32c(padding_of(in_frame), frame));
  return crcs;
}

ByteView padding_of(uint64_t bytes) { return ByteView(kZeros).first(whole_frames(bytes) - bytes); }

Result<std::vector<uint32_t>> wrong_frames(File& file, uint64_t position,
                                           std::span<const uint32_t> crcs) {
  std::vector<uint32_t> wrong;
  ByteBuffer bytes(crcs.size() * kFrame);
  TRY_ASSIGN(const size_t got, file.read_at(position, bytes));
  for (size_t i = 0; i < crcs.size(); ++i) {
    const bool whole = (i + 1) * kFrame <= got;
    if (!whole || crc32c(ByteView(bytes).subspan(i * kFrame, kFrame)) != crcs[i])
      wrong.push_back(static_cast<uint32_t>(i));
  }
  return wrong;
}

format::Footer external_footer(Ino ino, ByteView slice, std::vector<uint32_t> frame_crcs) {
  format::Footer footer;
  if (slice.empty()) return footer;
  CHECK(slice.size() == frame_crcs.size() * kFrame);
  format::RecordHeader header;
  header.kind = format::RecordKind::kData;
  header.payload_crc = crc32c(slice);
  header.payload_length = static_cast<uint32_t>(slice.size());
  header.frame_bytes = kFrameBytesLarge;
  header.ino = ino;
  header.length = slice.size();
  footer.records.push_back({format::kExternalRecordAt, header, 0});
  footer.frame_crcs = std::move(frame_crcs);
  footer.data_bytes = slice.size();
  return footer;
}

Result<std::optional<ExternalSeal>> find_external_seal(File& file, const SegmentId& segment) {
  using format::RecordHeader;
  std::optional<ExternalSeal> none;
  std::array<std::byte, format::kRecordHeaderBytes> head;
  TRY_ASSIGN(size_t got, file.read_at(format::kExternalRecordAt, head));
  const auto slice = format::decode_slice_header(ByteView(head).first(got), segment);
  if (slice.code() == ENOTSUP) return slice.error();
  if (!slice.ok() || slice->kind != format::RecordKind::kData) return none;
  const uint64_t end = format::kExternalSliceAt + slice->payload_length;
  TRY_ASSIGN(got, file.read_at(end, head));
  const auto last = format::decode_record_header(ByteView(head).first(got), segment);
  if (!last.ok() || last->kind != format::RecordKind::kEnd ||
      last->payload_length > kFooterBytesMax) {
    return none;
  }
  ByteBuffer bytes(last->payload_length);
  TRY_ASSIGN(got, file.read_at(end + format::kRecordHeaderBytes, bytes));
  if (got != bytes.size() || crc32c(bytes) != last->payload_crc) return none;
  auto footer = format::decode_footer(bytes, segment);
  const bool ours = footer.ok() && footer->records.size() == 1 &&
                    footer->records.front().header.length == slice->payload_length &&
                    footer->frame_crcs.size() * kFrame == slice->payload_length;
  if (!ours) return none;
  return std::optional<ExternalSeal>({slice->ino, slice->payload_length,
                                      end + format::kRecordHeaderBytes + bytes.size(),
                                      std::move(footer->frame_crcs)});
}

}  // namespace shoal::data
