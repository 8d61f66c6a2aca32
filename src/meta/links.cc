// Names of an inode: how many there are in which directory (`L`), and what happens when the last
// one goes.
#include <map>

#include "format/keys.h"
#include "meta/owner_impl.h"

namespace shoal::meta {
namespace {

constexpr int64_t kSecondsOfDay = 86'400;

uint32_t day_of(const Time& time) {
  return time.seconds < 0 ? 0 : static_cast<uint32_t>(time.seconds / kSecondsOfDay);
}

struct LinkCount {
  int64_t names = 0;
  Stamp stamp = 0;  // of the L record; 0: none yet
};
using LinkCounts = std::map<Ino, LinkCount>;

Result<LinkCount> read_link(engine::KvEngine& engine, Ino ino, Ino parent) {
  TRY_ASSIGN(auto found, engine.get(nullptr, format::link_key(ino, parent)));
  if (!found) return LinkCount{};
  TRY_ASSIGN(const uint32_t names, format::decode_link_count(found->value));
  return LinkCount{names, found->stamp};
}

void write_link(engine::Batch& batch, Ino ino, Ino parent, const LinkCount& count, bool wanted) {
  std::string key = format::link_key(ino, parent);
  if (!wanted || count.names <= 0) {
    if (count.stamp != 0) batch.erase(std::move(key), count.stamp);
    return;
  }
  std::string value = format::encode_link_count(static_cast<uint32_t>(count.names));
  if (count.stamp != 0) {
    batch.update(std::move(key), std::move(value), count.stamp);
  } else {
    batch.insert(std::move(key), std::move(value));
  }
}

}  // namespace

Status Owner::count_names(Change& change, Ino ino, format::Inode& inode, uint32_t before,
                          std::initializer_list<NameMove> moves) {
  int64_t after = before;
  for (const NameMove& move : moves) after += move.delta;
  if (before <= 1 && after <= 1) {
    for (const NameMove& move : moves) {
      if (move.delta > 0) inode.parent = move.parent;
    }
    return {};
  }
  LinkCounts counts;
  if (before <= 1) {
    counts[inode.parent].names = before;
  } else {
    for (const NameMove& move : moves) {
      TRY_ASSIGN(counts[move.parent], read_link(engine_, ino, move.parent));
    }
    if (!counts.contains(inode.parent)) {
      TRY_ASSIGN(counts[inode.parent], read_link(engine_, ino, inode.parent));
    }
  }
  for (const NameMove& move : moves) counts[move.parent].names += move.delta;
  if (after == 1 || counts[inode.parent].names <= 0) {
    // The rest of the records: at most one is left when one name is.
    const std::string prefix = format::link_prefix(ino);
    TRY_ASSIGN(const engine::Page page,
               engine_.scan(nullptr, prefix, engine::prefix_end(prefix), 8));
    for (const engine::Item& item : page.items) {
      TRY_ASSIGN(const auto key, format::parse_link_key(item.key));
      if (counts.contains(key.second)) continue;
      TRY_ASSIGN(const uint32_t names, format::decode_link_count(item.value));
      counts[key.second] = {names, item.stamp};
    }
    for (const auto& [parent, count] : counts) {
      if (count.names > 0) inode.parent = parent;
    }
  }
  for (const auto& [parent, count] : counts) {
    write_link(change.batch(), ino, parent, count, after > 1);
  }
  return {};
}

Status Owner::drop_inode(Change& change, Ino ino, const InodeRef& ref, const LastName& last) {
  format::Inode& inode = change.edit(ino, ref);
  if (trash_days_.load(std::memory_order_relaxed) == 0) return free_inode(change, ino, ref);
  const Time time = now();
  inode.nlink = 0;
  inode.ctime = time;
  inode.flags |= format::kFlagTrashed;
  change.batch().insert(format::trash_key(day_of(time), ino),
                        format::encode_trash({last.parent, std::string(last.name), time}));
  change.usage(kTrashBytes, static_cast<int64_t>(inode.allocated));
  change.usage(kTrashInodes, 1);
  return {};
}

Status Owner::free_inode(Change& change, Ino ino, const InodeRef& ref) {
  format::Inode& inode = change.edit(ino, ref);
  if ((inode.flags & format::kFlagTrashed) != 0) {
    inode.flags &= ~format::kFlagTrashed;
    change.usage(kTrashBytes, -static_cast<int64_t>(inode.allocated));
    change.usage(kTrashInodes, -1);
  }
  inode.nlink = 0;
  inode.ctime = now();
  bool held = false;
  for (const OpenTable::Holder& holder : opens_.holders(ino)) {
    if (holder.count == 0) continue;
    held = true;
    if (holder.orphan == 0) change.orphan(holder.session, ino);
  }
  if (held) return {};
  if (inode.content == format::Content::kExtents || inode.has_big_xattrs) {
    change.reclaim(ino);
    return {};
  }
  for (const format::Extent& extent : inode.extents) {
    if (extent.target.kind == format::Target::Kind::kSegment) {
      change.live(extent.target.segment, -static_cast<int64_t>(extent.length));
    }
  }
  change.usage(kUsedBytes, -static_cast<int64_t>(inode.allocated));
  change.usage(kInodes, -1);
  change.erase(ino, ref);
  return {};
}

void Owner::finish_orphan(Ino ino) {
  if (!healthy().ok()) return;
  const Latches latch(latches_, {exclusive(ino)});
  bool held = false;
  std::vector<OpenTable::Holder> gone;
  for (const OpenTable::Holder& holder : opens_.holders(ino)) {
    if (holder.count > 0) {
      held = true;
    } else if (holder.orphan != 0) {
      gone.push_back(holder);
    }
  }
  if (gone.empty()) return;
  auto ref = inode_latched(ino);
  Status status;
  if (ref.ok()) {
    Change change(stamps_);
    for (const OpenTable::Holder& holder : gone) {
      change.batch().erase(format::open_unlinked_key(holder.session, ino), holder.orphan);
    }
    if (!held && ref.value()->inode.nlink == 0 &&
        (ref.value()->inode.flags & format::kFlagTrashed) == 0) {
      status = free_inode(change, ino, *ref);
    }
    if (status.ok()) status = commit(change);
  }
  // On an error the O record stays: the next open of the volume frees the inode.
  status.ignore("a release has nobody to tell");
  for (const OpenTable::Holder& holder : gone) opens_.orphan_done(ino, holder.session);
}

}  // namespace shoal::meta
