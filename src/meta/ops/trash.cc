// Trash: what unlink, rmdir and rename-over moved there (links.cc, drop_inode): listed, put back,
// freed.
#include <sys/stat.h>

#include "base/log.h"
#include "format/keys.h"
#include "meta/owner_impl.h"

namespace shoal::meta {
namespace {

constexpr int64_t kSecondsOfDay = 86'400;
constexpr std::string_view kTrashPrefix = "T";

struct Trashed {
  uint32_t day = 0;
  Ino ino = 0;
  Stamp stamp = 0;
  format::TrashRecord record;
};

Result<Trashed> parse(const engine::Item& item) {
  TRY_ASSIGN(const auto key, format::parse_trash_key(item.key));
  TRY_ASSIGN(format::TrashRecord record, format::decode_trash(item.value));
  return Trashed{key.first, key.second, item.stamp, std::move(record)};
}

// The oldest entries behind `begin`; moves `begin` on.
Result<std::vector<Trashed>> page_of(engine::KvEngine& engine, std::string& begin, size_t limit) {
  TRY_ASSIGN(const engine::Page page,
             engine.scan(nullptr, begin, engine::prefix_end(kTrashPrefix), limit));
  std::vector<Trashed> entries;
  for (const engine::Item& item : page.items) {
    TRY_ASSIGN(Trashed entry, parse(item));
    entries.push_back(std::move(entry));
    begin = item.key + '\0';
  }
  return entries;
}

}  // namespace

Result<std::vector<TrashEntry>> Owner::trash_list(size_t limit) {
  TRY(healthy());
  std::vector<TrashEntry> list;
  std::string begin(kTrashPrefix);
  while (list.size() < limit) {
    TRY_ASSIGN(const std::vector<Trashed> page,
               page_of(engine_, begin, std::min(limit - list.size(), kPageEntriesMax)));
    if (page.empty()) break;
    for (const Trashed& trashed : page) {
      const Result<InodeRef> ref = inode_of(trashed.ino);
      if (!ref.ok()) continue;  // freed meanwhile
      const Result<std::string> path = path_of(trashed.record.parent);
      list.push_back({trashed.ino, trashed.day, trashed.record.parent, trashed.record.name,
                      path.ok() ? *path : std::string(), (*ref)->inode.size,
                      (*ref)->inode.is_directory(), trashed.record.deleted});
    }
  }
  return list;
}

Result<std::string> Owner::find_trash_key(Ino ino) {
  // ctime is when it went there; its day names the record. Else (ctime moved on) the whole trash is
  // searched.
  const Result<InodeRef> known = inode_of(ino);
  if (known.code() == ENOENT) return error(ENOENT, "inode {} is not in the trash", ino);
  TRY_ASSIGN(const InodeRef ref, known);
  if ((ref->inode.flags & format::kFlagTrashed) == 0)
    return error(ENOENT, "inode {} is not in the trash", ino);
  const auto day =
      static_cast<uint32_t>(std::max<int64_t>(ref->inode.ctime.seconds, 0) / kSecondsOfDay);
  std::string key = format::trash_key(day, ino);
  TRY_ASSIGN(const auto found, engine_.get(nullptr, key));
  if (found) return key;
  std::string begin(kTrashPrefix);
  for (;;) {
    TRY_ASSIGN(const std::vector<Trashed> page, page_of(engine_, begin, kPageEntriesMax));
    if (page.empty()) return error(ENOENT, "inode {} is not in the trash", ino);
    for (const Trashed& trashed : page) {
      if (trashed.ino == ino) return format::trash_key(trashed.day, ino);
    }
  }
}

Result<std::pair<Ino, std::string>> Owner::trash_restore(
    Ino ino, std::optional<std::pair<Ino, std::string>> place) {
  TRY(healthy());
  TRY_ASSIGN(const std::string key, find_trash_key(ino));
  TRY_ASSIGN(const auto record, engine_.get(nullptr, key));
  if (!record) return error(ENOENT, "inode {} is not in the trash", ino);
  TRY_ASSIGN(const format::TrashRecord trash, format::decode_trash(record->value));
  const Ino parent = place ? place->first : trash.parent;
  const std::string name = place ? place->second : trash.name;
  TRY(check_name(name));
  const Latches latches(latches_, {exclusive(ino), exclusive(parent)});
  const Result<InodeRef> directory = directory_latched(parent);
  if (!directory.ok()) {
    return error(ENOENT, "the directory that '{}' was in is gone; say where to put it with --to",
                 name);
  }
  TRY_ASSIGN(const InodeRef ref, inode_latched(ino));
  if ((ref->inode.flags & format::kFlagTrashed) == 0)
    return error(ENOENT, "inode {} is not in the trash", ino);
  TRY_ASSIGN(const CachedEntry old, entry_latched(parent, name));
  if (old.exists()) return error(EEXIST, "'{}' exists there; say where to put it with --to", name);
  Change change(stamps_);
  format::Inode& inode = change.edit(ino, ref);
  const Time time = now();
  inode.flags &= ~format::kFlagTrashed;
  inode.nlink = inode.is_directory() ? 2 : 1;
  inode.parent = parent;
  inode.ctime = time;
  format::Inode& above = change.edit(parent, *directory);
  touch_directory(above, 1, time);
  if (inode.is_directory()) above.nlink += 1;
  put_entry(change, parent, name, old, {entry_type(inode.mode), ino});
  change.batch().erase(key, record->stamp);
  change.usage(kTrashBytes, -static_cast<int64_t>(inode.allocated));
  change.usage(kTrashInodes, -1);
  TRY(commit(change));
  return std::make_pair(parent, name);
}

Result<bool> Owner::free_trashed(Ino ino, uint32_t day) {
  const Latches latch(latches_, {exclusive(ino)});
  const std::string key = format::trash_key(day, ino);
  TRY_ASSIGN(const auto record, engine_.get(nullptr, key));
  if (!record) return false;  // restored or freed meanwhile
  TRY_ASSIGN(const InodeRef ref, inode_latched(ino));
  Change change(stamps_);
  change.batch().erase(key, record->stamp);
  TRY(free_inode(change, ino, ref));
  TRY(commit(change));
  return true;
}

Result<uint64_t> Owner::trash_empty(uint32_t days) {
  TRY(healthy());
  const int64_t today = now().seconds / kSecondsOfDay;
  uint64_t freed = 0;
  std::string begin(kTrashPrefix);
  for (;;) {
    TRY_ASSIGN(const std::vector<Trashed> page, page_of(engine_, begin, kPageEntriesMax));
    if (page.empty()) return freed;
    for (const Trashed& trashed : page) {
      if (static_cast<int64_t>(trashed.day) > today - static_cast<int64_t>(days)) return freed;
      TRY_ASSIGN(const bool gone, free_trashed(trashed.ino, trashed.day));
      freed += gone ? 1 : 0;
    }
  }
}

void Owner::age_trash() {
  const uint32_t days = trash_days_.load(std::memory_order_relaxed);
  // Day `d` is over `days` days ago once today is d + days + 1.
  const Result<uint64_t> freed = trash_empty(days == 0 ? 0 : days + 1);
  if (!freed.ok()) log(LogLevel::kWarn, "emptying the trash: {}", freed.error().text());
}

void Owner::make_room(uint64_t bytes, uint64_t inodes) {
  std::string begin(kTrashPrefix);
  uint64_t bytes_freed = 0;
  uint64_t inodes_freed = 0;
  while (bytes_freed < bytes || inodes_freed < inodes) {
    const Result<std::vector<Trashed>> page = page_of(engine_, begin, 64);
    if (!page.ok() || page->empty()) return;
    for (const Trashed& trashed : *page) {
      const Result<InodeRef> ref = inode_of(trashed.ino);
      const uint64_t size = ref.ok() ? (*ref)->inode.allocated : 0;
      const Result<bool> freed = free_trashed(trashed.ino, trashed.day);
      if (!freed.ok()) return;
      if (!*freed) continue;
      bytes_freed += size;
      ++inodes_freed;
      if (bytes_freed >= bytes && inodes_freed >= inodes) return;
    }
  }
}

}  // namespace shoal::meta
