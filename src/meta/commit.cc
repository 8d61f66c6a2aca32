// Commits: fence, one engine batch, then the owner's memory.
#include "base/log.h"
#include "format/keys.h"
#include "meta/owner_impl.h"

namespace shoal::meta {

Status Owner::reserve_usage(const Change& change) {
  const int64_t inodes = change.usage_[kInodes];
  const auto max = static_cast<int64_t>(inodes_max_.load(std::memory_order_relaxed));
  if (inodes > 0 && max > 0) {
    int64_t have = usage_[kInodes].load();
    do {
      if (have + inodes > max) return error(ENOSPC, "the volume holds its {} inodes", max);
    } while (!usage_[kInodes].compare_exchange_weak(have, have + inodes));
  } else if (inodes != 0) {
    usage_[kInodes].fetch_add(inodes);
  }
  for (const UsageSlot slot : {kUsedBytes, kTrashBytes, kTrashInodes}) {
    if (change.usage_[slot] != 0) usage_[slot].fetch_add(change.usage_[slot]);
  }
  return {};
}

void Owner::return_usage(const Change& change) {
  for (size_t slot = 0; slot < kUsageSlots; ++slot) usage_[slot].fetch_sub(change.usage_[slot]);
}

void Owner::fill_batch(Change& change) {
  engine::Batch& batch = change.batch_;
  for (Change::EditedInode& edited : change.inodes_) {
    std::string key = format::inode_key(edited.ino);
    edited.now->stamp = change.stamp();
    if (edited.erased) {
      batch.erase(std::move(key), edited.expected);
    } else if (edited.expected == 0) {
      batch.insert(std::move(key), format::encode_inode(edited.now->inode));
    } else {
      batch.update(std::move(key), format::encode_inode(edited.now->inode), edited.expected);
    }
  }
  for (const auto& [segment, delta] : change.live_) {
    if (delta != 0) batch.merge_add(format::live_key(segment), delta);
  }
  for (uint16_t slot = 0; slot < kUsageSlots; ++slot) {
    if (change.usage_[slot] != 0) batch.merge_add(format::usage_key(0, slot), change.usage_[slot]);
  }
}

Status Owner::commit(Change& change) {
  TRY(healthy());
  TRY(reserve_usage(change));
  fill_batch(change);
  Status status;
  {
    ReadLock fence(fence_mutex_);
    change.batch_.check(fence_key_, volume_stamp_);
    status = commit_batch(change.batch_);
  }
  if (status.ok()) {
    publish(change);
  } else {
    return_usage(change);
  }
  change.done(status.ok());
  return status;
}

Status Owner::commit_batch(const engine::Batch& batch) {
  TRY_ASSIGN(const engine::CommitResult result, engine_.commit(batch));
  switch (result.kind) {
    case engine::CommitResult::Kind::kCommitted:
      return {};
    case engine::CommitResult::Kind::kUnknown:
      return resolve_unknown(batch);
    case engine::CommitResult::Kind::kConflict:
      break;
  }
  const std::string key = result.conflicts.empty() ? "" : result.conflicts.front();
  poison(
      key == fence_key_
          ? std::string("another process has opened the volume")
          : fmt::format("key {} is not what this owner wrote: a second owner, or a fault of ours",
                        to_hex(as_bytes(key))));
  return poisoned_error();
}

// The reply was lost: the stamp of any key that the batch wrote tells.
Status Owner::resolve_unknown(const engine::Batch& batch) {
  using Kind = engine::Write::Kind;
  for (const engine::Write& write : batch.writes()) {
    const bool writes = write.kind == Kind::kInsert || write.kind == Kind::kUpdate;
    const bool erases = write.kind == Kind::kErase;
    if (!writes && !erases) continue;
    auto found = engine_.get(nullptr, write.key);
    if (!found.ok()) {
      poison(fmt::format("the outcome of a commit could not be learnt: {}", found.error().text()));
      return poisoned_error();
    }
    const bool happened = writes ? *found && (*found)->stamp == batch.stamp() : !*found;
    if (happened) return {};
    return error(EIO, "the engine lost the commit of stamp {}", batch.stamp());
  }
  poison("the outcome of a commit could not be learnt: it wrote no key with a stamp");
  return poisoned_error();
}

void Owner::publish(Change& change) {
  for (Change::EditedInode& edited : change.inodes_) {
    if (edited.erased) {
      inodes_.erase(edited.ino);
    } else {
      inodes_.put(edited.ino, edited.now);
    }
  }
  for (Change::EditedEntry& edited : change.entries_) {
    const uint64_t hash = EntryView(edited.parent, edited.name).hash;
    entries_.put(EntryKey{hash, edited.parent, std::move(edited.name)}, edited.now);
  }
  for (const auto& [ino, session] : change.orphans_) {
    if (!opens_.set_orphan(ino, session, change.stamp())) {
      run_later({}, [this, ino = ino] { finish_orphan(ino); });
    }
  }
  if (change.reclaims_) schedule_reclaim();
}

}  // namespace shoal::meta
