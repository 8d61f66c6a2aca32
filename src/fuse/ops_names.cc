// Requests on names: lookup, what makes, removes and moves them, and symlinks.
#include <linux/fs.h>

#include "fuse/ops.h"

namespace shoal::fuse {

void Ops::lookup(const Request& request, const Reply& reply) {
  Arguments arguments(request.arguments);
  const std::string_view name = arguments.name();
  if (!arguments.ok()) {
    reply.fail(EINVAL);
    return;
  }
  const client::Caller who = caller(request);
  const Ino parent = ino(request);
  if (name == "." ||
      name == "..") {  // EXPORT_SUPPORT: a node id from before a restart of the NFS server
    Result<client::Attr> self = client_.getattr(who, parent);
    if (self.ok() && name == ".." && request.nodeid != FUSE_ROOT_ID) {
      return reply_entry(request, {}, reply, client_.getattr(who, self->parent));
    }
    return reply_entry(request, {}, reply, self);
  }
  const Result<client::Attr> attr = client_.lookup(who, parent, name);
  if (attr.code() == ENOENT) {
    const GivenOut::Answer answer(given_out_);
    const CacheTimes times = answer.negative(request.nodeid, name);
    if (times.negative.count() == 0) {
      reply.fail(ENOENT);
    } else {  // the kernel caches "no such name" only as an entry without a node
      reply.ok(encoder(times).negative_entry());
    }
    return;
  }
  reply_entry(request, name, reply, attr);
}

void Ops::mknod(const Request& request, const Reply& reply) {
  Arguments arguments(request.arguments);
  const auto in = arguments.fixed<fuse_mknod_in>();
  const std::string_view name = arguments.name();
  const Result<client::Caller> who = creator(request, in.umask);
  if (!arguments.ok() || !who.ok()) {
    reply.fail(EINVAL);
    return;
  }
  reply_entry(request, name, reply,
              client_.mknod(*who, ino(request), name, in.mode, device_from_kernel(in.rdev)));
}

void Ops::mkdir(const Request& request, const Reply& reply) {
  Arguments arguments(request.arguments);
  const auto in = arguments.fixed<fuse_mkdir_in>();
  const std::string_view name = arguments.name();
  const Result<client::Caller> who = creator(request, in.umask);
  if (!arguments.ok() || !who.ok()) {
    reply.fail(EINVAL);
    return;
  }
  reply_entry(request, name, reply, client_.mkdir(*who, ino(request), name, in.mode & 07777));
}

void Ops::symlink(const Request& request, const Reply& reply) {
  Arguments arguments(request.arguments);
  const std::string_view name = arguments.name();
  const std::string_view target = arguments.name();
  const Result<client::Caller> who = creator(request, 0);
  if (!arguments.ok() || !who.ok()) {
    reply.fail(EINVAL);
    return;
  }
  reply_entry(request, name, reply, client_.symlink(*who, ino(request), name, target));
}

void Ops::link(const Request& request, const Reply& reply) {
  Arguments arguments(request.arguments);
  const auto in = arguments.fixed<fuse_link_in>();
  const std::string_view name = arguments.name();
  if (!arguments.ok()) {
    reply.fail(EINVAL);
    return;
  }
  reply_entry(request, name, reply,
              client_.link(caller(request), ino(in.oldnodeid), ino(request), name));
}

void Ops::unlink(const Request& request, const Reply& reply) {
  Arguments arguments(request.arguments);
  const std::string_view name = arguments.name();
  const Status removed =
      arguments.ok() ? client_.unlink(caller(request), ino(request), name) : Status(Error(EINVAL));
  if (removed.ok()) given_out_.removed(request.nodeid, name);
  reply.status(removed);
}

void Ops::rmdir(const Request& request, const Reply& reply) {
  Arguments arguments(request.arguments);
  const std::string_view name = arguments.name();
  const Status removed =
      arguments.ok() ? client_.rmdir(caller(request), ino(request), name) : Status(Error(EINVAL));
  if (removed.ok()) given_out_.removed(request.nodeid, name);
  reply.status(removed);
}

void Ops::rename_to(const Request& request, const Reply& reply, Arguments& arguments,
                    uint64_t new_dir, meta::RenameMode mode) {
  const std::string_view name = arguments.name();
  const std::string_view new_name = arguments.name();
  if (!arguments.ok()) {
    reply.fail(EINVAL);
    return;
  }
  const GivenOut::Answer answer(given_out_);
  const Status renamed =
      client_.rename(caller(request), ino(request), name, ino(new_dir), new_name, mode);
  // The kernel moves the name by itself, with the time it may live.
  const bool both = mode == meta::RenameMode::kExchange;
  const bool kept = !renamed.ok() || answer.renamed(new_dir, new_name);
  const bool other_kept = !renamed.ok() || !both || answer.renamed(request.nodeid, name);
  if (renamed.ok() && !both) given_out_.removed(request.nodeid, name);
  reply.status(renamed);
  if (!kept) notifier_.entry_soon(new_dir, new_name);
  if (!other_kept) notifier_.entry_soon(request.nodeid, name);
}

void Ops::rename(const Request& request, const Reply& reply) {
  Arguments arguments(request.arguments);
  const auto in = arguments.fixed<fuse_rename_in>();
  rename_to(request, reply, arguments, in.newdir, meta::RenameMode::kReplace);
}

void Ops::rename2(const Request& request, const Reply& reply) {
  Arguments arguments(request.arguments);
  const auto in = arguments.fixed<fuse_rename2_in>();
  switch (in.flags) {
    case 0:
      return rename_to(request, reply, arguments, in.newdir, meta::RenameMode::kReplace);
    case RENAME_NOREPLACE:
      return rename_to(request, reply, arguments, in.newdir, meta::RenameMode::kNoReplace);
    case RENAME_EXCHANGE:
      return rename_to(request, reply, arguments, in.newdir, meta::RenameMode::kExchange);
    default:
      reply.fail(EINVAL);  // RENAME_WHITEOUT, as file systems without it answer
  }
}

void Ops::readlink(const Request& request, const Reply& reply) {
  const Result<std::string> target = client_.readlink(caller(request), ino(request));
  if (!target.ok()) {
    reply.fail(target.code());
    return;
  }
  reply.ok(as_bytes(*target));
}

}  // namespace shoal::fuse
