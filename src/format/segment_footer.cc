// The footer of a segment: an index of its records and the CRCs of all frames (docs/format.md,
// Segments). Varints and differences, because a segment of 4 KiB files has 16,000 records.
#include <bit>

#include "base/coding.h"
#include "base/crc32c.h"
#include "base/limits.h"
#include "format/segment.h"
#include "format/segment_internal.h"

namespace shoal::format {
namespace {

constexpr std::string_view kFooterMagic = "SHOALEND";
constexpr uint16_t kFooterVersion = 1;
constexpr size_t kRecordBytesMin = 16;           // a record's entry in the footer is never shorter
constexpr uint64_t kSliceBytesMax = UINT32_MAX;  // of an external segment

// What each entry is coded as a difference to.
struct Previous {
  uint64_t position = 0, ino = 0, sequence = 0, parent = 0;
  int64_t seconds = 0;
};

int64_t difference(uint64_t now, uint64_t before) { return static_cast<int64_t>(now - before); }

void encode_entry(Encoder& out, const FooterRecord& record, Previous& before) {
  const RecordHeader& h = record.header;
  out.u8(static_cast<uint8_t>(h.kind));
  out.varint(h.flags);
  out.varint(record.position - before.position);
  out.le32(h.payload_crc);
  out.varint(h.payload_length);
  out.varint(h.frame_bytes);
  out.zigzag(difference(h.ino, before.ino));
  out.varint(h.generation);
  out.zigzag(difference(h.sequence, before.sequence));
  out.varint(h.previous_sequence == 0 ? 0 : h.sequence - h.previous_sequence);
  out.varint(h.base_version);
  out.varint(h.offset);
  out.varint(h.length);
  out.zigzag(static_cast<int64_t>(static_cast<uint64_t>(h.mtime.seconds) -
                                  static_cast<uint64_t>(before.seconds)));
  out.varint(h.mtime.nanoseconds);
  out.zigzag(difference(h.parent, before.parent));
  if ((h.flags & kRecordAtime) != 0) {
    out.zigzag(h.atime.seconds);
    out.varint(h.atime.nanoseconds);
  }
  before = {record.position, h.ino, h.sequence, h.parent, h.mtime.seconds};
}

template <typename T>
T narrow(Decoder& in) {
  const uint64_t v = in.varint();
  if (v > std::numeric_limits<T>::max()) return static_cast<T>(in.fail());
  return static_cast<T>(v);
}

FooterRecord decode_entry(Decoder& in, Previous& before) {
  FooterRecord record;
  RecordHeader& h = record.header;
  h.kind = static_cast<RecordKind>(in.u8());
  h.flags = narrow<uint16_t>(in);
  record.position = before.position + in.varint();
  if (record.position < before.position) in.fail();
  h.payload_crc = in.le32();
  h.payload_length = narrow<uint32_t>(in);
  h.frame_bytes = narrow<uint32_t>(in);
  h.ino = before.ino + static_cast<uint64_t>(in.zigzag());
  h.generation = in.varint();
  h.sequence = before.sequence + static_cast<uint64_t>(in.zigzag());
  const uint64_t back = in.varint();
  h.previous_sequence = back == 0 ? 0 : h.sequence - back;
  h.base_version = in.varint();
  h.offset = in.varint();
  h.length = in.varint();
  h.mtime.seconds = static_cast<int64_t>(static_cast<uint64_t>(before.seconds) +
                                         static_cast<uint64_t>(in.zigzag()));
  h.mtime.nanoseconds = narrow<uint32_t>(in);
  h.parent = before.parent + static_cast<uint64_t>(in.zigzag());
  if ((h.flags & kRecordAtime) != 0) {
    h.atime.seconds = in.zigzag();
    h.atime.nanoseconds = narrow<uint32_t>(in);
  }
  before = {record.position, h.ino, h.sequence, h.parent, h.mtime.seconds};
  return record;
}

// CRC of the footer: the segment's seed, then everything but the CRC itself and the magic.
uint32_t footer_crc(ByteView body, ByteView tail, const SegmentId& segment) {
  const uint32_t crc = crc32c(tail.first(16), crc32c(body, segment_seed(segment)));
  return crc32c(tail.subspan(20, 4), crc);
}

Status decode_records(Decoder& in, uint64_t count, uint64_t footer_offset, Footer& footer) {
  footer.records.reserve(count);
  Previous before;
  uint64_t frames = 0;
  for (uint64_t i = 0; i < count; ++i) {
    FooterRecord record = decode_entry(in, before);
    TRY(in.status("footer"));
    TRY(check_record_header(record.header, kSliceBytesMax));
    if (record.position + record.header.payload_length > footer_offset ||
        record.position > footer_offset) {
      return error(EBADMSG, "footer: record at {} lies behind the data", record.position);
    }
    record.first_frame = static_cast<uint32_t>(frames);
    frames += frame_count(record.header);
    if (frames > footer_offset) return error(EBADMSG, "footer: {} frames", frames);
    footer.records.push_back(record);
  }
  return {};
}

}  // namespace

std::string encode_footer(const Footer& footer, uint64_t footer_offset, const SegmentId& segment) {
  std::string bytes;
  Encoder out(bytes);
  out.varint(footer.records.size());
  out.varint(footer.data_bytes);
  Previous before;
  for (const FooterRecord& record : footer.records) encode_entry(out, record, before);
  for (const FooterRecord& record : footer.records) {  // a lone frame's CRC is the payload's
    const uint64_t frames = frame_count(record.header);
    CHECK(record.first_frame + frames <= footer.frame_crcs.size());
    for (uint64_t i = 0; frames > 1 && i < frames; ++i)
      out.le32(footer.frame_crcs[record.first_frame + i]);
  }
  const size_t body = bytes.size();
  out.le64(footer_offset);
  out.le64(body + kFooterTailBytes);
  out.le32(0);
  out.le16(kFooterVersion);
  out.le16(0);
  out.raw(kFooterMagic);
  const ByteView all = as_bytes(bytes);
  const uint32_t crc = footer_crc(all.first(body), all.subspan(body), segment);
  std::memcpy(bytes.data() + body + 16, &crc, sizeof crc);
  return bytes;
}

Result<FooterPlace> find_footer(ByteView tail, uint64_t object_size) {
  if (tail.size() != kFooterTailBytes) return error(EBADMSG, "footer tail: {} bytes", tail.size());
  Decoder in(tail);
  FooterPlace place;
  place.offset = in.le64();
  place.length = in.le64();
  in.le32();
  const uint16_t version = in.le16();
  in.le16();
  if (in.raw(kFooterMagic.size()) != kFooterMagic)
    return error(EBADMSG, "no footer at the end of the segment");
  if (version != kFooterVersion)
    return error(ENOTSUP, "footer version {}: made by a newer shoal", version);
  if (place.length < kFooterTailBytes || place.length > object_size ||
      place.offset != object_size - place.length) {
    return error(EBADMSG, "footer at {}+{} of a segment of {} bytes", place.offset, place.length,
                 object_size);
  }
  return place;
}

Result<Footer> decode_footer(ByteView bytes, const SegmentId& segment) {
  if (bytes.size() < kFooterTailBytes) return error(EBADMSG, "footer: {} bytes", bytes.size());
  const ByteView body = bytes.first(bytes.size() - kFooterTailBytes);
  const ByteView tail = bytes.last(kFooterTailBytes);
  const uint64_t offset = Decoder(tail).le64();
  if (Decoder(tail.subspan(16)).le32() != footer_crc(body, tail, segment)) {
    return error(EBADMSG, "footer of segment {}: CRC does not match", segment.to_string());
  }
  if (offset > UINT64_MAX - bytes.size()) return error(EBADMSG, "footer at {}", offset);
  TRY(find_footer(tail, offset + bytes.size()));
  Decoder in(body);
  Footer footer;
  const uint64_t count = in.varint();
  footer.data_bytes = in.varint();
  if (count > in.remaining() / kRecordBytesMin) return error(EBADMSG, "footer: {} records", count);
  TRY(decode_records(in, count, offset, footer));
  for (const FooterRecord& record : footer.records) {
    const uint64_t frames = frame_count(record.header);
    if (frames > 1 && frames > in.remaining() / 4)
      return error(EBADMSG, "footer: frame table cut short");
    if (frames == 1) footer.frame_crcs.push_back(record.header.payload_crc);
    for (uint64_t i = 0; frames > 1 && i < frames; ++i) footer.frame_crcs.push_back(in.le32());
  }
  TRY(in.finish("footer"));
  return footer;
}

}  // namespace shoal::format
