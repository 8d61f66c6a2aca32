// SeenVersions: the data version this mount's kernel pages of an inode belong to, for
// FOPEN_KEEP_CACHE. A fixed-size direct-mapped table: what was pushed out is a page cache dropped
// once too often, never once too seldom. Thread-safe.
#pragma once

#include <array>
#include <memory>
#include <optional>

#include "base/ids.h"
#include "sys/mutex.h"

namespace shoal::client {

class SeenVersions {
 public:
  std::optional<Stamp> get(Ino ino) const {
    Shard& at = shard(ino);
    MutexLock lock(at.mutex);
    const Entry& entry = at.entries[slot(ino)];
    if (entry.ino != ino) return std::nullopt;
    return entry.version;
  }
  void set(Ino ino, Stamp version) {
    Shard& at = shard(ino);
    MutexLock lock(at.mutex);
    at.entries[slot(ino)] = {ino, version};
  }
  // This mount changed the data from version `before` to `after`: pages of `before` are as good as
  // `after`'s.
  void changed_by_us(Ino ino, Stamp before, Stamp after) {
    Shard& at = shard(ino);
    MutexLock lock(at.mutex);
    Entry& entry = at.entries[slot(ino)];
    if (entry.ino == ino && entry.version == before) entry.version = after;
  }

 private:
  static constexpr size_t kShards = 64, kSlots = 2048;
  struct Entry {
    Ino ino = 0;
    Stamp version = 0;
  };
  struct alignas(64) Shard {
    Mutex mutex;
    std::array<Entry, kSlots> entries GUARDED_BY(mutex);
  };
  static uint64_t mixed(Ino ino) { return ino * 0x9e3779b97f4a7c15ull; }
  Shard& shard(Ino ino) const { return (*shards_)[mixed(ino) >> 58]; }
  static size_t slot(Ino ino) { return (mixed(ino) >> 40) % kSlots; }

  const std::unique_ptr<std::array<Shard, kShards>> shards_ =
      std::make_unique<std::array<Shard, kShards>>();
};

}  // namespace shoal::client
