#include "format/extent.h"

#include "base/limits.h"

namespace shoal::format {
namespace {

// Bits of the first byte. What is absent has its usual value, so that a whole one-frame slice costs
// few bytes.
constexpr uint8_t kKindMask = 0x07;
constexpr uint8_t kHasCrc = 0x08;
constexpr uint8_t kPart =
    0x10;  // slice length and first byte follow: the extent is not the whole slice
constexpr uint8_t kHasFlags = 0x20;  // Target::flags follows
constexpr uint8_t kKnownBits = kKindMask | kHasCrc | kPart | kHasFlags;

}  // namespace

void encode_extent(Encoder& out, const Extent& extent) {
  const Target& target = extent.target;
  const bool part = extent.first != 0 || target.length != extent.length;
  out.u8(static_cast<uint8_t>(target.kind) | (target.crc ? kHasCrc : 0) | (part ? kPart : 0) |
         (target.flags != 0 ? kHasFlags : 0));
  out.varint(extent.length);
  if (target.kind == Target::Kind::kSegment) {
    out.le64(target.segment.nonce);  // random: a varint would be longer
    out.varint(target.segment.sequence);
  } else {
    out.varint(target.imported);
  }
  out.varint(target.offset);
  if (part) {
    out.varint(target.length);
    out.varint(extent.first);
  }
  if (target.crc) out.le32(*target.crc);
  if (target.flags != 0) out.u8(target.flags);
}

Result<Extent> decode_extent(Decoder& in, uint64_t offset) {
  Extent extent;
  extent.offset = offset;
  const uint8_t head = in.u8();
  const uint8_t kind = head & kKindMask;
  if (in.ok() && ((head & ~kKnownBits) != 0 || kind > 2)) {
    return error(ENOTSUP, "extent of kind {:#x}: written by a newer shoal", head);
  }
  if (kind == 0) in.fail();
  extent.length = in.varint();
  extent.target.kind = static_cast<Target::Kind>(kind);
  if (extent.target.kind == Target::Kind::kSegment) {
    extent.target.segment.nonce = in.le64();
    extent.target.segment.sequence = in.varint();
  } else {
    extent.target.imported = in.varint();
  }
  extent.target.offset = in.varint();
  extent.target.length = extent.length;
  if ((head & kPart) != 0) {
    extent.target.length = in.varint();
    extent.first = in.varint();
  }
  if ((head & kHasCrc) != 0) extent.target.crc = in.le32();
  if ((head & kHasFlags) != 0) extent.target.flags = in.u8();
  TRY(in.status("extent"));
  if (extent.length == 0 || offset > kFileBytesMax || extent.length > kFileBytesMax - offset ||
      extent.first > extent.target.length || extent.length > extent.target.length - extent.first ||
      extent.target.length > kFileBytesMax) {
    return error(EBADMSG, "extent at {} of {} bytes is out of range", offset, extent.length);
  }
  return extent;
}

}  // namespace shoal::format
