#include "format/inode.h"

#include "base/limits.h"

namespace shoal::format {
namespace {

constexpr uint8_t kInodeFormat = 1;
constexpr uint8_t kEntryFormat = 1;
constexpr uint8_t kLinkFormat = 1;

// Fields that usually have their default are present only when their bit is set.
enum Present : uint64_t {
  kAtime = 1u << 0,  // differs from mtime; likewise ctime and btime
  kCtime = 1u << 1,
  kBtime = 1u << 2,
  kVersion = 1u << 3,    // data_version and applied
  kAllocated = 1u << 4,  // differs from size
  kXattrs = 1u << 5,
  kFlags = 1u << 6,
  kRdev = 1u << 7,
  kAclAccess = 1u << 8,
  kAclDefault = 1u << 9,
  kEntries = 1u << 10,
  kBigXattrs = 1u << 11,
  kAppliedOthers = 1u << 12,
  kAllBits = (1u << 13) - 1,
};

uint64_t present_bits(const Inode& inode) {
  uint64_t bits = 0;
  if (inode.atime != inode.mtime) bits |= kAtime;
  if (inode.ctime != inode.mtime) bits |= kCtime;
  if (inode.btime != inode.mtime) bits |= kBtime;
  if (inode.data_version != 0 || inode.applied != Applied{}) bits |= kVersion;
  if (inode.allocated != inode.size) bits |= kAllocated;
  if (!inode.xattrs.empty()) bits |= kXattrs;
  if (inode.flags != 0) bits |= kFlags;
  if (inode.rdev != 0) bits |= kRdev;
  if (inode.acl_access != 0) bits |= kAclAccess;
  if (inode.acl_default != 0) bits |= kAclDefault;
  if (inode.entries != 0) bits |= kEntries;
  if (inode.has_big_xattrs) bits |= kBigXattrs;
  if (!inode.applied_others.empty()) bits |= kAppliedOthers;
  return bits;
}

// Other times are near mtime: the difference of the seconds takes one byte. Wraps like the addition
// on reading.
void encode_time(Encoder& out, const Time& time, const Time& base) {
  out.zigzag(static_cast<int64_t>(static_cast<uint64_t>(time.seconds) -
                                  static_cast<uint64_t>(base.seconds)));
  out.le32(time.nanoseconds);
}

Time decode_time(Decoder& in, const Time& base) {
  Time time;
  time.seconds = static_cast<int64_t>(static_cast<uint64_t>(in.zigzag()) +
                                      static_cast<uint64_t>(base.seconds));
  time.nanoseconds = in.le32();
  if (time.nanoseconds >= 1'000'000'000) in.fail();
  return time;
}

uint32_t decode_u32(Decoder& in) {
  const uint64_t v = in.varint();
  if (v > 0xffffffffu) in.fail();
  return static_cast<uint32_t>(v);
}

void encode_content(Encoder& out, const Inode& inode) {
  out.u8(static_cast<uint8_t>(inode.content));
  switch (inode.content) {
    case Content::kInlineExtents: {
      out.u8(static_cast<uint8_t>(inode.extents.size()));
      uint64_t end = 0;  // offsets as the gap behind the extent before
      for (const Extent& extent : inode.extents) {
        out.varint(extent.offset - end);
        encode_extent(out, extent);
        end = extent.end();
      }
      break;
    }
    case Content::kSymlink:
      out.string(inode.symlink);
      break;
    default:
      break;
  }
}

Status decode_content(Decoder& in, Inode& inode) {
  const uint8_t content = in.u8();
  TRY(in.status("inode"));
  switch (content) {
    case static_cast<uint8_t>(Content::kNone):
    case static_cast<uint8_t>(Content::kExtents):
      break;
    case static_cast<uint8_t>(Content::kInlineExtents): {
      const unsigned count = in.u8();
      if (count == 0 || count > kExtentsInline) in.fail();
      TRY(in.status("inode"));
      inode.extents.reserve(count);
      uint64_t end = 0;
      for (unsigned i = 0; i < count; ++i) {
        const uint64_t gap = in.varint();
        if (gap > kFileBytesMax - end) in.fail();
        TRY(in.status("inode"));
        TRY_ASSIGN(Extent extent, decode_extent(in, end + gap));
        end = extent.end();
        inode.extents.push_back(std::move(extent));
      }
      break;
    }
    case static_cast<uint8_t>(Content::kSymlink):
      inode.symlink = in.string();
      if (inode.symlink.empty() || inode.symlink.size() > kSymlinkBytesMax) in.fail();
      break;
    default:
      return error(ENOTSUP, "inode content {}: written by a newer shoal", content);
  }
  inode.content = static_cast<Content>(content);
  return in.status("inode");
}

Status decode_applied_others(Decoder& in, Inode& inode) {
  const unsigned count = in.u8();
  if (count == 0 || count > kAppliedOthersMax) in.fail();
  for (unsigned i = 0; i < count && in.ok(); ++i) {
    Applied& other = inode.applied_others.emplace_back();
    other.store = decode_u32(in);
    other.sequence = in.varint();
    if (other.store == 0) in.fail();
  }
  return in.status("inode");
}

Status decode_xattrs(Decoder& in, Inode& inode) {
  const uint64_t count = in.varint();
  if (count == 0 || count > in.remaining() / 2) in.fail();
  for (uint64_t i = 0; i < count && in.ok(); ++i) {
    const std::string_view name = in.string();
    const std::string_view value = in.string();
    const bool ascending = inode.xattrs.empty() || inode.xattrs.back().first < name;
    if (name.empty() || name.size() > kXattrNameBytesMax || !ascending) in.fail();
    if (in.ok()) inode.xattrs.emplace_back(name, value);
  }
  return in.status("inode");
}

}  // namespace

std::string encode_inode(const Inode& inode) {
  std::string value;
  value.reserve(112);
  Encoder out(value);
  const uint64_t bits = present_bits(inode);
  out.u8(kInodeFormat);
  out.varint(bits);
  out.varint(inode.mode);
  out.varint(inode.uid);
  out.varint(inode.gid);
  out.varint(inode.nlink);
  out.varint(inode.size);
  out.zigzag(inode.mtime.seconds);
  out.le32(inode.mtime.nanoseconds);
  out.varint(inode.parent);
  out.varint(inode.generation);
  if (bits & kAtime) encode_time(out, inode.atime, inode.mtime);
  if (bits & kCtime) encode_time(out, inode.ctime, inode.mtime);
  if (bits & kBtime) encode_time(out, inode.btime, inode.mtime);
  if (bits & kVersion) {
    out.varint(inode.data_version);
    out.varint(inode.applied.store);
    out.varint(inode.applied.sequence);
  }
  if (bits & kAllocated) out.varint(inode.allocated);
  if (bits & kFlags) out.varint(inode.flags);
  if (bits & kRdev) out.varint(inode.rdev);
  if (bits & kAclAccess) out.varint(inode.acl_access);
  if (bits & kAclDefault) out.varint(inode.acl_default);
  if (bits & kEntries) out.varint(inode.entries);
  encode_content(out, inode);
  if (bits & kXattrs) {
    out.varint(inode.xattrs.size());
    for (const auto& [name, xattr] : inode.xattrs) {
      out.string(name);
      out.string(xattr);
    }
  }
  if (bits & kAppliedOthers) {
    out.u8(static_cast<uint8_t>(inode.applied_others.size()));
    for (const Applied& other : inode.applied_others) {
      out.varint(other.store);
      out.varint(other.sequence);
    }
  }
  out.raw(inode.unknown_tail);
  return value;
}

Result<Inode> decode_inode(std::string_view value) {
  Decoder in(value);
  const uint8_t format = in.u8();
  if (format > kInodeFormat) {
    return error(ENOTSUP, "inode record of format {}: made by a newer shoal", format);
  }
  if (format == 0) in.fail();
  const uint64_t bits = in.varint();
  TRY(in.status("inode"));
  if ((bits & ~uint64_t{kAllBits}) != 0) {
    return error(ENOTSUP, "inode record with fields {:#x}: made by a newer shoal", bits);
  }
  Inode inode;
  inode.mode = decode_u32(in);
  inode.uid = decode_u32(in);
  inode.gid = decode_u32(in);
  inode.nlink = decode_u32(in);
  inode.size = in.varint();
  inode.mtime = decode_time(in, Time{});
  inode.parent = in.varint();
  inode.generation = in.varint();
  inode.atime = bits & kAtime ? decode_time(in, inode.mtime) : inode.mtime;
  inode.ctime = bits & kCtime ? decode_time(in, inode.mtime) : inode.mtime;
  inode.btime = bits & kBtime ? decode_time(in, inode.mtime) : inode.mtime;
  if (bits & kVersion) {
    inode.data_version = in.varint();
    inode.applied.store = decode_u32(in);
    inode.applied.sequence = in.varint();
  }
  inode.allocated = bits & kAllocated ? in.varint() : inode.size;
  if (bits & kFlags) inode.flags = decode_u32(in);
  if (bits & kRdev) inode.rdev = in.varint();
  if (bits & kAclAccess) inode.acl_access = in.varint();
  if (bits & kAclDefault) inode.acl_default = in.varint();
  if (bits & kEntries) inode.entries = in.varint();
  if (inode.size > kFileBytesMax || inode.parent > kInoMax) in.fail();
  TRY(decode_content(in, inode));
  if (bits & kXattrs) TRY(decode_xattrs(in, inode));
  if (bits & kAppliedOthers) TRY(decode_applied_others(in, inode));
  inode.has_big_xattrs = (bits & kBigXattrs) != 0;
  inode.unknown_tail = in.rest();
  return inode;
}

std::string encode_entry(const Entry& entry) {
  std::string value;
  Encoder out(value);
  out.u8(kEntryFormat);
  out.u8(entry.type);
  out.varint(entry.ino);
  return value;
}

Result<Entry> decode_entry(std::string_view value) {
  Decoder in(value);
  const uint8_t format = in.u8();
  if (format > kEntryFormat) {
    return error(ENOTSUP, "entry of format {}: made by a newer shoal", format);
  }
  Entry entry;
  entry.type = in.u8();
  entry.ino = in.varint();
  const bool whiteout = entry.type == kWhiteout;
  if (format == 0 || entry.type > 15 || entry.ino > kInoMax || whiteout != (entry.ino == 0)) {
    in.fail();
  }
  TRY(in.finish("entry"));
  return entry;
}

std::string encode_link_count(uint32_t names) {
  std::string value;
  Encoder out(value);
  out.u8(kLinkFormat);
  out.varint(names);
  return value;
}

Result<uint32_t> decode_link_count(std::string_view value) {
  Decoder in(value);
  const uint8_t format = in.u8();
  if (format > kLinkFormat) {
    return error(ENOTSUP, "link record of format {}: made by a newer shoal", format);
  }
  const uint32_t names = decode_u32(in);
  if (format == 0 || names == 0 || names > kLinksMax) in.fail();
  TRY(in.finish("link"));
  return names;
}

}  // namespace shoal::format
