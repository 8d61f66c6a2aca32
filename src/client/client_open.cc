// open, create, release.
#include "base/log.h"
#include "client/client_impl.h"

namespace shoal::client {
namespace {

meta::OpenFlags owner_flags(const OpenOptions& options) { return {options.read, options.write}; }

}  // namespace

// What the kernel cannot check for us: it does not know our inode flags.
Status ClientImpl::check_open(const Attr& attr, const OpenOptions& options) const {
  const bool changes = options.write || options.truncate;
  if (attr.is_directory()) return Error(EISDIR);
  if (changes && (attr.flags & format::kFlagImmutable) != 0) return Error(EPERM);
  const bool overwrites = (options.write && !options.append) || options.truncate;
  if (overwrites && (attr.flags & format::kFlagAppendOnly) != 0) return Error(EPERM);
  return {};
}

Result<OpenedFile> ClientImpl::opened(const Caller& who, InodeRef inode,
                                      const meta::Opened& from_owner, const OpenOptions& options,
                                      uint64_t before) {
  auto file = std::make_shared<OpenFile>();
  file->options = options;
  file->session = session_.load();
  OpenedFile result;
  result.attr = from_owner.attr;
  bool privileged = false;
  bool pages_old = false;  // of files opened before
  {
    MutexLock lock(inode->latch);
    // Its reply is newer than what the owner answered here, or it is not: known when it is there.
    while (shared_ && inode->committing) inode->turn_over.wait(inode->latch);
    const bool changed = committer_.changes().since(inode->ino, before);
    // What is not known was not committed to while `inode` was held, and callers have asked again
    // if it was before: then another inode of the same slot of Changes has changed.
    if (!changed || shared_ || !inode->known) {
      pages_old = learn(*inode, from_owner.attr);
      if (from_owner.extents_known && from_owner.attr.data_version == inode->base_version) {
        inode->extents.put(inode->base_version, 0, from_owner.extents, false);
      }
    }
    privileged = (from_owner.attr.mode & 06000) != 0 || from_owner.attr.has_capability;
    if (privileged) inode->privileges_possible = true;
    ++inode->handles;
    file->errors_heard = inode->errors - (inode->error_heard ? 0 : 1);
    if (from_owner.written_by_several) inode->several = true;
    result.direct = inode->several;
    result.keep_cache = !result.direct && seen_.get(inode->ino) == inode->base_version;
    // Old pages go when the kernel has the reply, and another open may be answered before that. (Of
    // a file that never had data there are none.)
    if (!shared_ || inode->base_version == 0) {
      seen_.set(inode->ino, inode->base_version);
    } else if (!result.keep_cache) {
      file->pages_of = inode->base_version;
    }
  }
  if (pages_old) pages_changed(inode->ino);
  InodeState& state = *inode;
  file->inode = std::move(inode);
  result.handle = handles_.add(std::move(file));
  if (options.truncate) {
    Status truncated = kill_privileges(state, options.kill_privileges && privileged).ok()
                           ? Status()
                           : Status(Error(EIO));
    if (truncated.ok()) truncated = truncate(state, 0);
    if (!truncated.ok()) {
      release(result.handle).ignore("the open failed already");
      return truncated.error();
    }
    TRY_ASSIGN(result.attr, getattr(who, state.ino));
    return result;
  }
  TRY_ASSIGN(result.attr, settled(std::move(result.attr), before));
  return result;
}

Result<OpenedFile> ClientImpl::open(const Caller& who, Ino ino, const OpenOptions& options) {
  if (options.write || options.truncate) TRY(may_write());
  const uint64_t before = committer_.changes().now();
  InodeRef inode = table_.acquire(ino);  // before the owner is asked: see InodeTable and Changes
  // O_TRUNC needs the right to write even when the handle is only read.
  const meta::OpenFlags flags = owner_flags(options);
  TRY_ASSIGN(meta::Opened from_owner, metadata().open(request(who), ino, flags));
  Status allowed = check_open(from_owner.attr, options);
  if (allowed.ok() && committer_.changes().since(ino, before)) {
    const Result<InodeRef> known = known_inode(ino);
    if (!known.ok()) allowed = known.error();
  }
  if (!allowed.ok()) {
    metadata().release(system_request(), ino, flags).ignore("the open failed already");
    return allowed.error();
  }
  return opened(who, std::move(inode), from_owner, options, before);
}

Result<OpenedFile> ClientImpl::create(const Caller& who, Ino parent, std::string_view name,
                                      uint32_t mode, const OpenOptions& options, bool exclusive) {
  TRY(may_write());
  const meta::OpenFlags flags = owner_flags(options);
  const uint64_t before = committer_.changes().now();
  TRY_ASSIGN(meta::Created created,
             metadata().create(request(who), parent, name, mode, flags, exclusive));
  const Ino ino = created.opened.attr.ino;
  InodeRef inode = table_.acquire(ino);
  Status allowed = created.existed ? check_open(created.opened.attr, options) : Status();
  if (allowed.ok() && committer_.changes().since(ino, before)) {
    const Result<InodeRef> known = known_inode(ino);
    if (!known.ok()) allowed = known.error();
  }
  if (!allowed.ok()) {
    metadata().release(system_request(), ino, flags).ignore("the open failed already");
    return allowed.error();
  }
  OpenOptions effective = options;
  if (!created.existed) effective.truncate = false;  // it is empty
  return opened(who, std::move(inode), created.opened, effective, before);
}

Result<OpenedFile> ClientImpl::create_unnamed(const Caller& who, Ino parent, uint32_t mode,
                                              const OpenOptions& options) {
  TRY(may_write());
  const uint64_t before = committer_.changes().now();
  TRY_ASSIGN(meta::Opened created,
             metadata().create_unnamed(request(who), parent, mode, owner_flags(options)));
  InodeRef inode = table_.acquire(created.attr.ino);
  if (committer_.changes().since(created.attr.ino, before)) TRY(known_inode(created.attr.ino));
  OpenOptions effective = options;
  effective.truncate = false;
  return opened(who, std::move(inode), created, effective, before);
}

Status ClientImpl::release(HandleId handle) {
  const OpenFilePtr file = handles_.remove(handle);
  if (!file) return Error(EBADF);
  InodeState& inode = *file->inode;
  if (handle_locks_used_) release_locks(inode, handle);
  // Of a session that is over nothing is left to release.
  if (file->session == session_) {
    metadata()
        .release(system_request(), inode.ino, owner_flags(file->options))
        .ignore("the program is past caring; the session's end drops what is left");
  }
  bool last = false;
  {
    MutexLock lock(inode.latch);
    last = --inode.handles == 0 && !inode.list.empty();
  }
  if (last) drop_if_gone(inode);
  if (last && shared_) committer_.commit_soon();  // pages of a mapping, written after the close
  return {};
}

// What was written under the locks is committed before they go, also for a program that was killed
// and does not wait.
void ClientImpl::release_locks(InodeState& inode, HandleId handle) {
  const Status committed = commit_before_unlock(inode.ino);
  if (committed.code() != EINTR) {
    committed.ignore("nobody is left to be told; tried again by the timer");
    return metadata().release_handle_locks(system_request(), inode.ino, handle);
  }
  seams_.executor.post([this, gate = gate_, ino = inode.ino, handle] {
    gate->pass([&] {  // else the session's end drops them
      commit_before_unlock(ino).ignore("as above");
      metadata().release_handle_locks(system_request(), ino, handle);
    });
  });
}

// A list ends only with its inode: no name, no handle, no trash entry. The owner says whether that
// is so.
void ClientImpl::drop_if_gone(InodeState& inode) {
  {
    MutexLock lock(inode.latch);
    if (!inode.unlinked || inode.handles > 0 || inode.list.empty()) return;
  }
  if (metadata().getattr(system_request(), inode.ino).code() == ENOENT) committer_.drop(inode);
}

Result<OpenFilePtr> ClientImpl::usable(HandleId handle) {
  OpenFilePtr file = handles_.find(handle);
  if (!file) return Error(EBADF);
  if (file->dead) return error(EIO, "open file {} went with its session", handle);
  return file;
}

Ino ClientImpl::ino_of(HandleId handle) {
  const OpenFilePtr file = handles_.find(handle);
  return file ? file->inode->ino : 0;
}

}  // namespace shoal::client
