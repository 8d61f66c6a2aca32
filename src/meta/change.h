// Change: one engine batch being put together, and what it does to the owner's memory once it is
// committed.
//
// Folds what touches one key into one write (an engine refuses two). Everything is typed (insert,
// update@stamp, erase@stamp) by what the owner's caches say; counters are merged.
//
//   Change change = begin();
//   Inode& dir = change.edit(parent, parent_ref);
//   dir.entries += 1;
//   change.insert_entry(parent, name, entry);
//   TRY(commit(change));
//
// REQUIRES: latches of every inode it edits, exclusive, from before the read until after commit().
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/engine.h"
#include "format/inode.h"
#include "format/volume.h"
#include "meta/stamp_clock.h"

namespace shoal::meta {

struct ExtentRecords;
using ExtentRecordsRef = std::shared_ptr<const ExtentRecords>;

struct CachedInode {
  format::Inode inode;
  Stamp stamp = 0;  // of the I record
  // All E records of this version of the inode; nullptr: not known, ask the engine.
  ExtentRecordsRef records;
  bool many_records = false;  // they are too many to be kept here
};
// shared_ptr: readers keep the version they looked at while a writer puts the next one into the
// cache.
using InodeRef = std::shared_ptr<const CachedInode>;

struct CachedEntry {
  Ino ino = 0;  // 0: there is no such name
  uint8_t type = 0;
  Stamp stamp = 0;  // of the D record
  bool exists() const { return ino != 0; }
};

// Slots of `U 0 slot`. All bytes and inodes that have an I record, trash included; and of those
// what is in the trash.
enum UsageSlot : uint16_t {
  kUsedBytes = 0,
  kInodes = 1,
  kTrashBytes = 2,
  kTrashInodes = 3,
  kUsageSlots = 4
};

class Change {
 public:
  explicit Change(StampClock& clock) : clock_(clock), batch_(clock.begin()) {}
  ~Change();
  Change(const Change&) = delete;
  Change& operator=(const Change&) = delete;

  Stamp stamp() const { return batch_.stamp(); }

  // --- inodes ---
  // A copy to change, written by commit; the same object when called again. REQUIRES `ref` is the
  // current version. References stay valid until commit.
  format::Inode& edit(Ino ino, const InodeRef& ref);
  // A new one.
  format::Inode& create(Ino ino);
  // What the E records will be; nullptr: too many to be kept. REQUIRES edited or created.
  void set_records(Ino ino, ExtentRecordsRef records);
  // Drops I, whether edited before or not.
  void erase(Ino ino, const InodeRef& ref);
  // The version that commit() made current; for Attr. REQUIRES edited or created, committed.
  InodeRef result(Ino ino) const;

  // --- entries ---
  void insert_entry(Ino parent, std::string_view name, const format::Entry& entry);
  void update_entry(Ino parent, std::string_view name, const format::Entry& entry, Stamp expected);
  void erase_entry(Ino parent, std::string_view name, Stamp expected);

  // --- counters ---
  void usage(UsageSlot slot, int64_t delta) { usage_[slot] += delta; }
  void live(const SegmentId& segment, int64_t delta);  // W
  int64_t usage_delta(UsageSlot slot) const { return usage_[slot]; }

  // --- what commit() does beside ---
  // Inserts `O session ino` and notes it in the table of open files.
  void orphan(SessionId session, Ino ino);
  // Inserts `G` for the whole inode and starts the reclaimer.
  void reclaim(Ino ino);

  // Blind; the second put of one key is the first one's (bodies named by their hash).
  void put_once(std::string key, std::string value);

  // --- everything else: any key but I, D, U, W; at most one write each ---
  engine::Batch& batch() { return batch_; }
  // The stamp is no longer in flight. commit() says so itself.
  void done(bool committed);
  // Bytes so far, nearly: what to split by.
  size_t bytes() const { return batch_.bytes() + inodes_.size() * 160 + live_.size() * 48; }

 private:
  friend class Owner;
  struct EditedInode {
    Ino ino = 0;
    Stamp expected = 0;  // 0: insert
    bool erased = false;
    std::shared_ptr<CachedInode> now;  // becomes an InodeRef of the cache
  };
  struct EditedEntry {
    Ino parent = 0;
    std::string name;
    CachedEntry now;
  };
  EditedInode* find(Ino ino);

  StampClock& clock_;
  engine::Batch batch_;
  std::vector<EditedInode> inodes_;
  std::vector<EditedEntry> entries_;
  std::vector<std::pair<SegmentId, int64_t>> live_;
  std::array<int64_t, kUsageSlots> usage_{};
  std::vector<std::pair<Ino, SessionId>> orphans_;
  std::vector<std::string> put_keys_;
  bool reclaims_ = false;
  bool ended_ = false;  // the stamp is no longer in flight
};

}  // namespace shoal::meta
