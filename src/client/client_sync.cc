// fsync, flush, and what must be as durable as fsync makes it before something else happens
// (rename, O_SYNC).
#include "client/client_impl.h"

namespace shoal::client {

// Reports an error of the inode's data to this open file, once (errseq).
Status ClientImpl::hear_errors(OpenFile& file) {
  InodeState& inode = *file.inode;
  MutexLock lock(inode.latch);
  if (file.errors_heard == inode.errors) return {};
  file.errors_heard = inode.errors;
  inode.error_heard = true;
  return error(inode.error_code, "inode {}: written data could not be made safe", inode.ino);
}

Status ClientImpl::commit_in_class(InodeState& inode, format::Durability durability) {
  TRY(committer_.commit(inode));
  if (durability == format::Durability::kObject) TRY(store(inode.ino));
  return {};
}

Status ClientImpl::store(Ino ino) {
  TRY(seams_.staging.store_inode(ino));
  committer_.sync_engine();
  return {};
}

Status ClientImpl::sync_inode(InodeState& inode) {
  Ino parent = 0;
  {
    MutexLock lock(inode.latch);
    parent = inode.parent;
  }
  if (durability_.of_directory(parent) == format::Durability::kObject) {
    return commit_in_class(inode, format::Durability::kObject);
  }
  TRY(committer_.make_durable(inode));
  if (shared_) TRY(committer_.commit(inode));
  // Replay finishes what is journaled; but only if the inode and its names are there to be found.
  if (metadata().inode_stamp(inode.ino) > metadata().synced_stamp()) committer_.sync_engine();
  return {};
}

Status ClientImpl::fsync(HandleId handle, bool /*data_only*/) {
  TRY_ASSIGN(const OpenFilePtr file, usable(handle));
  const Status synced = sync_inode(*file->inode);
  const Status heard = hear_errors(*file);
  return heard.ok() ? synced : heard;
}

Status ClientImpl::fsync_dir(Ino /*ino*/) {
  if (metadata().committed_stamp() != metadata().synced_stamp()) committer_.sync_engine();
  return {};
}

Status ClientImpl::flush(HandleId handle, uint64_t lock_owner) {
  TRY_ASSIGN(const OpenFilePtr file, usable(handle));
  if (shared_) {
    const Status committed = commit_or_fail(*file->inode);
    if (committed.code() == EINTR) return committed;
  } else {
    const Status journaled = committer_.journal(*file->inode);
    if (journaled.code() == EINTR) return journaled;
    if (!journaled.ok()) committer_.fail(*file->inode, journaled.error());
  }
  if (posix_locks_used_)
    metadata().release_posix_locks(system_request(), file->inode->ino, lock_owner);
  return hear_errors(*file);
}

}  // namespace shoal::client
