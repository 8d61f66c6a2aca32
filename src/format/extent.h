// An extent: a range of a file and where its bytes are. Never overlapping within one inode
// (resolved at commit).
#pragma once

#include <cstdint>
#include <optional>

#include "base/coding.h"
#include "base/ids.h"

namespace shoal::format {

// Where a slice lies. A slice is the data of one record: `length` consecutive file bytes, stored in
// frames that start at `offset` of the object. When stored plain, byte i of the slice is byte
// offset + i of the object.
struct Target {
  enum class Kind : uint8_t {
    kSegment = 1,
    kImported = 2
  };  // other values are reserved: readers answer ENOTSUP
  Kind kind = Kind::kSegment;
  SegmentId segment;      // kSegment
  uint64_t imported = 0;  // kImported: number of the `Y` record
  uint64_t offset = 0;    // first stored byte of the slice in the object
  uint64_t length = 0;    // file bytes of the whole slice
  std::optional<uint32_t>
      crc;            // CRC-32C of the slice when it is one frame (length ≤ kFrameBytesMax)
  uint8_t flags = 0;  // reserved: compressed, encrypted
  bool operator==(const Target&) const = default;
};

struct Extent {
  uint64_t offset = 0;  // in the file
  uint64_t length = 0;  // > 0
  Target target;
  uint64_t first = 0;  // first byte of the extent inside the slice; first + length ≤ target.length
  bool operator==(const Extent&) const = default;
  uint64_t end() const { return offset + length; }
};

// First byte of the value of `E ino offset`; the body follows.
inline constexpr uint8_t kExtentFormat = 1;

// Body without the file offset, which is part of the key `E ino offset`.
void encode_extent(Encoder& out, const Extent& extent);
// EBADMSG on anything that is not a valid extent.
Result<Extent> decode_extent(Decoder& in, uint64_t offset);

}  // namespace shoal::format
