// Requests on attributes, extended attributes, flags and the whole file system's numbers.
#include <linux/fs.h>
#include <sys/xattr.h>

#include "format/inode.h"
#include "fuse/ops.h"

namespace shoal::fuse {
namespace {

struct FlagPair {
  uint32_t ours;
  uint32_t ioctl_flag;  // FS_IOC_GETFLAGS
  uint32_t xflag;       // FS_IOC_FSGETXATTR
};
constexpr FlagPair kFlagPairs[] = {
    {format::kFlagImmutable, FS_IMMUTABLE_FL, FS_XFLAG_IMMUTABLE},
    {format::kFlagAppendOnly, FS_APPEND_FL, FS_XFLAG_APPEND},
    {format::kFlagNoDump, FS_NODUMP_FL, FS_XFLAG_NODUMP},
    {format::kFlagNoAtime, FS_NOATIME_FL, FS_XFLAG_NOATIME},
};

template <uint32_t FlagPair::*kMember>
uint32_t flags_out(uint32_t ours) {
  uint32_t out = 0;
  for (const FlagPair& pair : kFlagPairs) {
    if ((ours & pair.ours) != 0) out |= pair.*kMember;
  }
  return out;
}

// EOPNOTSUPP when one is asked for that we do not keep.
template <uint32_t FlagPair::*kMember>
Result<uint32_t> flags_in(uint32_t theirs) {
  uint32_t ours = 0;
  for (const FlagPair& pair : kFlagPairs) {
    if ((theirs & (pair.*kMember)) != 0) {
      ours |= pair.ours;
      theirs &= ~(pair.*kMember);
    }
  }
  if (theirs != 0) return error(EOPNOTSUPP, "inode flags {:#x} are not supported", theirs);
  return ours;
}

Time time_of(uint64_t seconds, uint32_t nanoseconds) {
  return {static_cast<int64_t>(seconds), nanoseconds};
}

Result<client::SetAttrRequest> setattr_request(const fuse_setattr_in& in) {
  constexpr uint32_t kIgnored = FATTR_FH | FATTR_LOCKOWNER | FATTR_CTIME;
  client::SetAttrRequest request;
  meta::SetAttr& attr = request.attr;
  if ((in.valid & FATTR_MODE) != 0) attr.mode = in.mode & 07777;
  if ((in.valid & FATTR_UID) != 0) attr.uid = in.uid;
  if ((in.valid & FATTR_GID) != 0) attr.gid = in.gid;
  if ((in.valid & FATTR_SIZE) != 0) {
    request.size = in.size;
    if ((in.valid & FATTR_FH) != 0) request.handle = in.fh;
  }
  if ((in.valid & FATTR_ATIME) != 0) {
    attr.atime = {(in.valid & FATTR_ATIME_NOW) != 0, time_of(in.atime, in.atimensec)};
  }
  if ((in.valid & FATTR_MTIME) != 0) {
    attr.mtime = {(in.valid & FATTR_MTIME_NOW) != 0, time_of(in.mtime, in.mtimensec)};
  }
  if (in.atimensec > 999'999'999 || in.mtimensec > 999'999'999) {
    return error(EINVAL, "more than a second of nanoseconds");
  }
  // With nothing to set the kernel means: a write is about to come, privileges must go.
  attr.kill_privileges = (in.valid & FATTR_KILL_SUIDGID) != 0 || (in.valid & ~kIgnored) == 0;
  return request;
}

}  // namespace

void Ops::getattr(const Request& request, const Reply& reply) {
  reply_attr(reply, client_.getattr(caller(request), ino(request)));
}

void Ops::statx(const Request& request, const Reply& reply) {
  const Result<client::Attr> attr = client_.getattr(caller(request), ino(request));
  if (!attr.ok()) {
    reply.fail(code_of_node(attr.code()));
    return;
  }
  const GivenOut::Answer answer(given_out_);
  const uint64_t node = options_.encoder.nodes.node(attr->ino);
  reply.ok(encoder(answer.attributes(node)).statx_out(*attr));
}

void Ops::setattr(const Request& request, const Reply& reply) {
  Arguments arguments(request.arguments);
  const auto in = arguments.fixed<fuse_setattr_in>();
  const Result<client::SetAttrRequest> change = setattr_request(in);
  if (!arguments.ok() || !change.ok()) {
    reply.fail(EINVAL);
    return;
  }
  reply_attr(reply, client_.setattr(caller(request), ino(request), *change));
}

void Ops::statfs(const Request&, const Reply& reply) {
  const Result<client::StatFs> numbers = client_.statfs();
  if (!numbers.ok()) {
    reply.fail(numbers.code());
    return;
  }
  fuse_statfs_out out{};
  out.st.bsize = static_cast<uint32_t>(numbers->block_bytes);
  out.st.frsize = out.st.bsize;
  out.st.blocks = numbers->blocks;
  out.st.bfree = numbers->blocks_free;
  out.st.bavail = numbers->blocks_free;
  out.st.files = numbers->inodes;
  out.st.ffree = numbers->inodes_free;
  out.st.namelen = kNameBytesMax;
  reply.ok(out);
}

void Ops::setxattr(const Request& request, const Reply& reply) {
  Arguments arguments(request.arguments);
  const auto in = arguments.fixed<fuse_setxattr_in>();
  const std::string_view name = arguments.name();
  const ByteView value = arguments.bytes(in.size);
  if (!arguments.ok()) {
    reply.fail(EINVAL);
    return;
  }
  using Mode = meta::Metadata::XattrMode;
  Mode mode = Mode::kEither;
  if (in.flags == XATTR_CREATE) {
    mode = Mode::kCreate;
  } else if (in.flags == XATTR_REPLACE) {
    mode = Mode::kReplace;
  } else if (in.flags != 0) {
    reply.fail(EINVAL);
    return;
  }
  const bool kill_sgid = (in.setxattr_flags & FUSE_SETXATTR_ACL_KILL_SGID) != 0;
  reply.status(
      client_.setxattr(caller(request), ino(request), name, as_text(value), mode, kill_sgid));
}

// room 0: the program asks how much room it needs.
void Ops::reply_bytes(const Reply& reply, std::string_view bytes, uint32_t room) const {
  if (room == 0) {
    fuse_getxattr_out out{};
    out.size = static_cast<uint32_t>(bytes.size());
    reply.ok(out);
  } else if (bytes.size() > room) {
    reply.fail(ERANGE);
  } else {
    reply.ok(as_bytes(bytes));
  }
}

void Ops::getxattr(const Request& request, const Reply& reply) {
  Arguments arguments(request.arguments);
  const auto in = arguments.fixed<fuse_getxattr_in>();
  const std::string_view name = arguments.name();
  if (!arguments.ok()) {
    reply.fail(EINVAL);
    return;
  }
  const Result<std::string> value = client_.getxattr(caller(request), ino(request), name);
  if (!value.ok()) {
    reply.fail(value.code());
    return;
  }
  reply_bytes(reply, *value, in.size);
}

void Ops::listxattr(const Request& request, const Reply& reply) {
  Arguments arguments(request.arguments);
  const auto in = arguments.fixed<fuse_getxattr_in>();
  if (!arguments.ok()) {
    reply.fail(EINVAL);
    return;
  }
  const Result<std::vector<std::string>> names = client_.listxattr(caller(request), ino(request));
  if (!names.ok()) {
    reply.fail(names.code());
    return;
  }
  std::string list;
  for (const std::string& name : *names) {
    list += name;
    list += '\0';
  }
  reply_bytes(reply, list, in.size);
}

void Ops::removexattr(const Request& request, const Reply& reply) {
  Arguments arguments(request.arguments);
  const std::string_view name = arguments.name();
  reply.status(arguments.ok() ? client_.removexattr(caller(request), ino(request), name)
                              : Status(Error(EINVAL)));
}

void Ops::ioctl(const Request& request, const Reply& reply) {
  Arguments arguments(request.arguments);
  const auto in = arguments.fixed<fuse_ioctl_in>();
  const client::Caller who = caller(request);
  const fuse_ioctl_out done{};
  Result<uint32_t> wanted = Error(ENOTTY);
  switch (in.cmd) {
    case FS_IOC_GETFLAGS:
    case FS_IOC_FSGETXATTR: {
      const Result<client::Attr> attr = client_.getattr(who, ino(request));
      if (!attr.ok()) {
        reply.fail(attr.code());
      } else if (in.cmd == FS_IOC_GETFLAGS) {
        const uint64_t flags = flags_out<&FlagPair::ioctl_flag>(attr->flags);
        // int by what programs pass, long by its number: as much as the kernel asks for.
        reply.ok(done, Reply::bytes_of(flags).first(in.out_size < 8 ? in.out_size : 8));
      } else {
        fsxattr out{};
        out.fsx_xflags = flags_out<&FlagPair::xflag>(attr->flags);
        reply.ok(done,
                 Reply::bytes_of(out).first(in.out_size < sizeof out ? in.out_size : sizeof out));
      }
      return;
    }
    case FS_IOC_SETFLAGS:
      wanted = flags_in<&FlagPair::ioctl_flag>(arguments.fixed<uint32_t>());
      break;
    case FS_IOC_FSSETXATTR: {
      const auto value = arguments.fixed<fsxattr>();
      wanted = flags_in<&FlagPair::xflag>(value.fsx_xflags);
      if (value.fsx_projid != 0 || value.fsx_extsize != 0) wanted = Error(EOPNOTSUPP);
      break;
    }
    default:
      break;
  }
  if (!arguments.ok()) wanted = Error(EINVAL);
  if (!wanted.ok()) {
    reply.fail(wanted.code());
    return;
  }
  client::SetAttrRequest change;
  change.attr.flags = *wanted;
  const Result<client::Attr> attr = client_.setattr(who, ino(request), change);
  if (!attr.ok()) {
    reply.fail(attr.code());
    return;
  }
  notifier_.attributes_now(request.nodeid);  // the kernel does not know that this touches ctime
  reply.ok(done);
}

}  // namespace shoal::fuse
