// OpenTable: which sessions hold an inode open, and which of those holds an `O` record keeps alive
// (its last name is gone). Memory only; what the engine keeps of it are the `O` records.
//
// Thread-safe. An inode's set of holders is stable under its latch: open takes it shared, unlink
// exclusive; release takes none and can only make a count fall.
#pragma once

#include <array>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "base/ids.h"
#include "sys/mutex.h"

namespace shoal::meta {

class OpenTable {
 public:
  struct Holder {
    SessionId session = 0;
    uint64_t count = 0;   // opens not yet released
    uint64_t writes = 0;  // … of those for writing
    Stamp orphan = 0;     // stamp of this session's `O` record; 0: there is none
  };

  void add(Ino ino, SessionId session, bool write);
  // One release. True when it was the session's last one and an `O` record waits for orphan_done().
  // A release that nothing balances is ignored.
  bool drop(Ino ino, SessionId session, bool write);
  std::vector<Holder> holders(Ino ino) const;
  bool is_open(Ino ino) const;
  // The sessions that have it open for writing.
  std::vector<SessionId> writers(Ino ino) const;
  // Notes that `O session ino` was committed with `stamp` (0: it was erased). False when the
  // session released the inode meanwhile.
  bool set_orphan(Ino ino, SessionId session, Stamp stamp);
  // O_TMPFILE: link() may give it a name though it has none; its first one.
  void set_linkable(Ino ino, bool linkable);
  bool linkable(Ino ino) const;
  // Forgets a holder whose count is 0.
  void orphan_done(Ino ino, SessionId session);
  // Every inode the session holds open, for its end.
  std::vector<Ino> of_session(SessionId session) const;
  // Sets the session's count to 0; true when an `O` record waits for orphan_done().
  bool drop_all(Ino ino, SessionId session);

 private:
  struct Open {
    std::vector<Holder> holders;  // one on an embedded volume
    bool linkable = false;
  };
  struct alignas(64) Shard {
    mutable Mutex mutex;
    std::unordered_map<Ino, Open> opens GUARDED_BY(mutex);
  };
  Shard& shard(Ino ino) { return shards_[ino % shards_.size()]; }
  const Shard& shard(Ino ino) const { return shards_[ino % shards_.size()]; }
  static bool drop_count(Shard& shard, Ino ino, SessionId session, uint64_t opens, uint64_t writes)
      REQUIRES(shard.mutex);

  std::array<Shard, 64> shards_;
};

}  // namespace shoal::meta
