// Segments: what lies in the bucket and, byte for byte the same, in the staging journals (design
// §6.1).
//
//   header · record* · footer
//   record = RecordHeader (fixed size) · payload
//
// Every integer is little-endian. A reader needs nothing but the object. docs/format.md describes
// every byte.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/ids.h"
#include "base/time.h"

namespace shoal::format {

inline constexpr size_t kSegmentHeaderBytes = 128;
inline constexpr size_t kRecordHeaderBytes = 128;
inline constexpr size_t kFooterTailBytes =
    32;  // at the very end: footer offset, length, CRC, magic

struct SegmentHeader {
  Uuid volume;
  uint64_t lineage = 0;
  Uuid store;
  SegmentId segment;
  bool external = false;  // a large writer's segment: one slice that starts at 4 KiB, written by
                          // "external" records
  uint32_t key_id = 0;    // reserved: encryption
};
std::string encode_segment_header(const SegmentHeader& header);  // kSegmentHeaderBytes
Result<SegmentHeader> decode_segment_header(ByteView bytes);

enum class RecordKind : uint8_t {
  kData = 1,      // `length` file bytes at `offset`
  kTruncate = 2,  // the file's size becomes `offset`; the only record that sets a size
  kPunch = 3,     // [offset, offset+length) becomes a hole, size unchanged
  kZero = 4,      // likewise, and extends the size like data
  kTimes = 5,     // explicit set-times on an inode with uncommitted operations: mtime (and atime if
                  // the flag says so)
  kMetadata = 6,  // reserved
  kEnd = 7,       // no record follows; what lies behind is old
};

inline constexpr uint16_t kRecordExternal =
    1;  // payload = ExternalPlace; the bytes are in another segment
inline constexpr uint16_t kRecordAtime = 2;     // kTimes: atime is set too
inline constexpr uint16_t kRecordKeepSize = 4;  // kZero: does not extend
inline constexpr uint16_t kRecordAppend = 8;  // kData: wherever the file ends when it is committed

struct RecordHeader {
  RecordKind kind = RecordKind::kData;
  uint16_t flags = 0;
  uint32_t payload_crc = 0;     // CRC-32C of the stored payload
  uint32_t payload_length = 0;  // stored bytes behind the header
  uint32_t frame_bytes = 0;     // file bytes of a frame; 0: no data
  Ino ino = 0;
  uint64_t generation = 0;
  uint64_t sequence = 0;           // of this store, never falls
  uint64_t previous_sequence = 0;  // this store's previous one for the inode; 0: none known
  Stamp base_version = 0;  // the inode's data version below this store's uncommitted records
  uint64_t offset = 0;
  uint64_t length = 0;
  Time mtime;      // left behind by the operation
  Ino parent = 0;  // directory it was written under; repack sorts by it
  Time atime;      // only with kRecordAtime
};
// The header's own CRC is seeded with the segment id, so that what a recycled journal held before
// never matches.
std::string encode_record_header(const RecordHeader& header,
                                 const SegmentId& segment);  // kRecordHeaderBytes
// EBADMSG when it is not a record of this segment.
Result<RecordHeader> decode_record_header(ByteView bytes, const SegmentId& segment);
// Likewise, of the slice of an external segment, which may be as long as a segment.
Result<RecordHeader> decode_slice_header(ByteView bytes, const SegmentId& segment);

// An external segment: zeros between its header and the header of its only record, so that the
// slice begins at kExternalSliceAt. Extents name the slice with this length while it grows and for
// ever, so that neighbours are one extent; how long it is in truth, the footer says.
inline constexpr uint64_t kExternalSliceAt = 4096;
inline constexpr uint64_t kExternalRecordAt = kExternalSliceAt - kRecordHeaderBytes;
inline constexpr uint64_t kExternalSliceBytesMax = uint64_t{64} << 20;

struct ExternalPlace {
  SegmentId segment;
  uint64_t offset = 0;               // of the first byte in that segment
  std::vector<uint32_t> frame_crcs;  // one per frame of kFrameBytesLarge; the last padded by zeros
};
std::string encode_external(const ExternalPlace& place);
Result<ExternalPlace> decode_external(ByteView bytes);

// Frame size of a plain slice: one frame up to kFrameBytesMax, else frames of kFrameBytesLarge.
uint32_t frame_bytes_for(uint64_t slice_length);
std::vector<uint32_t> frame_crcs(ByteView slice);

struct FooterRecord {
  uint64_t position = 0;  // of the record header; of the slice itself in an external segment
  RecordHeader header;
  uint32_t first_frame = 0;  // index into Footer::frame_crcs
};
struct Footer {
  std::vector<FooterRecord> records;
  std::vector<uint32_t> frame_crcs;
  uint64_t data_bytes = 0;
};
std::string encode_footer(const Footer& footer, uint64_t footer_offset, const SegmentId& segment);
struct FooterPlace {
  uint64_t offset = 0;
  uint64_t length = 0;  // with the tail
};
// From the last kFooterTailBytes of an object of `object_size` bytes.
Result<FooterPlace> find_footer(ByteView tail, uint64_t object_size);
Result<Footer> decode_footer(ByteView bytes, const SegmentId& segment);

// "<volume>/seg/0101/1100/…12 digits…/<segment id hex>"
std::string segment_object_key(const Uuid& volume, const SegmentId& segment);
std::string owner_marker_key(const Uuid& volume);
// The id at the end of a segment's object key.
Result<SegmentId> parse_segment_object_key(std::string_view key);

}  // namespace shoal::format
