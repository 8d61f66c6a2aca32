#include "meta/change.h"

#include <algorithm>

#include "base/check.h"
#include "format/keys.h"

namespace shoal::meta {

Change::~Change() { done(false); }

void Change::done(bool committed) {
  if (!ended_) clock_.end(stamp(), committed);
  ended_ = true;
}

Change::EditedInode* Change::find(Ino ino) {
  for (EditedInode& edited : inodes_) {
    if (edited.ino == ino) return &edited;
  }
  return nullptr;
}

format::Inode& Change::edit(Ino ino, const InodeRef& ref) {
  if (EditedInode* edited = find(ino)) return edited->now->inode;
  inodes_.push_back({ino, ref->stamp, false, std::make_shared<CachedInode>(*ref)});
  return inodes_.back().now->inode;
}

format::Inode& Change::create(Ino ino) {
  DCHECK(find(ino) == nullptr);
  inodes_.push_back({ino, 0, false, std::make_shared<CachedInode>()});
  return inodes_.back().now->inode;
}

void Change::set_records(Ino ino, ExtentRecordsRef records) {
  EditedInode* edited = find(ino);
  CHECK(edited != nullptr);
  edited->now->many_records = records == nullptr;
  edited->now->records = std::move(records);
}

void Change::erase(Ino ino, const InodeRef& ref) {
  edit(ino, ref);
  find(ino)->erased = true;
}

InodeRef Change::result(Ino ino) const {
  for (const EditedInode& edited : inodes_) {
    if (edited.ino == ino) return edited.now;
  }
  CHECK(false && "not part of this change");
  return nullptr;
}

void Change::insert_entry(Ino parent, std::string_view name, const format::Entry& entry) {
  batch_.insert(format::entry_key(parent, name), format::encode_entry(entry));
  entries_.push_back({parent, std::string(name), {entry.ino, entry.type, stamp()}});
}

void Change::update_entry(Ino parent, std::string_view name, const format::Entry& entry,
                          Stamp expected) {
  batch_.update(format::entry_key(parent, name), format::encode_entry(entry), expected);
  entries_.push_back({parent, std::string(name), {entry.ino, entry.type, stamp()}});
}

void Change::erase_entry(Ino parent, std::string_view name, Stamp expected) {
  batch_.erase(format::entry_key(parent, name), expected);
  entries_.push_back({parent, std::string(name), {}});
}

void Change::orphan(SessionId session, Ino ino) {
  batch_.insert(format::open_unlinked_key(session, ino), format::encode_open_unlinked());
  orphans_.emplace_back(ino, session);
}

void Change::reclaim(Ino ino) {
  batch_.insert(format::reclaim_key(stamp(), ino), format::encode_reclaim({}));
  reclaims_ = true;
}

void Change::live(const SegmentId& segment, int64_t delta) {
  for (auto& [id, sum] : live_) {
    if (id == segment) {
      sum += delta;
      return;
    }
  }
  live_.emplace_back(segment, delta);
}

void Change::put_once(std::string key, std::string value) {
  if (std::find(put_keys_.begin(), put_keys_.end(), key) != put_keys_.end()) return;
  put_keys_.push_back(key);
  batch_.put(std::move(key), std::move(value));
}

}  // namespace shoal::meta
