#include "fuse/attributes.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "format/inode.h"

namespace shoal::fuse {
namespace {

uint64_t whole_seconds(std::chrono::nanoseconds time) {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(time).count());
}

uint32_t rest_nanoseconds(std::chrono::nanoseconds time) {
  return static_cast<uint32_t>((time % std::chrono::seconds(1)).count());
}

StatxTime statx_time(const Time& time) { return {time.seconds, time.nanoseconds, 0}; }

uint64_t blocks_of(const meta::Attr& attr) { return (attr.allocated + 511) / 512; }

}  // namespace

fuse_attr AttributeEncoder::attr(const meta::Attr& from) const {
  fuse_attr out{};
  out.ino = from.ino;
  out.size = from.size;
  out.blocks = blocks_of(from);
  // The kernel reads these as signed: times before 1970 survive.
  out.atime = static_cast<uint64_t>(from.atime.seconds);
  out.mtime = static_cast<uint64_t>(from.mtime.seconds);
  out.ctime = static_cast<uint64_t>(from.ctime.seconds);
  out.atimensec = from.atime.nanoseconds;
  out.mtimensec = from.mtime.nanoseconds;
  out.ctimensec = from.ctime.nanoseconds;
  out.mode = from.mode;
  out.nlink = from.nlink;
  out.uid = from.uid;
  out.gid = from.gid;
  out.rdev = device_to_kernel(from.rdev);
  out.blksize = block_bytes;
  return out;
}

fuse_attr_out AttributeEncoder::attr_out(const meta::Attr& from) const {
  fuse_attr_out out{};
  out.attr_valid = whole_seconds(times.attributes);
  out.attr_valid_nsec = rest_nanoseconds(times.attributes);
  out.attr = attr(from);
  return out;
}

fuse_entry_out AttributeEncoder::entry_out(const meta::Attr& from) const {
  fuse_entry_out out{};
  out.nodeid = nodes.node(from.ino);
  out.generation = from.generation;
  out.entry_valid = whole_seconds(times.entries);
  out.entry_valid_nsec = rest_nanoseconds(times.entries);
  out.attr_valid = whole_seconds(times.attributes);
  out.attr_valid_nsec = rest_nanoseconds(times.attributes);
  out.attr = attr(from);
  return out;
}

fuse_entry_out AttributeEncoder::negative_entry() const {
  fuse_entry_out out{};
  out.entry_valid = whole_seconds(times.negative);
  out.entry_valid_nsec = rest_nanoseconds(times.negative);
  return out;
}

StatxOut AttributeEncoder::statx_out(const meta::Attr& from) const {
  StatxOut out{};
  out.attr_valid = whole_seconds(times.attributes);
  out.attr_valid_nsec = rest_nanoseconds(times.attributes);
  StatxBody& stat = out.stat;
  stat.mask = STATX_BASIC_STATS | STATX_BTIME;
  stat.blksize = block_bytes;
  stat.nlink = from.nlink;
  stat.uid = from.uid;
  stat.gid = from.gid;
  stat.mode = static_cast<uint16_t>(from.mode);
  stat.ino = from.ino;
  stat.size = from.size;
  stat.blocks = blocks_of(from);
  stat.attributes_mask = STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND | STATX_ATTR_NODUMP;
  if ((from.flags & format::kFlagImmutable) != 0) stat.attributes |= STATX_ATTR_IMMUTABLE;
  if ((from.flags & format::kFlagAppendOnly) != 0) stat.attributes |= STATX_ATTR_APPEND;
  if ((from.flags & format::kFlagNoDump) != 0) stat.attributes |= STATX_ATTR_NODUMP;
  stat.atime = statx_time(from.atime);
  stat.btime = statx_time(from.btime);
  stat.ctime = statx_time(from.ctime);
  stat.mtime = statx_time(from.mtime);
  stat.rdev_major = gnu_dev_major(from.rdev);
  stat.rdev_minor = gnu_dev_minor(from.rdev);
  return out;
}

uint32_t device_to_kernel(uint64_t device) {
  const uint32_t major = gnu_dev_major(device);
  const uint32_t minor = gnu_dev_minor(device);
  return (minor & 0xff) | (major << 8) | ((minor & ~0xffu) << 12);
}

uint64_t device_from_kernel(uint32_t device) {
  const uint32_t major = (device & 0xfff00) >> 8;
  const uint32_t minor = (device & 0xff) | ((device >> 12) & 0xfff00);
  return gnu_dev_makedev(major, minor);
}

}  // namespace shoal::fuse
