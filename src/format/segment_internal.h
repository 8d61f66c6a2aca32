// What segment.cc and segment_footer.cc share. Not for other folders.
#pragma once

#include <cstdint>

#include "base/error.h"
#include "format/segment.h"

namespace shoal::format {

// What CRCs inside a segment begin with, so that bytes of another segment never match: CRC-32C of
// nonce and sequence.
uint32_t segment_seed(const SegmentId& segment);

// Frames whose bytes lie in this segment behind the record's header; 0 for external records and
// those without data.
uint64_t frame_count(const RecordHeader& header);

// EBADMSG for a value that no writer makes, ENOTSUP for what only a newer one does.
Status check_record_header(const RecordHeader& header, uint64_t slice_bytes_max);

}  // namespace shoal::format
