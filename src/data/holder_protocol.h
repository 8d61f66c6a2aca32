// What mounts ask each other about slices that only one of them has (design §6.2 "Other nodes"):
// the methods of a HolderService and the bodies of its messages, over rpc. Numbers are for ever.
//
// Private to data/.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"
#include "base/ids.h"
#include "format/extent.h"

namespace shoal::data {

inline constexpr uint16_t kReadStaged = 1;  // bytes of a slice; ENOENT: the segment is not here
inline constexpr uint16_t kUploadSoon = 2;  // of a segment; ENOENT as above
inline constexpr uint16_t kIsStaged = 3;    // … whether it is here; ENOENT as above

inline constexpr size_t kHolderReadBytesMax = 1 << 20;  // of one call

struct StagedRange {
  format::Target slice;  // a segment's
  uint64_t first = 0;    // in the slice
  uint64_t length = 0;   // 1 … kHolderReadBytesMax
};
std::string encode(const StagedRange& range);
Result<StagedRange> decode_staged_range(std::string_view body);

std::string encode(const SegmentId& id);
Result<SegmentId> decode_segment(std::string_view body);

// An answer with bytes: their CRC32C, then they.
inline constexpr size_t kStagedBytesAt = 4;
void seal_staged_bytes(std::string& answer);  // REQUIRES the bytes at kStagedBytesAt …
// EBADMSG: not so many bytes, or not those that were sent.
Result<ByteView> open_staged_bytes(std::string_view answer, size_t length);

}  // namespace shoal::data
