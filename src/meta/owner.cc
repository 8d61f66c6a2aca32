#include "base/log.h"
#include "format/keys.h"
#include "meta/owner_impl.h"

namespace shoal::meta {
namespace {

uint64_t hash_entry(Ino parent, std::string_view name) {
  uint64_t h = std::hash<std::string_view>{}(name) ^ (parent * 0x9e3779b97f4a7c15ull);
  h ^= h >> 32;
  return h * 0xd6e8feb86659fd93ull;
}

}  // namespace

Owner::EntryView::EntryView(Ino parent_ino, std::string_view entry_name)
    : hash(hash_entry(parent_ino, entry_name)), parent(parent_ino), name(entry_name) {}

Owner::Owner(engine::KvEngine& engine, const Clock& clock, Random& random, Executor& executor,
             const OwnerOptions& options, Opening opening)
    : engine_(engine),
      clock_(clock),
      random_(random),
      executor_(executor),
      volume_(opening.volume),
      volume_stamp_(opening.volume_stamp),
      epoch_(opening.volume.epoch),
      open_id_(opening.open_id),
      generation_(random.u64() >> 32),
      fence_key_(format::format_record_key()),
      trash_days_(opening.volume.trash_days),
      capacity_bytes_(opening.volume.capacity_bytes),
      inodes_max_(opening.volume.inodes_max),
      stamps_(opening.volume.epoch),
      inodes_(options.inode_cache_entries),
      entries_(options.entry_cache_entries) {
  for (size_t slot = 0; slot < kUsageSlots; ++slot) usage_[slot] = opening.usage[slot];
  start_background();
}

Owner::~Owner() { stop_background(); }

Error Owner::poisoned_error() const {
  MutexLock lock(poison_mutex_);
  return error(EIO, "this owner stopped: {}; remount the volume", poison_reason_);
}

void Owner::poison(std::string_view why) {
  {
    MutexLock lock(poison_mutex_);
    if (poison_reason_.empty()) poison_reason_ = why;
  }
  if (!poisoned_.exchange(true)) log(LogLevel::kError, "metadata owner stops: {}", why);
}

Result<InodeRef> Owner::inode_peek(Ino ino) {
  if (auto cached = inodes_.get(ino)) return *cached;
  TRY_ASSIGN(auto found, engine_.get(nullptr, format::inode_key(ino)));
  if (!found) return Error(ENOENT);
  TRY_ASSIGN(format::Inode inode, format::decode_inode(found->value));
  return InodeRef(std::make_shared<CachedInode>(CachedInode{std::move(inode), found->stamp}));
}

Result<InodeRef> Owner::inode_latched(Ino ino) {
  if (auto cached = inodes_.get(ino)) return *cached;
  TRY_ASSIGN(InodeRef ref, inode_peek(ino));
  inodes_.put(ino, ref);
  return ref;
}

Result<InodeRef> Owner::inode_of(Ino ino) {
  if (auto cached = inodes_.get(ino)) return *cached;
  const Latches latch(latches_, {shared(ino)});
  return inode_latched(ino);
}

Result<InodeRef> Owner::directory_latched(Ino ino) {
  TRY_ASSIGN(InodeRef ref, inode_latched(ino));
  if (!ref->inode.is_directory()) return Error(ENOTDIR);
  if (ref->inode.nlink == 0) return Error(ENOENT);
  return ref;
}

Result<CachedEntry> Owner::entry_latched(Ino parent, std::string_view name) {
  const EntryView view(parent, name);
  if (auto cached = entries_.get(view)) return *cached;
  TRY_ASSIGN(auto found, engine_.get(nullptr, format::entry_key(parent, name)));
  CachedEntry entry;
  if (found) {
    TRY_ASSIGN(format::Entry record, format::decode_entry(found->value));
    entry = {record.ino, record.type, found->stamp};
  }
  entries_.put(EntryKey{view.hash, parent, std::string(name)}, entry);
  return entry;
}

Result<CachedEntry> Owner::entry_of(Ino parent, std::string_view name) {
  if (auto cached = entries_.get(EntryView(parent, name))) return *cached;
  const Latches latch(latches_, {shared(parent)});
  return entry_latched(parent, name);
}

format::OwnerMarker Owner::marker() const {
  ReadLock lock(fence_mutex_);
  return {volume_.uuid, volume_.lineage, volume_.epoch, open_id_};
}

bool Owner::knows_open(const Uuid& open_id) const {
  ReadLock lock(fence_mutex_);
  for (const Uuid& known : volume_.opens) {
    if (known == open_id) return true;
  }
  return false;
}

}  // namespace shoal::meta
