#include "fuse/request.h"

#include <utility>

namespace shoal::fuse {

Result<Request> decode_request(ByteView bytes) {
  fuse_in_header header;
  if (bytes.size() < sizeof header) {
    return error(EINVAL, "request of {} bytes is shorter than its header", bytes.size());
  }
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.len != bytes.size()) {
    return error(EINVAL, "request of {} bytes claims {}", bytes.size(), header.len);
  }
  const ByteView body = bytes.subspan(sizeof header);
  const size_t extension_bytes = size_t{header.total_extlen} * 8;
  if (extension_bytes > body.size()) {
    return error(EINVAL, "extensions of {} bytes in a body of {}", extension_bytes, body.size());
  }
  Request request;
  request.opcode = header.opcode;
  request.unique = header.unique;
  request.nodeid = header.nodeid;
  request.uid = header.uid;
  request.gid = header.gid;
  request.pid = header.pid;
  request.arguments = body.first(body.size() - extension_bytes);
  request.extensions = body.subspan(body.size() - extension_bytes);
  return request;
}

Result<std::vector<uint32_t>> supplementary_groups(const Request& request) {
  std::vector<uint32_t> groups;
  ByteView rest = request.extensions;
  while (!rest.empty()) {
    fuse_ext_header header;
    if (rest.size() < sizeof header) return error(EINVAL, "{} stray extension bytes", rest.size());
    std::memcpy(&header, rest.data(), sizeof header);
    if (header.size < sizeof header || header.size > rest.size()) {
      return error(EINVAL, "extension of {} bytes where {} are left", header.size, rest.size());
    }
    const ByteView body = rest.subspan(sizeof header, header.size - sizeof header);
    if (header.type == kExtGroups) {
      SuppGroups head;
      if (body.size() < sizeof head) return error(EINVAL, "group extension without a count");
      std::memcpy(&head, body.data(), sizeof head);
      if (head.count > (body.size() - sizeof head) / sizeof(uint32_t)) {
        return error(EINVAL, "group extension of {} bytes claims {} groups", body.size(),
                     head.count);
      }
      groups.resize(head.count);
      if (head.count != 0) {
        std::memcpy(groups.data(), body.data() + sizeof head, head.count * sizeof(uint32_t));
      }
    }
    const size_t padded = FUSE_REC_ALIGN(size_t{header.size});
    rest = rest.subspan(padded < rest.size() ? padded : rest.size());
  }
  return groups;
}

std::string_view Arguments::name() {
  const std::string_view text = as_text(rest_);
  const size_t end = text.find('\0');
  if (end == std::string_view::npos || end == 0) {
    fail();
    return {};
  }
  rest_ = rest_.subspan(end + 1);
  return text.substr(0, end);
}

std::string opcode_name(uint32_t opcode) {
  static constexpr std::pair<uint32_t, const char*> kNames[] = {
      {FUSE_LOOKUP, "LOOKUP"},
      {FUSE_FORGET, "FORGET"},
      {FUSE_GETATTR, "GETATTR"},
      {FUSE_SETATTR, "SETATTR"},
      {FUSE_READLINK, "READLINK"},
      {FUSE_SYMLINK, "SYMLINK"},
      {FUSE_MKNOD, "MKNOD"},
      {FUSE_MKDIR, "MKDIR"},
      {FUSE_UNLINK, "UNLINK"},
      {FUSE_RMDIR, "RMDIR"},
      {FUSE_RENAME, "RENAME"},
      {FUSE_LINK, "LINK"},
      {FUSE_OPEN, "OPEN"},
      {FUSE_READ, "READ"},
      {FUSE_WRITE, "WRITE"},
      {FUSE_STATFS, "STATFS"},
      {FUSE_RELEASE, "RELEASE"},
      {FUSE_FSYNC, "FSYNC"},
      {FUSE_SETXATTR, "SETXATTR"},
      {FUSE_GETXATTR, "GETXATTR"},
      {FUSE_LISTXATTR, "LISTXATTR"},
      {FUSE_REMOVEXATTR, "REMOVEXATTR"},
      {FUSE_FLUSH, "FLUSH"},
      {FUSE_INIT, "INIT"},
      {FUSE_OPENDIR, "OPENDIR"},
      {FUSE_READDIR, "READDIR"},
      {FUSE_RELEASEDIR, "RELEASEDIR"},
      {FUSE_FSYNCDIR, "FSYNCDIR"},
      {FUSE_GETLK, "GETLK"},
      {FUSE_SETLK, "SETLK"},
      {FUSE_SETLKW, "SETLKW"},
      {FUSE_ACCESS, "ACCESS"},
      {FUSE_CREATE, "CREATE"},
      {FUSE_INTERRUPT, "INTERRUPT"},
      {FUSE_BMAP, "BMAP"},
      {FUSE_DESTROY, "DESTROY"},
      {FUSE_IOCTL, "IOCTL"},
      {FUSE_POLL, "POLL"},
      {FUSE_NOTIFY_REPLY, "NOTIFY_REPLY"},
      {FUSE_BATCH_FORGET, "BATCH_FORGET"},
      {FUSE_FALLOCATE, "FALLOCATE"},
      {FUSE_READDIRPLUS, "READDIRPLUS"},
      {FUSE_RENAME2, "RENAME2"},
      {FUSE_LSEEK, "LSEEK"},
      {FUSE_COPY_FILE_RANGE, "COPY_FILE_RANGE"},
      {FUSE_SYNCFS, "SYNCFS"},
      {FUSE_TMPFILE, "TMPFILE"},
      {kOpStatx, "STATX"},
      {kOpCopyFileRange64, "COPY_FILE_RANGE_64"},
  };
  for (const auto& [code, name] : kNames) {
    if (code == opcode) return name;
  }
  return std::to_string(opcode);
}

}  // namespace shoal::fuse
