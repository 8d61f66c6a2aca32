// The value of `I ino`. A record with one extent and no xattr is ≤ 96 bytes. Byte layout in
// docs/format.md; golden bytes in inode_test.cc. Fields that a newer version appended are kept and
// written back (`unknown_tail`).
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "format/extent.h"

namespace shoal::format {

// Inode flags, values of our own; FS_IOC_GETFLAGS values are translated in fuse/.
inline constexpr uint32_t kFlagImmutable = 1u << 0;
inline constexpr uint32_t kFlagAppendOnly = 1u << 1;
inline constexpr uint32_t kFlagNoDump = 1u << 2;
inline constexpr uint32_t kFlagNoAtime = 1u << 3;
inline constexpr uint32_t kFlagDying = 1u << 16;  // directory: rmdir scans it, nothing may be added
inline constexpr uint32_t kFlagTrashed = 1u << 17;  // last name gone, kept by a `T` record

// Where an inode's bytes are.
enum class Content : uint8_t {
  kNone = 0,           // no data
  kInlineExtents = 1,  // up to kExtentsInline extents in the record
  kExtents = 2,        // extents are `E` records
  kSymlink = 3,        // target in the record
  kInlineBytes = 4,    // reserved: ≤ 512 bytes of data in the record
};

struct Applied {       // the last data operation of a store that is part of this record
  uint32_t store = 0;  // number of the `H` record; 0: none yet
  uint64_t sequence = 0;
  bool operator==(const Applied&) const = default;
};

inline constexpr size_t kAppliedOthersMax = 8;

struct Inode {
  uint32_t mode = 0;  // S_IFMT | permissions
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t nlink = 0;
  uint64_t size = 0;
  uint64_t allocated = 0;  // bytes of the file covered by extents (st_blocks = ⌈allocated/512⌉)
  Time atime, mtime, ctime, btime;
  uint64_t rdev = 0;  // Linux encoding of makedev(3), for devices
  uint32_t flags = 0;
  Ino parent = 0;  // of its only name, or of its first; a directory's ".."
  uint64_t generation = 0;
  Stamp data_version = 0;  // stamp of the last commit of data
  Applied applied;
  // Of other stores, when several mounts wrote to the file: the newest first, ≤ kAppliedOthersMax.
  std::vector<Applied> applied_others;
  uint64_t acl_access = 0;  // id of an `A` record; 0: none
  uint64_t acl_default = 0;
  uint64_t entries = 0;  // directory: number of names in it (I8: fsck recounts)
  Content content = Content::kNone;
  std::vector<Extent> extents;  // kInlineExtents, ascending
  std::string symlink;
  std::vector<std::pair<std::string, std::string>> xattrs;  // small ones, sorted by name
  bool has_big_xattrs = false;                              // there are `X ino …` records
  std::string unknown_tail;

  bool is_directory() const { return (mode & 0170000) == 0040000; }
  bool is_regular() const { return (mode & 0170000) == 0100000; }
  bool is_symlink() const { return (mode & 0170000) == 0120000; }
};

std::string encode_inode(const Inode& inode);
Result<Inode> decode_inode(std::string_view value);

// The value of `D parent name`.
struct Entry {
  uint8_t type = 0;  // DT_* of dirent.h; kWhiteout: the name is deleted from what lies below
  Ino ino = 0;
  bool operator==(const Entry&) const = default;
};
inline constexpr uint8_t kWhiteout = 0;

std::string encode_entry(const Entry& entry);
Result<Entry> decode_entry(std::string_view value);

// The value of `L ino parent`.
std::string encode_link_count(uint32_t names);
Result<uint32_t> decode_link_count(std::string_view value);

}  // namespace shoal::format
