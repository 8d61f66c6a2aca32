// Life of a client, attributes, locks, and what concerns the whole mount.
#include <algorithm>

#include "base/log.h"
#include "client/client_impl.h"

namespace shoal::client {

Result<std::unique_ptr<Client>> Client::start(const Seams& seams, const ClientOptions& options) {
  TRY_ASSIGN(const format::Volume volume, seams.metadata.volume());
  return std::unique_ptr<Client>(std::make_unique<ClientImpl>(seams, options, volume));
}

ClientImpl::ClientImpl(const Seams& seams, const ClientOptions& options,
                       const format::Volume& volume)
    : seams_(seams),
      options_(options),
      volume_(volume),
      session_(seams.session),
      shared_(options.shared),
      space_(seams.metadata, session_),
      durability_(seams.metadata, session_, volume.durability),
      committer_(seams, session_, options, table_, space_, seen_) {
  committer_.when_others_changed([this](Ino ino) { pages_changed(ino); });
  forget_classes_ = std::make_unique<Periodic>(seams.executor, options.commit_interval, [this] {
    if (shared_) durability_.forget();
  });
  listen();
}

ClientImpl::~ClientImpl() {
  gate_->shut();
  metadata().session_events(session_, nullptr);
  forget_classes_.reset();
  committer_.stop();
  if (abandoned_) {
    committer_.forget_everything();
    return;
  }
  for (const HandleId handle : handles_.ids())
    release(handle).ignore("an adapter that did not close its files");
  const Status committed = committer_.commit_everything();
  if (!committed.ok()) {
    log(LogLevel::kError, "volume {}: written data is not safe at the end of the mount: {}",
        volume_.name, committed.error().to_string());
    committer_.forget_everything();
  }
  committer_.sync_engine();
  space_.settle();
}

meta::Request ClientImpl::request(const Caller& who) {
  meta::Request request;
  request.session = session_;
  request.sequence = next_sequence_.fetch_add(1, std::memory_order_relaxed) + 1;
  request.caller = who;
  return request;
}

meta::Request ClientImpl::system_request() {
  meta::Request request;
  request.session = session_;
  request.sequence = next_sequence_.fetch_add(1, std::memory_order_relaxed) + 1;
  request.caller.kernel_checked = true;
  return request;
}

Status ClientImpl::may_write() const {
  if (options_.read_only) return Error(EROFS);
  return {};
}

// --- attributes ---

Result<Attr> ClientImpl::settled(Attr attr, uint64_t before) {
  if (!attr.is_regular()) return attr;
  for (bool again = false;; again = true) {
    // (An answer asked for since is as new as an owner has it that came back without its last
    // commits.)
    const bool current = overlay(attr) || again;
    if (current && !committer_.changes().since(attr.ino, before)) return attr;
    before = committer_.changes().now();
    TRY_ASSIGN(attr, metadata().getattr(system_request(), attr.ino));
  }
}

bool ClientImpl::overlay(Attr& attr) {
  const InodeRef inode = table_.find(attr.ino);
  if (!inode) return true;
  bool changed = false;
  {
    MutexLock lock(inode->latch);
    if (shared_ && inode->known) {
      if (attr.data_version < inode->base_version) return false;
      changed = learn(*inode, attr);
    }
    if (!inode->list.empty()) {
      attr.size = inode->size;
      attr.mtime = inode->mtime;
      attr.ctime = std::max(attr.ctime, inode->ctime);
      if (inode->atime) attr.atime = *inode->atime;
      attr.allocated = allocated_bytes(*inode);
    }
  }
  if (changed) pages_changed(attr.ino);
  return true;
}

// Bytes of the file that are data. Exact for new and dense files and where all extents are known;
// for a large sparse file with uncommitted operations an estimate, until they are committed.
uint64_t ClientImpl::allocated_bytes(InodeState& inode) {
  if (inode.allocated) return *inode.allocated;
  uint64_t hidden = 0;  // committed bytes that pieces of the overlay replace
  if (inode.base_allocated > 0) {
    const ExtentCache::PagePtr whole = inode.extents.whole();
    const double density =
        static_cast<double>(inode.base_allocated) / static_cast<double>(inode.base_size);
    inode.overlay.visit(0, inode.base_size, [&](const Overlay::Piece& piece) {
      if (!whole) {
        hidden += density >= 1 ? piece.length
                               : static_cast<uint64_t>(static_cast<double>(piece.length) * density);
        return;
      }
      for (size_t i = whole->first_behind(piece.offset);
           i < whole->extents.size() && whole->extents[i].offset < piece.end(); ++i) {
        const format::Extent& extent = whole->extents[i];
        hidden += std::min(extent.end(), piece.end()) - std::max(extent.offset, piece.offset);
      }
    });
  }
  const uint64_t kept = inode.base_allocated - std::min(hidden, inode.base_allocated);
  inode.allocated = std::min(kept + inode.overlay.data_bytes(),
                             inode.size);  // an estimate may be off by some bytes
  return *inode.allocated;
}

// On a shared volume answers overtake each other: the greater stamp is the newer one. While a
// commit of ours is under way nobody can tell whether an answer has it; its own reply will move the
// base.
bool ClientImpl::learn(InodeState& inode, const Attr& attr) {
  inode.parent = attr.parent;
  inode.generation = attr.generation;
  const bool clean = inode.list.empty() && !inode.committing;
  const bool behind = shared_ ? attr.data_version > inode.base_version && !inode.committing
                              : attr.data_version != inode.base_version && clean;
  if (inode.known && !behind) return false;
  const bool changed = inode.known && shared_;
  inode.known = true;
  inode.base_version = attr.data_version;
  inode.base_size = attr.size;
  inode.base_allocated = attr.allocated;
  if (changed) {
    ++inode.commits;
    if ((attr.mode & 06000) != 0 || attr.has_capability) inode.privileges_possible = true;
  }
  if (inode.list.empty()) {
    inode.size = attr.size;
    inode.mtime = attr.mtime;
    inode.ctime = attr.ctime;
  } else {
    inode.rebase();
  }
  inode.extents.keep_only(attr.data_version);
  return changed && inode.handles > 0;
}

Result<InodeRef> ClientImpl::known_inode(Ino ino) {
  InodeRef inode = table_.acquire(ino);
  for (;;) {
    {
      MutexLock lock(inode->latch);
      if (inode->known) return inode;
    }
    const uint64_t before = committer_.changes().now();
    TRY_ASSIGN(const Attr attr, metadata().getattr(system_request(), ino));
    bool changed = false;
    {
      MutexLock lock(inode->latch);
      if (committer_.changes().since(ino, before)) continue;
      changed = learn(*inode, attr);
    }
    if (changed) pages_changed(ino);
    return inode;
  }
}

// --- locks ---

Result<meta::Lock> ClientImpl::lock_get(const Caller& who, Ino ino, const meta::Lock& wanted) {
  return metadata().lock_get(request(who), ino, wanted);
}

void ClientImpl::lock_cancel(uint64_t ticket) { metadata().lock_cancel(ticket); }

void ClientImpl::note_lock(const meta::Lock& wanted) {
  if (wanted.type == meta::LockType::kUnlock) return;
  (wanted.kind == meta::LockKind::kPosix ? posix_locks_used_ : handle_locks_used_) = true;
}

void ClientImpl::note_granted(const meta::Lock& wanted) {
  const OpenFilePtr file = handles_.find(wanted.handle);
  if (!file) return;
  constexpr uint64_t kWhole = ~uint64_t{0} >> 1;
  if (wanted.type != meta::LockType::kUnlock) {
    file->locked = true;
  } else if (wanted.start == 0 && wanted.end >= kWhole) {
    file->locked = false;
  }
}

// --- whole mount ---

Result<StatFs> ClientImpl::statfs() {
  TRY_ASSIGN(const meta::VolumeUsage usage, metadata().usage());
  // Without a limit: large enough for any program's check, small enough for its arithmetic.
  constexpr uint64_t kUnlimitedBytes = uint64_t{1} << 50, kUnlimitedInodes = uint64_t{1} << 32;
  const uint64_t used = usage.used_bytes + space_.taken();
  const uint64_t capacity =
      usage.capacity_bytes > 0 ? usage.capacity_bytes : std::max(kUnlimitedBytes, 2 * used);
  const uint64_t inodes =
      usage.inodes_max > 0 ? usage.inodes_max : std::max(kUnlimitedInodes, 2 * usage.inodes);
  StatFs result;
  result.blocks = capacity / result.block_bytes;
  result.blocks_free = (capacity - std::min(used, capacity)) / result.block_bytes;
  result.inodes = inodes;
  result.inodes_free = inodes - std::min(usage.inodes, inodes);
  return result;
}

ClientStatus ClientImpl::status() {
  ClientStatus status;
  status.open_files = handles_.size();
  status.uncommitted_operations = committer_.operations();
  status.buffered_bytes = committer_.held_bytes();
  status.staging = seams_.staging.status();
  status.reads = seams_.reader.stats();
  status.cache = seams_.cache.stats();
  return status;
}

Status ClientImpl::flush_all(bool store, const std::function<void(const ClientStatus&)>& progress) {
  TRY(committer_.commit_everything());
  committer_.sync_engine();
  if (progress) progress(status());
  if (!store) return {};
  TRY(seams_.staging.store_all([&](const data::StagingStatus&) {
    if (progress) progress(status());
  }));
  return {};
}

}  // namespace shoal::client
