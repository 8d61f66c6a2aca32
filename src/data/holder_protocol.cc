#include "data/holder_protocol.h"

#include "base/coding.h"
#include "base/crc32c.h"
#include "base/limits.h"

namespace shoal::data {
namespace {

void put(Encoder& out, const SegmentId& id) {
  out.le64(id.nonce);
  out.le64(id.sequence);
}

SegmentId take_segment(Decoder& in) {
  SegmentId id;
  id.nonce = in.le64();
  id.sequence = in.le64();
  return id;
}

}  // namespace

std::string encode(const StagedRange& range) {
  std::string body;
  Encoder out(body);
  put(out, range.slice.segment);
  out.varint(range.slice.offset);
  out.varint(range.slice.length);
  out.u8(range.slice.crc ? 1 : 0);
  if (range.slice.crc) out.le32(*range.slice.crc);
  out.varint(range.first);
  out.varint(range.length);
  return body;
}

Result<StagedRange> decode_staged_range(std::string_view body) {
  Decoder in(body);
  StagedRange range;
  range.slice.segment = take_segment(in);
  range.slice.offset = in.varint();
  range.slice.length = in.varint();
  const uint8_t has_crc = in.u8();
  if (has_crc > 1) in.fail();
  if (has_crc == 1) range.slice.crc = in.le32();
  range.first = in.varint();
  range.length = in.varint();
  const uint64_t slice = range.slice.length;
  if (slice > kFileBytesMax || range.slice.offset > kFileBytesMax || range.length == 0 ||
      range.length > kHolderReadBytesMax || range.first > slice ||
      range.length > slice - range.first) {
    in.fail();
  }
  TRY(in.finish("range of a staged slice"));
  return range;
}

std::string encode(const SegmentId& id) {
  std::string body;
  Encoder out(body);
  put(out, id);
  return body;
}

Result<SegmentId> decode_segment(std::string_view body) {
  Decoder in(body);
  const SegmentId id = take_segment(in);
  TRY(in.finish("segment id"));
  return id;
}

void seal_staged_bytes(std::string& answer) {
  std::string head;
  Encoder(head).le32(crc32c(as_bytes(std::string_view(answer).substr(kStagedBytesAt))));
  answer.replace(0, kStagedBytesAt, head);
}

Result<ByteView> open_staged_bytes(std::string_view answer, size_t length) {
  Decoder in(answer);
  const uint32_t crc = in.le32();
  if (!in.ok() || in.remaining() != length) {
    return error(EBADMSG, "an answer of {} bytes for {} staged ones", answer.size(), length);
  }
  const ByteView bytes = as_bytes(in.rest());
  if (crc32c(bytes) != crc) return error(EBADMSG, "{} staged bytes do not match their CRC", length);
  return bytes;
}

}  // namespace shoal::data
