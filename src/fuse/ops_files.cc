// Requests on open files.
#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>

#include <algorithm>

#include "fuse/ops.h"
#include "sys/on_behalf.h"

namespace shoal::fuse {
namespace {

client::OpenOptions open_options(uint32_t flags, uint32_t open_flags) {
  client::OpenOptions options;
  const uint32_t access = flags & O_ACCMODE;
  options.read = access == O_RDONLY || access == O_RDWR;
  options.write = access == O_WRONLY || access == O_RDWR;
  options.append = (flags & O_APPEND) != 0;
  options.truncate = (flags & O_TRUNC) != 0;
  options.direct = (flags & O_DIRECT) != 0;
  options.sync = (flags & O_DSYNC) != 0;  // part of O_SYNC
  options.kill_privileges = (open_flags & FUSE_OPEN_KILL_SUIDGID) != 0;
  return options;
}

Result<client::FallocateMode> fallocate_mode(uint32_t mode) {
  using Kind = client::FallocateMode::Kind;
  const bool keep_size = (mode & FALLOC_FL_KEEP_SIZE) != 0;
  switch (mode & ~static_cast<uint32_t>(FALLOC_FL_KEEP_SIZE)) {
    case 0:
      return client::FallocateMode{Kind::kAllocate, keep_size};
    case FALLOC_FL_PUNCH_HOLE:
      if (!keep_size) return Error(EOPNOTSUPP);
      return client::FallocateMode{Kind::kPunch, true};
    case FALLOC_FL_ZERO_RANGE:
      return client::FallocateMode{Kind::kZero, keep_size};
    default:
      return Error(EOPNOTSUPP);  // collapse, insert, unshare
  }
}

}  // namespace

void Ops::reply_opened(const Request& request, const Reply& reply,
                       const Result<client::OpenedFile>& opened, uint32_t flags,
                       std::optional<std::string_view> entry_name) {
  if (!opened.ok()) {
    reply.fail(entry_name ? opened.code() : code_of_node(opened.code()));
    return;
  }
  const client::HandleId handle = opened->handle;
  if ((flags & O_APPEND) != 0 && (flags & O_ACCMODE) != O_RDONLY) {
    MutexLock lock(append_mutex_);
    append_files_[handle] = {entry_name ? opened->attr.ino : ino(request), 0};
  }
  fuse_open_out out{};
  out.fh = handle;
  if (opened->keep_cache) out.open_flags |= FOPEN_KEEP_CACHE;
  if (opened->direct) out.open_flags |= FOPEN_DIRECT_IO;
  int code = 0;
  if (entry_name) {
    const GivenOut::Answer answer(given_out_);
    const uint64_t node = options_.encoder.nodes.node(opened->attr.ino);
    const CacheTimes times = answer.entry(request.nodeid, *entry_name, node);
    code = reply.ok(encoder(times).entry_out(opened->attr), Reply::bytes_of(out));
  } else {
    code = reply.ok(out);
  }
  if (code == ENOENT) {  // the program was killed meanwhile: nobody will release this
    {
      MutexLock lock(append_mutex_);
      append_files_.erase(handle);
    }
    client_.release(handle).ignore("nobody is left to be told");
  }
}

void Ops::open(const Request& request, const Reply& reply) {
  Arguments arguments(request.arguments);
  const auto in = arguments.fixed<fuse_open_in>();
  if (!arguments.ok()) {
    reply.fail(EINVAL);
    return;
  }
  const client::OpenOptions options = open_options(in.flags, in.open_flags);
  const Result<client::OpenedFile> opened = client_.open(caller(request), ino(request), options);
  // The reply has no attributes in it, and a read ends at the size that the kernel believes in.
  if (opened.ok() && !opened->keep_cache && client_.shared())
    notifier_.attributes_now(request.nodeid);
  reply_opened(request, reply, opened, in.flags, std::nullopt);
}

void Ops::create(const Request& request, const Reply& reply) {
  Arguments arguments(request.arguments);
  const auto in = arguments.fixed<fuse_create_in>();
  const std::string_view name = arguments.name();
  const Result<client::Caller> who = creator(request, in.umask);
  if (!arguments.ok() || !who.ok()) {
    reply.fail(EINVAL);
    return;
  }
  const bool exclusive = (in.flags & O_EXCL) != 0;
  reply_opened(request, reply,
               client_.create(*who, ino(request), name, in.mode,
                              open_options(in.flags, in.open_flags), exclusive),
               in.flags, name);
}

void Ops::tmpfile(const Request& request, const Reply& reply) {
  Arguments arguments(request.arguments);
  const auto in = arguments.fixed<fuse_create_in>();
  const Result<client::Caller> who = creator(request, in.umask);
  if (!arguments.ok() || !who.ok()) {
    reply.fail(EINVAL);
    return;
  }
  reply_opened(
      request, reply,
      client_.create_unnamed(*who, ino(request), in.mode, open_options(in.flags, in.open_flags)),
      in.flags, std::string_view());
}

void Ops::read(const Request& request, const Reply& reply) {
  Arguments arguments(request.arguments);
  const auto in = arguments.fixed<fuse_read_in>();
  if (!arguments.ok() || in.size > reply.buffer().size()) {
    reply.fail(EINVAL);
    return;
  }
  const MutableBytes into = reply.buffer().first(in.size);
  const Result<size_t> filled = client_.read(in.fh, in.offset, into);
  if (!filled.ok()) {
    reply.fail(filled.code());
    return;
  }
  CHECK(*filled <= into.size());
  reply.ok(ByteView(into.first(*filled)));
}

Result<client::HandleId> Ops::handle_for_write(const Request& request, const fuse_write_in& in) {
  if ((in.write_flags & FUSE_WRITE_CACHE) == 0) return in.fh;
  AppendFile file;
  {
    MutexLock lock(append_mutex_);
    const auto found = append_files_.find(in.fh);
    if (found == append_files_.end()) return in.fh;
    file = found->second;
  }
  if (file.plain != 0) return file.plain;
  client::OpenOptions options;
  options.write = true;
  TRY_ASSIGN(const client::OpenedFile opened, client_.open(caller(request), file.ino, options));
  client::HandleId kept = opened.handle;
  {
    MutexLock lock(append_mutex_);
    const auto found = append_files_.find(in.fh);
    if (found != append_files_.end() && found->second.plain == 0) {
      found->second.plain = opened.handle;
      return opened.handle;
    }
    kept = found == append_files_.end() ? in.fh : found->second.plain;
  }
  TRY(client_.release(opened.handle));  // another write was first
  return kept;
}

void Ops::write(const Request& request, const Reply& reply) {
  Arguments arguments(request.arguments);
  const auto in = arguments.fixed<fuse_write_in>();
  const ByteView bytes = arguments.bytes(in.size);
  if (!arguments.ok()) {
    reply.fail(EINVAL);
    return;
  }
  const Result<client::HandleId> handle = handle_for_write(request, in);
  if (!handle.ok()) {
    reply.fail(handle.code());
    return;
  }
  const bool kill = (in.write_flags & FUSE_WRITE_KILL_SUIDGID) != 0;
  const auto written = client_.write(caller(request), *handle, in.offset, bytes, kill);
  if (!written.ok()) {
    reply.fail(written.code());
    return;
  }
  if (written->killed_privileges) notifier_.attributes_now(request.nodeid);
  fuse_write_out out{};
  out.size = static_cast<uint32_t>(written->bytes);
  reply.ok(out);
}

void Ops::flush(const Request& request, const Reply& reply) {
  Arguments arguments(request.arguments);
  const auto in = arguments.fixed<fuse_flush_in>();
  reply.status(arguments.ok() ? client_.flush(in.fh, in.lock_owner) : Status(Error(EINVAL)));
}

void Ops::release(const Request& request, const Reply& reply) {
  Arguments arguments(request.arguments);
  const auto in = arguments.fixed<fuse_release_in>();
  if (!arguments.ok()) {
    reply.fail(EINVAL);
    return;
  }
  if ((in.release_flags & FUSE_RELEASE_FLOCK_UNLOCK) != 0) {
    meta::Lock lock;
    lock.kind = meta::LockKind::kFlock;
    lock.owner = in.lock_owner;
    lock.handle = in.fh;
    client_.lock_set(caller(request), ino(request), lock).ignore("release() drops the rest");
  }
  AppendFile file;
  {
    MutexLock lock(append_mutex_);
    const auto found = append_files_.find(in.fh);
    if (found != append_files_.end()) {
      file = found->second;
      append_files_.erase(found);
    }
  }
  if (file.plain != 0) client_.release(file.plain).ignore("nobody opened it but us");
  reply.status(client_.release(in.fh));
}

void Ops::fsync(const Request& request, const Reply& reply) {
  Arguments arguments(request.arguments);
  const auto in = arguments.fixed<fuse_fsync_in>();
  const bool data_only = (in.fsync_flags & FUSE_FSYNC_FDATASYNC) != 0;
  if (!arguments.ok()) {
    reply.fail(EINVAL);
    return;
  }
  std::atomic<bool> given_up = false;
  begin_interruptible(request.unique, given_up);
  Status synced;
  {
    // Unlike writes: a signal ends it, also one that does not end the program.
    const OnBehalf caller([&given_up] { return given_up.load(); });
    synced = client_.fsync(in.fh, data_only);
  }
  end_interruptible(request.unique);
  reply.status(synced);
}

void Ops::fallocate(const Request& request, const Reply& reply) {
  Arguments arguments(request.arguments);
  const auto in = arguments.fixed<fuse_fallocate_in>();
  if (!arguments.ok()) {
    reply.fail(EINVAL);
    return;
  }
  const Result<client::FallocateMode> mode = fallocate_mode(in.mode);
  if (!mode.ok()) {
    reply.fail(mode.code());
    return;
  }
  const Result<bool> killed =
      client_.fallocate(caller(request), in.fh, *mode, in.offset, in.length);
  if (killed.ok() && *killed) notifier_.attributes_now(request.nodeid);
  if (killed.ok()) {
    reply.ok();
  } else {
    reply.fail(killed.code());
  }
}

void Ops::lseek(const Request& request, const Reply& reply) {
  Arguments arguments(request.arguments);
  const auto in = arguments.fixed<fuse_lseek_in>();
  Result<uint64_t> at = Error(EINVAL);
  if (arguments.ok() && in.whence == SEEK_DATA) at = client_.seek_data(in.fh, in.offset);
  if (arguments.ok() && in.whence == SEEK_HOLE) at = client_.seek_hole(in.fh, in.offset);
  if (!at.ok()) {
    reply.fail(at.code());
    return;
  }
  fuse_lseek_out out{};
  out.offset = *at;
  reply.ok(out);
}

void Ops::copy_file_range(const Request& request, const Reply& reply, bool wide) {
  Arguments arguments(request.arguments);
  const auto in = arguments.fixed<fuse_copy_file_range_in>();
  if (!arguments.ok() || in.flags != 0) {
    reply.fail(EINVAL);
    return;
  }
  // The narrow reply has 32 bits; the program asks again for the rest.
  const uint64_t length = wide ? in.len : std::min<uint64_t>(in.len, uint64_t{1} << 30);
  const auto copied =
      client_.copy_range(caller(request), in.fh_in, in.off_in, in.fh_out, in.off_out, length);
  if (!copied.ok()) {
    reply.fail(copied.code());
    return;
  }
  if (copied->killed_privileges) notifier_.attributes_now(in.nodeid_out);
  if (wide) {
    reply.ok(CopyFileRangeOut{copied->bytes});
  } else {
    fuse_write_out out{};
    out.size = static_cast<uint32_t>(copied->bytes);
    reply.ok(out);
  }
}

void Ops::syncfs(const Request&, const Reply& reply) {
  reply.status(client_.flush_all(false, [](const client::ClientStatus&) {}));
}

}  // namespace shoal::fuse
