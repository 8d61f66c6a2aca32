#include "fuse/ops.h"

#include <utility>

#include "sys/on_behalf.h"
#include "sys/process.h"

namespace shoal::fuse {

Ops::Ops(client::Client& client, Notifier& notifier, GivenOut& given_out, const Options& options,
         std::function<void()> before_blocking)
    : client_(client),
      notifier_(notifier),
      given_out_(given_out),
      options_(options),
      before_blocking_(std::move(before_blocking)) {}

bool Ops::expects_reply(uint32_t opcode) {
  return opcode != FUSE_FORGET && opcode != FUSE_BATCH_FORGET && opcode != FUSE_INTERRUPT &&
         opcode != FUSE_NOTIFY_REPLY;
}

bool Ops::may_block(uint32_t opcode) {
  switch (opcode) {
    case FUSE_LOOKUP:
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT:
    case FUSE_GETATTR:
    case kOpStatx:
    case FUSE_STATFS:
    case FUSE_READLINK:
    case FUSE_GETXATTR:
    case FUSE_LISTXATTR:
    case FUSE_CREATE:
    case FUSE_MKNOD:
    case FUSE_MKDIR:
    case FUSE_SYMLINK:
    case FUSE_LINK:
    case FUSE_UNLINK:
    case FUSE_RMDIR:
    case FUSE_OPENDIR:
    case FUSE_RELEASEDIR:
    case FUSE_RELEASE:
    case FUSE_GETLK:
    case FUSE_SETLKW:  // answered later
      return false;
    default:
      return true;
  }
}

void Ops::serve(const Request& request, const Reply& reply) {
  // On a shared volume nearly everything may wait for the owner.
  if (may_block(request.opcode) || client_.shared()) before_blocking_();
  // A program that is killed while it waits for the bucket goes at once. Any other signal it is
  // left to: no program expects EINTR of a file.
  const OnBehalf caller([thread = request.pid] { return is_being_killed(thread); });
  switch (request.opcode) {
    case FUSE_FORGET:
      return forget(request);
    case FUSE_BATCH_FORGET:
      return batch_forget(request);
    case FUSE_INTERRUPT:
      return interrupt(request);
    case FUSE_NOTIFY_REPLY:
      return;
    default:
      break;
  }
  if (serve_attributes(request, reply) || serve_files(request, reply) ||
      serve_names(request, reply) || serve_directories(request, reply)) {
    return;
  }
  // ACCESS (the kernel checks), BMAP, POLL (always ready), what we never asked for, and what is
  // newer than we are. The kernel remembers ENOSYS and falls back for good.
  reply.fail(ENOSYS);
}

bool Ops::serve_names(const Request& request, const Reply& reply) {
  switch (request.opcode) {
    case FUSE_LOOKUP:
      lookup(request, reply);
      return true;
    case FUSE_MKNOD:
      mknod(request, reply);
      return true;
    case FUSE_MKDIR:
      mkdir(request, reply);
      return true;
    case FUSE_SYMLINK:
      symlink(request, reply);
      return true;
    case FUSE_LINK:
      link(request, reply);
      return true;
    case FUSE_UNLINK:
      unlink(request, reply);
      return true;
    case FUSE_RMDIR:
      rmdir(request, reply);
      return true;
    case FUSE_RENAME:
      rename(request, reply);
      return true;
    case FUSE_RENAME2:
      rename2(request, reply);
      return true;
    case FUSE_READLINK:
      readlink(request, reply);
      return true;
    default:
      return false;
  }
}

bool Ops::serve_attributes(const Request& request, const Reply& reply) {
  switch (request.opcode) {
    case FUSE_GETATTR:
      getattr(request, reply);
      return true;
    case kOpStatx:
      statx(request, reply);
      return true;
    case FUSE_SETATTR:
      setattr(request, reply);
      return true;
    case FUSE_STATFS:
      statfs(request, reply);
      return true;
    case FUSE_SETXATTR:
      setxattr(request, reply);
      return true;
    case FUSE_GETXATTR:
      getxattr(request, reply);
      return true;
    case FUSE_LISTXATTR:
      listxattr(request, reply);
      return true;
    case FUSE_REMOVEXATTR:
      removexattr(request, reply);
      return true;
    case FUSE_IOCTL:
      ioctl(request, reply);
      return true;
    default:
      return false;
  }
}

bool Ops::serve_files(const Request& request, const Reply& reply) {
  switch (request.opcode) {
    case FUSE_OPEN:
      open(request, reply);
      return true;
    case FUSE_CREATE:
      create(request, reply);
      return true;
    case FUSE_TMPFILE:
      tmpfile(request, reply);
      return true;
    case FUSE_READ:
      read(request, reply);
      return true;
    case FUSE_WRITE:
      write(request, reply);
      return true;
    case FUSE_FLUSH:
      flush(request, reply);
      return true;
    case FUSE_RELEASE:
      release(request, reply);
      return true;
    case FUSE_FSYNC:
      fsync(request, reply);
      return true;
    case FUSE_FALLOCATE:
      fallocate(request, reply);
      return true;
    case FUSE_LSEEK:
      lseek(request, reply);
      return true;
    case FUSE_COPY_FILE_RANGE:
      copy_file_range(request, reply, false);
      return true;
    case kOpCopyFileRange64:
      copy_file_range(request, reply, true);
      return true;
    case FUSE_SYNCFS:
      syncfs(request, reply);
      return true;
    case FUSE_GETLK:
      getlk(request, reply);
      return true;
    case FUSE_SETLK:
      setlk(request, reply);
      return true;
    case FUSE_SETLKW:
      setlkw(request, reply);
      return true;
    default:
      return false;
  }
}

bool Ops::serve_directories(const Request& request, const Reply& reply) {
  switch (request.opcode) {
    case FUSE_OPENDIR:
      opendir(request, reply);
      return true;
    case FUSE_READDIR:
      readdir(request, reply, false);
      return true;
    case FUSE_READDIRPLUS:
      readdir(request, reply, true);
      return true;
    case FUSE_RELEASEDIR:
      releasedir(request, reply);
      return true;
    case FUSE_FSYNCDIR:
      fsyncdir(request, reply);
      return true;
    default:
      return false;
  }
}

client::Caller Ops::caller(const Request& request) const {
  client::Caller who;
  who.uid = request.uid;
  who.gid = request.gid;
  who.pid = request.pid;
  who.kernel_checked = true;
  return who;
}

Result<client::Caller> Ops::creator(const Request& request, uint32_t umask) const {
  client::Caller who = caller(request);
  if (options_.posix_acl) who.umask = umask & 0777;  // else the kernel has applied it
  if (!request.extensions.empty()) {
    TRY_ASSIGN(who.groups, supplementary_groups(request));
  }
  return who;
}

AttributeEncoder Ops::encoder(const CacheTimes& times) const {
  AttributeEncoder encoder = options_.encoder;
  encoder.times = times;
  return encoder;
}

void Ops::reply_entry(const Request& request, std::string_view name, const Reply& reply,
                      const Result<client::Attr>& attr) {
  if (!attr.ok()) {
    reply.fail(attr.code());
    return;
  }
  const GivenOut::Answer answer(given_out_);
  const uint64_t node = options_.encoder.nodes.node(attr->ino);
  reply.ok(encoder(answer.entry(request.nodeid, name, node)).entry_out(*attr));
}

void Ops::reply_attr(const Reply& reply, const Result<client::Attr>& attr) {
  if (!attr.ok()) {
    reply.fail(code_of_node(attr.code()));
    return;
  }
  const GivenOut::Answer answer(given_out_);
  const uint64_t node = options_.encoder.nodes.node(attr->ino);
  reply.ok(encoder(answer.attributes(node)).attr_out(*attr));
}

int Ops::code_of_node(int code) const { return code == ENOENT && client_.shared() ? ESTALE : code; }

}  // namespace shoal::fuse
