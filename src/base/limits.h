// Every limit that more than one floor knows (I10). Units are in the names.
#pragma once

#include <cstddef>
#include <cstdint>

namespace shoal {

inline constexpr size_t kNameBytesMax = 255;
inline constexpr size_t kSymlinkBytesMax = 4095;
inline constexpr uint64_t kFileBytesMax = uint64_t{1} << 56;
inline constexpr uint32_t kLinksMax = uint32_t{1} << 31;
inline constexpr size_t kXattrNameBytesMax = 255;
inline constexpr size_t kXattrValueBytesMax =
    65536 - 512;  // an engine value is at most 64 KiB, header included
inline constexpr size_t kXattrListBytesMax = 65536;  // what listxattr(2) can return

inline constexpr size_t kPageEntriesMax = 1000;  // of a scan or a directory page
inline constexpr size_t kBatchBytesMax = 1 << 20;
inline constexpr size_t kEngineValueBytesMax = 64 << 10;
inline constexpr size_t kEngineKeyBytesMax = 2 << 10;  // PostgreSQL: a third of an index page

inline constexpr uint64_t kSegmentBytesMax = 64 << 20;  // policy, not format
inline constexpr size_t kRecordBytesMax = 1 << 20;      // file bytes of one data record
inline constexpr size_t kFrameBytesMax = 64 << 10;      // file bytes of one frame
inline constexpr size_t kFrameBytesLarge =
    4 << 10;                                    // frames of slices > kFrameBytesMax, uncompressed
inline constexpr size_t kBlockBytes = 4 << 20;  // unit of fetch and cache
inline constexpr size_t kRequestBytesMax = 1 << 20;  // one FUSE READ or WRITE

inline constexpr size_t kExtentsInline = 4;          // extents kept in the inode record
inline constexpr size_t kInlineXattrBytesMax = 512;  // xattrs kept in the inode record

}  // namespace shoal
