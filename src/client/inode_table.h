// InodeState: what this mount knows of one inode beyond the owner: its uncommitted list, overlay,
// cached extents. InodeTable: all of them, sharded; an InodeRef keeps one.
//
// A state lives while somebody holds a reference: its open handles, the dirty list (while
// operations are uncommitted) and calls under way. What must outlive it (the store's last sequence
// of the inode until the engine is synced, an error nobody has heard of) is folded into a small
// record and unfolded when the state is made again.
//
// Lock order: inode latch → table shard. No I/O and no call to a seam under either.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "client/extent_cache.h"
#include "client/operation.h"
#include "client/overlay.h"
#include "meta/types.h"
#include "sys/mutex.h"

namespace shoal::client {

struct InodeState {
  InodeState(Ino number, std::atomic<int64_t>& extent_budget)
      : ino(number), extents(extent_budget) {}

  const Ino ino;
  Mutex latch;
  CondVar turn_over;  // journaling or committing ended

  // Filled from the owner's answer once, then kept current by this mount's own commits.
  bool known GUARDED_BY(latch) = false;
  Ino parent GUARDED_BY(latch) = 0;
  uint64_t generation GUARDED_BY(latch) = 0;
  Stamp base_version GUARDED_BY(latch) =
      0;  // the committed data version, and size and bytes at that version
  uint64_t base_size GUARDED_BY(latch) = 0;
  uint64_t base_allocated GUARDED_BY(latch) = 0;
  uint64_t commits GUARDED_BY(latch) =
      0;  // counts changes of the base: a fetch across one is thrown away
  ExtentCache extents GUARDED_BY(latch);
  bool privileges_possible GUARDED_BY(latch) = true;  // SUID, SGID or capability may be set
  uint32_t handles GUARDED_BY(latch) = 0;
  bool several GUARDED_BY(latch) = false;  // mounts write it: each write is committed at once
  bool unlinked GUARDED_BY(latch) =
      false;  // this mount saw its last name go (it may be open, or in the trash)

  // The list and what it makes of the file. size is right always (when `known`), times only while
  // the list is not empty.
  OperationList list GUARDED_BY(latch);
  Overlay overlay GUARDED_BY(latch);
  uint64_t size GUARDED_BY(latch) = 0;
  Time mtime GUARDED_BY(latch);
  Time ctime GUARDED_BY(latch);
  std::optional<Time> atime GUARDED_BY(latch);
  std::optional<uint64_t> allocated GUARDED_BY(latch);  // cached; none: to be computed again

  uint64_t next_to_journal GUARDED_BY(latch) = 1;   // operation ids: below are journaled
  uint64_t next_not_durable GUARDED_BY(latch) = 1;  // below are durable
  uint64_t buffered_bytes GUARDED_BY(latch) = 0;    // of operations not journaled
  uint64_t last_sequence GUARDED_BY(latch) =
      0;  // of this store's last record of the inode; 0: none known
  uint64_t durable_sequence GUARDED_BY(latch) = 0;  // … of its last durable one
  Stamp committed_stamp GUARDED_BY(latch) = 0;      // of the last commit of ours
  Stamp record_base GUARDED_BY(latch) = 0;  // what new records of the list name as their base: the
                                            // version below its first, or our last commit's
  bool journaling GUARDED_BY(latch) = false;  // turns: one thread each at a time
  bool committing GUARDED_BY(latch) = false;
  bool dirty GUARDED_BY(latch) = false;  // the dirty list holds a reference

  // errseq: every open file hears of each error once.
  uint64_t errors GUARDED_BY(latch) = 0;
  int error_code GUARDED_BY(latch) = 0;
  bool error_heard GUARDED_BY(latch) = true;

  // The base is another than the list was laid over: lays it anew.
  void rebase() REQUIRES(latch);

  // Used by InodeTable under its shard's mutex.
  uint64_t references = 0;
};

class InodeTable;

// Moves only. Null or valid.
class InodeRef {
 public:
  InodeRef() = default;
  InodeRef(InodeRef&& other) noexcept : table_(other.table_), state_(other.state_) {
    other.state_ = nullptr;
  }
  InodeRef& operator=(InodeRef&& other) noexcept;
  ~InodeRef() { reset(); }
  void reset();
  explicit operator bool() const { return state_ != nullptr; }
  InodeState& operator*() const { return *state_; }
  InodeState* operator->() const { return state_; }

 private:
  friend class InodeTable;
  InodeRef(InodeTable* table, InodeState* state) : table_(table), state_(state) {}
  InodeTable* table_ = nullptr;
  InodeState* state_ = nullptr;
};

class InodeTable {
 public:
  ~InodeTable();
  InodeRef acquire(Ino ino);                // makes it when there is none
  InodeRef find(Ino ino);                   // null when there is none
  InodeRef again(const InodeState& state);  // another reference to a state somebody holds

  // The dirty list: inodes whose list is not empty. Call these two with the inode's latch held;
  // destroy what remove_dirty returns after releasing it.
  void add_dirty(const InodeState& state);
  InodeRef remove_dirty(const InodeState& state);
  std::vector<InodeRef> dirty();  // further references to all of them

  // The engine has everything up to `stamp` on stable storage: sequences committed by then need no
  // remembering.
  void forget_sequences(Stamp stamp);
  size_t remembered() const;

 private:
  friend class InodeRef;
  static constexpr size_t kShards = 64;
  struct Remembered {
    uint64_t last_sequence = 0;
    Stamp committed_stamp = 0;
    uint64_t errors = 0;
    int error_code = 0;  // 0: everybody concerned heard
  };
  struct alignas(64) Shard {
    mutable Mutex mutex;
    std::unordered_map<Ino, std::unique_ptr<InodeState>> states GUARDED_BY(mutex);
    std::unordered_map<Ino, Remembered> remembered GUARDED_BY(mutex);
    std::unordered_map<Ino, InodeRef> dirty GUARDED_BY(mutex);
  };
  Shard& shard(Ino ino) { return shards_[(ino * 0x9e3779b97f4a7c15ull) >> 58]; }
  void release(InodeState* state);
  static void fold(InodeState& state, Shard& shard) REQUIRES(shard.mutex);
  static void unfold(InodeState& state, Shard& shard) REQUIRES(shard.mutex);

  std::atomic<int64_t> cached_extents_ = 0;
  std::array<Shard, kShards> shards_;
};

}  // namespace shoal::client
