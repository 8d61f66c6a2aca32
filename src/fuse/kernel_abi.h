// The FUSE protocol as we speak it: <linux/fuse.h> (Debian 12: protocol 7.38) and the few newer
// names we use, laid out as Linux 6.18 (protocol 7.45) documents them. Numbers and layouts are
// facts of the kernel's ABI and never change.
#pragma once

#include <linux/fuse.h>

#include <cstdint>

namespace shoal::fuse {

// What we claim in INIT. The kernel uses the smaller of this and its own; features are negotiated
// by flags.
inline constexpr uint32_t kProtocolMajor = 7;
inline constexpr uint32_t kProtocolMinor = 45;
// Older kernels lay out the INIT reply differently (Linux 3.14 and before).
inline constexpr uint32_t kProtocolMinorMin = 23;

inline constexpr uint64_t kInitCreateSuppGroup = uint64_t{1}
                                                 << 34;  // since 7.38's successor, Linux 6.3

inline constexpr uint64_t kInitDirectIoAllowMmap = uint64_t{1} << 36;  // 7.39

inline constexpr int kNotifyIncEpoch = 8;  // 7.44, Linux 6.16: every name is to be looked up again

inline constexpr uint32_t kOpStatx = 52;            // 7.39
inline constexpr uint32_t kOpCopyFileRange64 = 53;  // 7.45

inline constexpr uint32_t kExtGroups = 32;  // fuse_ext_header.type: SuppGroups follows

struct SuppGroups {
  uint32_t count;
  // uint32_t groups[count];
};

struct StatxIn {
  uint32_t getattr_flags;
  uint32_t reserved;
  uint64_t fh;
  uint32_t sx_flags;
  uint32_t sx_mask;
};

struct StatxTime {
  int64_t seconds;
  uint32_t nanoseconds;
  int32_t reserved;
};

struct StatxBody {  // the first 256 bytes are struct statx of statx(2)
  uint32_t mask;
  uint32_t blksize;
  uint64_t attributes;
  uint32_t nlink;
  uint32_t uid;
  uint32_t gid;
  uint16_t mode;
  uint16_t spare0;
  uint64_t ino;
  uint64_t size;
  uint64_t blocks;
  uint64_t attributes_mask;
  StatxTime atime, btime, ctime, mtime;
  uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
  uint64_t spare2[14];
};
static_assert(sizeof(StatxBody) == 256);

struct StatxOut {
  uint64_t attr_valid;
  uint32_t attr_valid_nsec;
  uint32_t flags;
  uint64_t spare[2];
  StatxBody stat;
};
static_assert(sizeof(StatxOut) == 288);

struct CopyFileRangeOut {
  uint64_t bytes_copied;
};

}  // namespace shoal::fuse
