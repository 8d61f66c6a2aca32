#include "format/segment.h"

#include <bit>

#include "base/coding.h"
#include "base/crc32c.h"
#include "base/limits.h"
#include "format/segment_internal.h"

namespace shoal::format {
namespace {

constexpr std::string_view kSegmentMagic = "SHOALSEG";
constexpr uint16_t kSegmentVersion = 1;
constexpr uint8_t kFlagExternal = 1;
constexpr size_t kHeaderCrcAt = kSegmentHeaderBytes - 4;
constexpr uint8_t kRecordVersion = 1;
constexpr size_t kHashBits = 20;

void put_uuid(Encoder& out, const Uuid& uuid) {
  out.raw({reinterpret_cast<const char*>(uuid.bytes.data()), uuid.bytes.size()});
}

Uuid get_uuid(Decoder& in) {
  Uuid uuid;
  const std::string_view raw = in.raw(uuid.bytes.size());
  if (raw.size() == uuid.bytes.size()) std::memcpy(uuid.bytes.data(), raw.data(), raw.size());
  return uuid;
}

std::string id_bytes(const SegmentId& segment) {
  std::string bytes;
  Encoder out(bytes);
  out.le64(segment.nonce);
  out.le64(segment.sequence);
  return bytes;
}

bool has_times_in_range(const RecordHeader& h) {
  return h.mtime.nanoseconds < 1'000'000'000 && h.atime.nanoseconds < 1'000'000'000;
}

Status check_data(const RecordHeader& h, uint64_t slice_bytes_max) {
  if (h.length == 0 || h.length > slice_bytes_max)
    return error(EBADMSG, "record: {} data bytes", h.length);
  const bool one_frame = h.length <= kFrameBytesMax;
  if (h.frame_bytes == 0 || h.frame_bytes > kFrameBytesMax ||
      (one_frame && h.frame_bytes < h.length)) {
    return error(EBADMSG, "record: frames of {} bytes for {} data bytes", h.frame_bytes, h.length);
  }
  if ((h.flags & kRecordExternal) != 0) return {};
  if (h.payload_length != h.length) {
    return error(EBADMSG, "record: {} stored bytes for {} data bytes", h.payload_length, h.length);
  }
  return {};
}

}  // namespace

uint32_t segment_seed(const SegmentId& segment) { return crc32c(as_bytes(id_bytes(segment))); }

uint64_t frame_count(const RecordHeader& header) {
  if (header.kind != RecordKind::kData || header.frame_bytes == 0) return 0;
  if ((header.flags & kRecordExternal) != 0) return 0;
  return (header.length + header.frame_bytes - 1) / header.frame_bytes;
}

Status check_record_header(const RecordHeader& h, uint64_t slice_bytes_max) {
  const bool known =
      h.kind >= RecordKind::kData && h.kind <= RecordKind::kEnd && h.kind != RecordKind::kMetadata;
  if (!known)
    return error(ENOTSUP, "record of kind {}: made by a newer shoal", static_cast<int>(h.kind));
  if (h.kind == RecordKind::kEnd) return {};
  if ((h.flags & ~(kRecordExternal | kRecordAtime | kRecordKeepSize | kRecordAppend)) != 0) {
    return error(ENOTSUP, "record with flags {:#x}: made by a newer shoal", h.flags);
  }
  if (h.ino == 0 || h.ino > kInoMax || h.parent > kInoMax)
    return error(EBADMSG, "record: inode {}", h.ino);
  if (!has_times_in_range(h)) return error(EBADMSG, "record: time out of range");
  if (h.offset > kFileBytesMax || h.length > kFileBytesMax || h.offset + h.length > kFileBytesMax) {
    return error(EBADMSG, "record: range {}+{}", h.offset, h.length);
  }
  if (h.kind == RecordKind::kData) return check_data(h, slice_bytes_max);
  if (h.payload_length != 0 || h.frame_bytes != 0 || (h.flags & kRecordExternal) != 0) {
    return error(EBADMSG, "record of kind {} with a payload", static_cast<int>(h.kind));
  }
  return {};
}

std::string encode_segment_header(const SegmentHeader& header) {
  std::string bytes;
  bytes.reserve(kSegmentHeaderBytes);
  Encoder out(bytes);
  out.raw(kSegmentMagic);
  out.le16(kSegmentVersion);
  out.u8(header.external ? kFlagExternal : 0);
  out.u8(0);
  out.le32(header.key_id);
  put_uuid(out, header.volume);
  put_uuid(out, header.store);
  out.le64(header.lineage);
  out.le64(header.segment.nonce);
  out.le64(header.segment.sequence);
  bytes.resize(kHeaderCrcAt);  // room for a wrapped data key
  out.le32(crc32c(as_bytes(bytes)));
  CHECK(bytes.size() == kSegmentHeaderBytes);
  return bytes;
}

Result<SegmentHeader> decode_segment_header(ByteView bytes) {
  if (bytes.size() < kSegmentHeaderBytes)
    return error(EBADMSG, "segment header: {} bytes", bytes.size());
  bytes = bytes.first(kSegmentHeaderBytes);
  Decoder in(bytes);
  if (in.raw(kSegmentMagic.size()) != kSegmentMagic)
    return error(EBADMSG, "not a segment: no magic");
  if (Decoder(bytes.subspan(kHeaderCrcAt)).le32() != crc32c(bytes.first(kHeaderCrcAt))) {
    return error(EBADMSG, "segment header: CRC does not match");
  }
  const uint16_t version = in.le16();
  if (version != kSegmentVersion)
    return error(ENOTSUP, "segment version {}: made by a newer shoal", version);
  SegmentHeader header;
  const uint8_t flags = in.u8();
  in.u8();
  header.external = (flags & kFlagExternal) != 0;
  header.key_id = in.le32();
  header.volume = get_uuid(in);
  header.store = get_uuid(in);
  header.lineage = in.le64();
  header.segment.nonce = in.le64();
  header.segment.sequence = in.le64();
  if ((flags & ~kFlagExternal) != 0 || header.key_id != 0) {
    return error(ENOTSUP, "segment {}: encrypted or made by a newer shoal",
                 header.segment.to_string());
  }
  TRY(in.status("segment header"));
  return header;
}

std::string encode_record_header(const RecordHeader& h, const SegmentId& segment) {
  std::string bytes;
  bytes.reserve(kRecordHeaderBytes);
  Encoder out(bytes);
  out.le32(0);  // CRC, below
  out.u8(kRecordVersion);
  out.u8(static_cast<uint8_t>(h.kind));
  out.le16(h.flags);
  out.le32(h.payload_crc);
  out.le32(h.payload_length);
  out.le32(h.frame_bytes);
  out.le32(h.mtime.nanoseconds);
  out.le64(h.ino);
  out.le64(h.generation);
  out.le64(h.sequence);
  out.le64(h.previous_sequence);
  out.le64(h.base_version);
  out.le64(h.offset);
  out.le64(h.length);
  out.le64(static_cast<uint64_t>(h.mtime.seconds));
  out.le64(h.parent);
  out.le64(static_cast<uint64_t>(h.atime.seconds));
  out.le32(h.atime.nanoseconds);
  bytes.resize(kRecordHeaderBytes);
  const uint32_t crc = crc32c(as_bytes(bytes).subspan(4), segment_seed(segment));
  std::memcpy(bytes.data(), &crc, sizeof crc);
  return bytes;
}

namespace {

Result<RecordHeader> decode_header(ByteView bytes, const SegmentId& segment,
                                   uint64_t slice_bytes_max) {
  if (bytes.size() < kRecordHeaderBytes)
    return error(EBADMSG, "record header: {} bytes", bytes.size());
  bytes = bytes.first(kRecordHeaderBytes);
  Decoder in(bytes);
  if (in.le32() != crc32c(bytes.subspan(4), segment_seed(segment)))
    return Error(EBADMSG);  // the usual end of a scan
  if (const uint8_t version = in.u8(); version != kRecordVersion) {
    return error(ENOTSUP, "record version {}: made by a newer shoal", version);
  }
  RecordHeader h;
  h.kind = static_cast<RecordKind>(in.u8());
  h.flags = in.le16();
  h.payload_crc = in.le32();
  h.payload_length = in.le32();
  h.frame_bytes = in.le32();
  h.mtime.nanoseconds = in.le32();
  h.ino = in.le64();
  h.generation = in.le64();
  h.sequence = in.le64();
  h.previous_sequence = in.le64();
  h.base_version = in.le64();
  h.offset = in.le64();
  h.length = in.le64();
  h.mtime.seconds = static_cast<int64_t>(in.le64());
  h.parent = in.le64();
  h.atime.seconds = static_cast<int64_t>(in.le64());
  h.atime.nanoseconds = in.le32();
  TRY(check_record_header(h, slice_bytes_max));
  if (h.kind == RecordKind::kData && h.payload_length > slice_bytes_max) {
    return error(EBADMSG, "record: payload of {} bytes", h.payload_length);
  }
  return h;
}

}  // namespace

Result<RecordHeader> decode_record_header(ByteView bytes, const SegmentId& segment) {
  return decode_header(bytes, segment, kRecordBytesMax);
}

Result<RecordHeader> decode_slice_header(ByteView bytes, const SegmentId& segment) {
  return decode_header(bytes, segment, kExternalSliceBytesMax);
}

std::string encode_external(const ExternalPlace& place) {
  std::string bytes;
  Encoder out(bytes);
  out.le64(place.segment.nonce);
  out.le64(place.segment.sequence);
  out.le64(place.offset);
  out.le32(static_cast<uint32_t>(place.frame_crcs.size()));
  for (const uint32_t crc : place.frame_crcs) out.le32(crc);
  return bytes;
}

Result<ExternalPlace> decode_external(ByteView bytes) {
  Decoder in(bytes);
  ExternalPlace place;
  place.segment.nonce = in.le64();
  place.segment.sequence = in.le64();
  place.offset = in.le64();
  const uint32_t frames = in.le32();
  if (!in.ok() || in.remaining() != uint64_t{frames} * 4)
    return error(EBADMSG, "external place: {} frames", frames);
  place.frame_crcs.reserve(frames);
  for (uint32_t i = 0; i < frames; ++i) place.frame_crcs.push_back(in.le32());
  TRY(in.finish("external place"));
  return place;
}

uint32_t frame_bytes_for(uint64_t slice_length) {
  return static_cast<uint32_t>(slice_length <= kFrameBytesMax ? kFrameBytesMax : kFrameBytesLarge);
}

std::vector<uint32_t> frame_crcs(ByteView slice) {
  const size_t frame = frame_bytes_for(slice.size());
  std::vector<uint32_t> crcs;
  crcs.reserve((slice.size() + frame - 1) / frame);
  for (size_t at = 0; at < slice.size(); at += frame) {
    crcs.push_back(crc32c(slice.subspan(at, std::min(frame, slice.size() - at))));
  }
  return crcs;
}

std::string segment_object_key(const Uuid& volume, const SegmentId& segment) {
  const uint32_t hash = segment_seed(segment) >> (32 - kHashBits);
  std::string key = volume.to_string() + "/seg/";
  for (size_t i = 0; i < kHashBits; ++i) {
    if (i == 4 || i == 8) key += '/';
    key += (hash >> (kHashBits - 1 - i) & 1) != 0 ? '1' : '0';
  }
  return key + '/' + segment.to_string();
}

std::string owner_marker_key(const Uuid& volume) { return volume.to_string() + "/owner"; }

Result<SegmentId> parse_segment_object_key(std::string_view key) {
  const size_t slash = key.rfind('/');
  if (slash == std::string_view::npos) return error(EINVAL, "'{}' is no segment's key", key);
  auto id = SegmentId::parse(key.substr(slash + 1));
  if (!id.ok()) return error(EINVAL, "'{}' is no segment's key", key);
  return *id;
}

}  // namespace shoal::format
