// The volume as a whole: usage, settings, durability, paths.
#include "engine/for_each.h"
#include "format/keys.h"
#include "meta/owner_impl.h"

namespace shoal::meta {

Result<VolumeUsage> Owner::usage() {
  TRY(healthy());
  const auto count = [this](UsageSlot slot) {
    return static_cast<uint64_t>(std::max<int64_t>(0, usage_[slot].load()));
  };
  VolumeUsage usage;
  usage.capacity_bytes = capacity_bytes_.load();
  usage.inodes_max = inodes_max_.load();
  usage.used_bytes = count(kUsedBytes);
  usage.inodes = count(kInodes);
  usage.trash_bytes = count(kTrashBytes);
  usage.trash_inodes = count(kTrashInodes);
  return usage;
}

Result<format::Volume> Owner::volume() {
  TRY(healthy());
  ReadLock lock(fence_mutex_);
  return volume_;
}

Status Owner::change_volume(const VolumeChange& change) {
  TRY(healthy());
  Change commit_change(stamps_);
  {
    // Exclusive: every other commit checks the record that is replaced here.
    WriteLock lock(fence_mutex_);
    format::Volume next = volume_;
    if (change.trash_days) next.trash_days = *change.trash_days;
    if (change.capacity_bytes) next.capacity_bytes = *change.capacity_bytes;
    if (change.inodes_max) next.inodes_max = *change.inodes_max;
    if (change.durability) next.durability = *change.durability;
    commit_change.batch().update(fence_key_, format::encode_volume(next), volume_stamp_);
    TRY(commit_batch(commit_change.batch()));
    volume_ = std::move(next);
    volume_stamp_ = commit_change.stamp();
    trash_days_ = volume_.trash_days;
    capacity_bytes_ = volume_.capacity_bytes;
    inodes_max_ = volume_.inodes_max;
  }
  commit_change.done(true);
  return engine_.sync();
}

Status Owner::sync() {
  TRY(healthy());
  const Stamp settled = stamps_.settled();
  if (Status status = engine_.sync(); !status.ok()) {
    poison(fmt::format("the engine's sync failed: {}", status.error().text()));
    return status;
  }
  stamps_.synced(settled);
  return {};
}

Stamp Owner::synced_stamp() {
  return engine_.capabilities().durable_on_commit ? stamps_.settled() : stamps_.synced();
}

Stamp Owner::inode_stamp(Ino ino) {
  auto ref = inode_of(ino);
  return ref.ok() ? ref.value()->stamp : committed_stamp();
}

Result<std::string> Owner::path_of(Ino ino) {
  TRY(healthy());
  std::string path;
  constexpr int kDepthMax = 4096;
  for (int depth = 0; ino != kRootIno; ++depth) {
    TRY_ASSIGN(const InodeRef ref, inode_of(ino));
    if (ref->inode.nlink == 0 || depth > kDepthMax) return Error(ENOENT);
    TRY_ASSIGN(const std::string name, name_in(ref->inode.parent, ino));
    path = "/" + name + path;
    ino = ref->inode.parent;
  }
  return path.empty() ? "/" : path;
}

// Names are found by scanning the parent: for messages only.
Result<std::string> Owner::name_in(Ino parent, Ino ino) {
  std::optional<std::string> name;
  const auto visit = [&](const engine::Item& item) -> Result<engine::Visit> {
    TRY_ASSIGN(const format::Entry entry, format::decode_entry(item.value));
    if (entry.ino != ino) return engine::Visit::kContinue;
    TRY_ASSIGN(auto key, format::parse_entry_key(item.key));
    name = std::move(key.second);
    return engine::Visit::kStop;
  };
  TRY(engine::for_each_with(engine_, nullptr, format::entry_prefix(parent), visit));
  if (!name) return Error(ENOENT);
  return *std::move(name);
}

}  // namespace shoal::meta
