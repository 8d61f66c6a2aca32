// Reading: read, seek_data, seek_hole, where the bytes are.
#include <algorithm>
#include <cstring>

#include "base/log.h"
#include "client/client_impl.h"

namespace shoal::client {

// Fetches the page of extents that begins at `from`. What a commit overtook is not kept: the caller
// plans anew.
Status ClientImpl::fetch_extents(InodeState& inode, uint64_t from) {
  uint64_t commits = 0;
  {
    MutexLock lock(inode.latch);
    commits = inode.commits;
  }
  TRY_ASSIGN(meta::ExtentPage page,
             metadata().extents(system_request(), inode.ino, from, kPageEntriesMax));
  MutexLock lock(inode.latch);
  if (inode.commits != commits) return {};
  if (shared_) {
    if (page.data_version > inode.base_version) {
      lock.unlock();
      return refresh(inode);
    }
    inode.extents.put(page.data_version, from, std::move(page.extents), page.more);
    return {};
  }
  if (page.data_version != inode.base_version && inode.list.empty() && !inode.committing) {
    // Changed by nobody this mount knows of (a repack, later another mount).
    inode.base_version = page.data_version;
    inode.base_size = inode.size = page.size;
  }
  inode.extents.put(page.data_version, from, std::move(page.extents), page.more);
  return {};
}

Status ClientImpl::execute(const ReadPlan& plan, OpenFile& file, uint64_t offset,
                           MutableBytes into) {
  auto mode = data::ReadMode::kRandom;
  if (!plan.extents.empty()) {
    std::shared_ptr<data::ReadPattern> pattern;
    {
      MutexLock lock(file.mutex);
      if (!file.pattern) file.pattern = seams_.reader.make_pattern();
      pattern = file.pattern;
    }
    mode = seams_.reader.begin(*pattern, offset, plan.bytes, plan.extents);
  }
  for (const ReadPlan::Piece& piece : plan.pieces) {
    const MutableBytes part = into.subspan(piece.at, piece.length);
    switch (piece.from) {
      case ReadPlan::Piece::From::kHole:
        std::memset(part.data(), 0, part.size());
        break;
      case ReadPlan::Piece::From::kMemory:
        std::memcpy(part.data(), piece.chunk->bytes.get() + piece.first, part.size());
        break;
      case ReadPlan::Piece::From::kSlice:
        TRY(seams_.reader.read(piece.target, piece.first, part, mode));
        break;
    }
  }
  return {};
}

Result<size_t> ClientImpl::read(HandleId handle, uint64_t offset, MutableBytes into) {
  TRY_ASSIGN(const OpenFilePtr file, usable(handle));
  if (!file->options.read) return Error(EBADF);
  InodeState& inode = *file->inode;
  note_pages(*file);
  ReadPlan plan;
  for (bool fetched_again = false;;) {
    uint64_t missing_from = 0;
    Planned planned = Planned::kReady;
    {
      MutexLock lock(inode.latch);
      planned = plan_read(inode, offset, into.size(), plan, missing_from);
    }
    if (planned == Planned::kExtentsMissing) {
      TRY(fetch_extents(inode, missing_from));
      continue;
    }
    const Status status = execute(plan, *file, offset, into);
    if (status.ok()) return plan.bytes;
    if (status.error().is(ENOENT) && !fetched_again) {
      // The segment was freed after the plan was made (repacked, overwritten): the owner knows
      // where the bytes are now.
      fetched_again = true;
      MutexLock lock(inode.latch);
      inode.extents.clear();
      continue;
    }
    log(LogLevel::kError, "volume {}: inode {} bytes {}+{} cannot be read: {}", volume_.name,
        inode.ino, offset, plan.bytes, status.error().to_string());
    return Error(EIO, status.error().message());
  }
}

Result<uint64_t> ClientImpl::seek(HandleId handle, uint64_t offset, bool data) {
  TRY_ASSIGN(const OpenFilePtr file, usable(handle));
  InodeState& inode = *file->inode;
  for (;;) {
    Sought sought;
    {
      MutexLock lock(inode.latch);
      sought = plan_seek(inode, offset, data);
    }
    switch (sought.outcome) {
      case Sought::Outcome::kFound:
        return sought.offset;
      case Sought::Outcome::kNone:
        return Error(ENXIO);
      case Sought::Outcome::kExtentsMissing:
        TRY(fetch_extents(inode, sought.offset));
    }
  }
}

Result<uint64_t> ClientImpl::seek_data(HandleId handle, uint64_t offset) {
  return seek(handle, offset, true);
}
Result<uint64_t> ClientImpl::seek_hole(HandleId handle, uint64_t offset) {
  return seek(handle, offset, false);
}

Result<std::vector<format::Extent>> ClientImpl::extents_of(const Caller& who, Ino ino) {
  if (const InodeRef inode = table_.find(ino)) TRY(committer_.commit(*inode));
  std::vector<format::Extent> all;
  uint64_t from = 0;
  for (bool more = true; more;) {
    TRY_ASSIGN(meta::ExtentPage page, metadata().extents(request(who), ino, from, kPageEntriesMax));
    more = page.more && !page.extents.empty();
    if (!page.extents.empty()) from = page.extents.back().end();
    all.insert(all.end(), page.extents.begin(), page.extents.end());
  }
  return all;
}

}  // namespace shoal::client
