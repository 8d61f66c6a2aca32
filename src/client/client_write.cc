// Changing data: write, truncate, fallocate, copy_range, set-times on an inode with uncommitted
// operations.
#include <algorithm>

#include "base/log.h"
#include "client/client_impl.h"

namespace shoal::client {
namespace {

constexpr uint32_t kSetUid = 04000, kSetGid = 02000;
constexpr size_t kCopyOutsideLatch =
    64 << 10;  // smaller writes are copied under the latch, into a shared chunk

}  // namespace

// SUID and SGID go when the kernel asks (the writer lacks CAP_FSETID); the capability goes with any
// change of the data. True when something was removed.
Result<bool> ClientImpl::kill_privileges(InodeState& inode, bool asked) {
  {
    MutexLock lock(inode.latch);
    if (!inode.privileges_possible) return false;
    inode.privileges_possible = false;  // before the look, so that a chmod meanwhile is not missed
  }
  TRY_ASSIGN(const Attr attr, metadata().getattr(system_request(), inode.ino));
  const bool has_bits = (attr.mode & (kSetUid | kSetGid)) != 0;
  if (has_bits && !asked) {
    MutexLock lock(inode.latch);
    inode.privileges_possible = true;
  }
  if (asked && (has_bits || attr.has_capability)) {
    meta::SetAttr kill;
    kill.kill_privileges = true;
    TRY(metadata().setattr(system_request(), inode.ino, kill));
    return true;
  }
  if (!attr.has_capability) return false;
  const Status removed = metadata().removexattr(system_request(), inode.ino, "security.capability");
  if (!removed.ok() && !removed.error().is(ENODATA)) return removed.error();
  return true;
}

Status ClientImpl::take_space(uint64_t bytes) {
  const Status taken = space_.take(bytes);
  if (taken.ok() || !(taken.error().is(ENOSPC) || taken.error().is(EDQUOT))) return taken;
  // Overwrites hold space until they are committed and turn out to need none.
  if (space_.taken() == 0) return taken;
  committer_.commit_everything().ignore("whether there is room now is asked next");
  return space_.take(bytes);
}

Operation& ClientImpl::new_operation(InodeState& inode, format::RecordKind kind) {
  Operation& operation = inode.list.push_back();
  operation.kind = kind;
  if (inode.list.size() == 1) {
    inode.atime.reset();
    inode.record_base = inode.base_version;
  }
  committer_.added(inode);
  return operation;
}

Status ClientImpl::write_part(OpenFile& file, uint64_t offset, ByteView bytes) {
  InodeState& inode = *file.inode;
  TRY(take_space(bytes.size()));
  if (Status room = committer_.take_room(bytes.size()); !room.ok()) {
    space_.give_back(bytes.size());
    return room;
  }
  ChunkPtr chunk;
  if (bytes.size() >= kCopyOutsideLatch) {
    chunk = std::make_shared<Chunk>(bytes.size());
    std::copy(bytes.begin(), bytes.end(), chunk->bytes.get());
    chunk->size = bytes.size();
  }
  bool full = false;
  const bool append = file.options.append && shared_;
  const uint64_t asked = offset;
  {
    MutexLock lock(inode.latch);
    if (file.options.append) offset = inode.size;
    const bool too_big = offset + bytes.size() > kFileBytesMax;
    if (too_big || file.dead) {
      lock.unlock();
      space_.give_back(bytes.size());
      committer_.release_room(bytes.size());
      if (!too_big) return error(EIO, "open file {} went with its session", file.id);
      return error(EFBIG, "inode {}: files are at most {} bytes", inode.ino, kFileBytesMax);
    }
    Operation* last = inode.list.empty() ? nullptr : &inode.list.back();
    const bool merges = last != nullptr && last->is_data() && !last->sealed &&
                        last->append == append && last->offset + last->length == offset &&
                        last->length + bytes.size() <= kRecordBytesMax;
    Operation& operation = merges ? *last : new_operation(inode, format::RecordKind::kData);
    if (!merges) {
      operation.offset = offset;
      operation.append = append;
      if (append) operation.flags = format::kRecordAppend;
    }
    if (chunk) {
      operation.chunks.push_back(std::move(chunk));
    } else {
      operation.append_bytes(bytes);
    }
    operation.length += bytes.size();
    operation.reserved += bytes.size();
    operation.mtime = seams_.clock.now();
    inode.overlay.lay_data(operation.id, offset, bytes.size());
    inode.buffered_bytes += bytes.size();
    inode.size = std::max(inode.size, offset + bytes.size());
    inode.mtime = inode.ctime = operation.mtime;
    inode.allocated.reset();
    full = inode.buffered_bytes >= kRecordBytesMax;
  }
  // The kernel put the bytes where it believes the end to be.
  if (append && offset != asked) pages_changed(inode.ino, std::min(offset, asked));
  if (!full) return {};
  const Status journaled = committer_.journal_full(inode);
  if (!journaled.ok()) committer_.fail(inode, journaled.error());
  return journaled;
}

Result<Client::Written> ClientImpl::write(const Caller& /*who*/, HandleId handle, uint64_t offset,
                                          ByteView bytes, bool kill) {
  TRY_ASSIGN(const OpenFilePtr file, usable(handle));
  if (!file->options.write) return Error(EBADF);
  Written written;
  if (bytes.empty()) return written;
  if (!file->options.append) {
    if (offset >= kFileBytesMax) return error(EFBIG, "files are at most {} bytes", kFileBytesMax);
    bytes = bytes.first(std::min<uint64_t>(bytes.size(), kFileBytesMax - offset));
  }
  note_pages(*file);
  TRY_ASSIGN(written.killed_privileges, kill_privileges(*file->inode, kill));
  while (!bytes.empty()) {
    const ByteView part = bytes.first(std::min(bytes.size(), kRecordBytesMax));
    const Status status = write_part(*file, offset, part);
    if (!status.ok()) {
      if (written.bytes > 0) break;  // a short write, as write(2)
      return status.error();
    }
    written.bytes += part.size();
    offset += part.size();
    bytes = bytes.subspan(part.size());
  }
  bool through = false;
  if (shared_) {
    MutexLock lock(file->inode->latch);
    through = file->inode->several;
  }
  if (file->options.sync || through) {
    const Status synced =
        file->options.sync ? sync_inode(*file->inode) : commit_or_fail(*file->inode);
    const Status heard = hear_errors(*file);
    if (!heard.ok()) return heard.error();
    if (!synced.ok()) return synced.error();
  }
  return written;
}

Status ClientImpl::list_operation(InodeState& inode, format::RecordKind kind, uint16_t flags,
                                  uint64_t offset, uint64_t length) {
  TRY(committer_.take_room(0));
  {
    MutexLock lock(inode.latch);
    Operation& operation = new_operation(inode, kind);
    operation.flags = flags;
    operation.offset = offset;
    operation.length = length;
    operation.mtime = inode.mtime = inode.ctime = seams_.clock.now();
    if (kind == format::RecordKind::kTruncate) {
      inode.overlay.lay_hole(operation.id, offset, Overlay::kNoEnd);
      inode.size = offset;
    } else {
      inode.overlay.lay_hole(operation.id, offset, offset + length);
      const bool extends =
          kind == format::RecordKind::kZero && (flags & format::kRecordKeepSize) == 0;
      if (extends) inode.size = std::max(inode.size, offset + length);
    }
    inode.allocated.reset();
  }
  const Status journaled = committer_.journal(inode);
  if (!journaled.ok()) committer_.fail(inode, journaled.error());
  return journaled;
}

Status ClientImpl::truncate(InodeState& inode, uint64_t size) {
  return list_operation(inode, format::RecordKind::kTruncate, 0, size, 0);
}

// Set-times behind uncommitted operations: their commit would overwrite what the owner was told
// directly.
Status ClientImpl::list_times(InodeState& inode, const meta::SetAttr& attr) {
  {
    MutexLock lock(inode.latch);
    const Time now = seams_.clock.now();
    Operation& operation = new_operation(inode, format::RecordKind::kTimes);
    if (attr.mtime) inode.mtime = attr.mtime->now ? now : attr.mtime->time;
    if (attr.atime) {
      inode.atime = attr.atime->now ? now : attr.atime->time;
      operation.flags = format::kRecordAtime;
      operation.atime = *inode.atime;
    }
    operation.mtime = inode.mtime;
    inode.ctime = now;
    // The record has no field for the moment of the call, which becomes the ctime; these two are
    // otherwise unused.
    operation.offset = static_cast<uint64_t>(now.seconds);
    operation.length = now.nanoseconds;
  }
  const Status journaled = committer_.journal(inode);
  if (!journaled.ok()) committer_.fail(inode, journaled.error());
  return journaled;
}

Result<bool> ClientImpl::fallocate(const Caller& who, HandleId handle, FallocateMode mode,
                                   uint64_t offset, uint64_t length) {
  TRY_ASSIGN(const OpenFilePtr file, usable(handle));
  if (!file->options.write) return Error(EBADF);
  InodeState& inode = *file->inode;
  if (length == 0) return Error(EINVAL);
  if (offset > kFileBytesMax || length > kFileBytesMax - offset) return Error(EFBIG);
  TRY_ASSIGN(const Attr attr, getattr(who, inode.ino));
  const bool changes_old_bytes = mode.kind != FallocateMode::Kind::kAllocate;
  if ((attr.flags & format::kFlagImmutable) != 0) return Error(EPERM);
  if ((attr.flags & format::kFlagAppendOnly) != 0 && changes_old_bytes) return Error(EPERM);
  TRY_ASSIGN(const bool killed, kill_privileges(inode, who.uid != 0));
  switch (mode.kind) {
    case FallocateMode::Kind::kAllocate: {
      // Holes cost nothing here and space is counted when written, so all there is to promise is
      // that it is there now.
      TRY(take_space(length));
      space_.give_back(length);
      uint64_t size = 0;
      {
        MutexLock lock(inode.latch);
        size = inode.size;
      }
      if (!mode.keep_size && offset + length > size) TRY(truncate(inode, offset + length));
      break;
    }
    case FallocateMode::Kind::kPunch:
      TRY(list_operation(inode, format::RecordKind::kPunch, 0, offset, length));
      break;
    case FallocateMode::Kind::kZero:
      TRY(list_operation(inode, format::RecordKind::kZero,
                         mode.keep_size ? format::kRecordKeepSize : uint16_t{0}, offset, length));
      break;
  }
  if (file->options.sync) TRY(sync_inode(inode));
  TRY(commit_if_others_wait(inode));
  return killed;
}

Result<Client::Written> ClientImpl::copy_range(const Caller& who, HandleId from,
                                               uint64_t from_offset, HandleId to,
                                               uint64_t to_offset, uint64_t length) {
  TRY_ASSIGN(const OpenFilePtr source, usable(from));
  TRY_ASSIGN(const OpenFilePtr target, usable(to));
  if (!source->options.read || !target->options.write || target->options.append) {
    return Error(EBADF);
  }
  Written written;
  TRY(committer_.commit(*source->inode));
  TRY(committer_.commit(*target->inode));
  if (shared_) TRY(refresh(*source->inode));
  uint64_t source_size = 0;
  {
    MutexLock lock(source->inode->latch);
    source_size = source->inode->base_size;
  }
  if (from_offset >= source_size) return written;
  length = std::min(length, source_size - from_offset);
  if (to_offset > kFileBytesMax || length > kFileBytesMax - to_offset) return Error(EFBIG);
  InodeState& inode = *target->inode;
  if (source->inode->ino == inode.ino && from_offset < to_offset + length &&
      to_offset < from_offset + length) {
    return Error(EINVAL);
  }
  TRY_ASSIGN(written.killed_privileges, kill_privileges(inode, who.uid != 0));
  TRY_ASSIGN(const Attr attr, metadata().copy_range(request(who), source->inode->ino, from_offset,
                                                    inode.ino, to_offset, length));
  {
    MutexLock lock(inode.latch);
    // (On a shared volume others may have changed it between: the next open drops the pages.)
    if (!shared_) seen_.changed_by_us(inode.ino, inode.base_version, attr.data_version);
    if (attr.data_version >= inode.base_version) {
      inode.base_version = inode.record_base = attr.data_version;
      inode.base_size = attr.size;
      inode.base_allocated = attr.allocated;
    }
    inode.extents.clear();
    inode.allocated.reset();
    ++inode.commits;
    if (shared_ && !inode.list.empty()) {
      inode.rebase();
    } else if (inode.list.empty()) {
      inode.size = inode.base_size;
      // What is written from now on builds on the copy: replay must not apply it to a file without.
      inode.last_sequence = inode.durable_sequence = 0;
    } else {
      inode.size = std::max(inode.size, to_offset + length);
    }
  }
  written.bytes = length;
  if (target->options.sync) TRY(sync_inode(inode));
  return written;
}

}  // namespace shoal::client
