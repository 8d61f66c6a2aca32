// The file of a large writer's segment (design §6.1, docs/format.md "External segments"):
//
//   4,096 bytes: header, zeros, and at the seal the header of the only record · slice · end record
//
// The slice grows by whole frames of 4 KiB, the last of each piece padded with zeros, so that no
// frame changes once an extent can name it. Which file bytes a piece holds and the CRCs of its
// frames are told by an "external" record in a journal; at the seal, all CRCs by the footer.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"
#include "format/extent.h"
#include "format/segment.h"
#include "sys/local_fs.h"

namespace shoal::data {

inline uint64_t whole_frames(uint64_t bytes) {
  return (bytes + kFrameBytesLarge - 1) / kFrameBytesLarge * kFrameBytesLarge;
}

// The first kExternalSliceAt bytes of the file.
std::string encode_external_head(const format::SegmentHeader& header);

// What extents in the slice name. The same for all, so that neighbours merge.
format::Target external_target(const SegmentId& segment);

// CRCs of the frames of a piece, padded.
std::vector<uint32_t> padded_frame_crcs(std::span<const ByteView> data);

// Zeros behind a piece of so many bytes.
ByteView padding_of(uint64_t bytes);

// Indexes (in `crcs`) of the frames of the file from `position` on that are not what `crcs` says.
Result<std::vector<uint32_t>> wrong_frames(File& file, uint64_t position,
                                           std::span<const uint32_t> crcs);

// The record header and the footer of a sealed one. Nothing but the inode is said about the file:
// the records in the journals know more.
format::Footer external_footer(Ino ino, ByteView slice, std::vector<uint32_t> frame_crcs);

struct ExternalSeal {
  Ino ino = 0;
  uint64_t slice_bytes = 0;
  uint64_t object_bytes = 0;
  std::vector<uint32_t> frame_crcs;
};
// nullopt: the file has no whole seal.
Result<std::optional<ExternalSeal>> find_external_seal(File& file, const SegmentId& segment);

}  // namespace shoal::data
