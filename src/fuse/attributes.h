// Attributes and node ids as the kernel wants them.
//
// A node id is a pure function of the inode number: its low 48 bits are the number, the bits above
// a version tag (0 until versions of one file's content must coexist). The root of the mount,
// whatever inode it is, is node 1. So FORGET needs no table, and a successor process understands
// every node id its predecessor gave out.
#pragma once

#include <chrono>

#include "base/ids.h"
#include "fuse/kernel_abi.h"
#include "meta/types.h"

namespace shoal::fuse {

struct NodeIds {
  Ino root = kRootIno;  // --subdir

  uint64_t node(Ino ino) const { return ino == root ? FUSE_ROOT_ID : ino; }
  Ino ino(uint64_t node) const { return node == FUSE_ROOT_ID ? root : node & kInoMax; }
};

// How long the kernel may believe an answer without asking again.
struct CacheTimes {
  std::chrono::nanoseconds attributes = std::chrono::hours(1);
  std::chrono::nanoseconds entries = std::chrono::hours(1);
  std::chrono::nanoseconds negative =
      std::chrono::hours(1);  // "there is no such name"; 0: never cached
};

struct AttributeEncoder {
  NodeIds nodes;
  CacheTimes times;
  uint32_t block_bytes = 4096;  // st_blksize

  fuse_attr attr(const meta::Attr& attr) const;
  fuse_attr_out attr_out(const meta::Attr& attr) const;
  fuse_entry_out entry_out(const meta::Attr& attr) const;
  fuse_entry_out negative_entry() const;
  StatxOut statx_out(const meta::Attr& attr) const;
};

// Device numbers travel in 32 bits (12 major, 20 minor); the volume keeps makedev(3)'s 64.
uint32_t device_to_kernel(uint64_t device);
uint64_t device_from_kernel(uint32_t device);

}  // namespace shoal::fuse
