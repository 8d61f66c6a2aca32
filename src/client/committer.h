// Committer: takes operations from the inodes' lists to the journal, to stable storage and to the
// owner, in list order per inode (design §6.2), whoever asks: a full buffer, close, fsync, rename,
// or the timer.
//
// Journaling and committing an inode are two separate turns, each held by one thread at a time: a
// writer that waits for room in staging must not stop the commits that make room. Nothing here
// holds a latch over a call to a seam. Thread-safe.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "client/changes.h"
#include "client/client.h"
#include "client/inode_table.h"
#include "client/seen_versions.h"
#include "client/space_pool.h"

namespace shoal::client {

class Committer {
 public:
  static constexpr uint64_t kOperationsSoft =
      1 << 16;  // uncommitted in the mount: beyond, commit sooner
  static constexpr uint64_t kOperationsMax = 1 << 18;  // beyond, writers wait

  Committer(const Client::Seams& seams, const std::atomic<SessionId>& session,
            const ClientOptions& options, InodeTable& table, SpacePool& space, SeenVersions& seen);
  ~Committer();
  // Others changed an inode that this mount has open, and a commit was told so: what the kernel has
  // of it is old. Runs under no lock. Before the first call.
  void when_others_changed(std::function<void(Ino)> body) { others_changed_ = std::move(body); }
  void stop();  // no task of it is running or will run on the executor afterwards; idempotent

  // Room for `bytes` more of buffers; waits until journals are durable. They are given back when
  // the operation that took them is durable or dropped, or by release_room.
  Status take_room(uint64_t bytes);
  void release_room(uint64_t bytes) { held_bytes_ -= bytes; }
  // An operation was added to the inode's list. With its latch held.
  void added(InodeState& inode) REQUIRES(inode.latch);

  // Each covers the operations in the list when it is called. EINTR when given up
  // (sys/on_behalf.h): nothing is lost, it is done later.
  Status journal(InodeState& inode);
  Status journal_full(InodeState& inode);  // … but the last one while more may be merged into it
  Status make_durable(
      InodeState& inode);  // … journal, then one shared fdatasync; journals anew when that failed
  Status commit(InodeState& inode);  // … make durable, then the owner has them

  // The same for every inode. Callers share the work. What failed is tried again by the next call.
  Status commit_everything();
  void commit_soon();  // … on the executor

  void forget_everything();  // drops every list without a word to anybody: what is journaled is the
                             // next start's

  // The inode is gone (no name, no handle): its list ends.
  void drop(InodeState& inode);

  // Every open file of the inode hears of it once (errseq); those opened later too if nobody has by
  // then.
  void fail(InodeState& inode, const Error& error);

  // Everything committed before is durable in the engine, and staging knows. A failure ends the
  // process: nobody could say any more which of the acknowledged operations exist.
  void sync_engine();

  const Changes& changes() const { return changes_; }
  uint64_t operations() const { return operations_.load(); }
  uint64_t held_bytes() const { return held_bytes_.load(); }

 private:
  struct Slice {
    InodeRef inode;
    size_t count = 0;
  };
  struct Batch {
    std::vector<meta::DataRecord> records;
    std::vector<Slice> slices;
  };
  // Lets callers who want the same thing done share one run that began after they asked.
  struct Shared {
    Mutex mutex;
    CondVar finished_one;
    uint64_t started GUARDED_BY(mutex) = 0;
    uint64_t finished GUARDED_BY(mutex) = 0;
    bool running GUARDED_BY(mutex) = false;
    int code GUARDED_BY(mutex) = 0;  // errno of the last run
  };
  struct Background;  // what tasks on the executor hold instead of `this`

  Status run_shared(Shared& shared, Status (Committer::*run)());
  Status journal_all();
  Status commit_all();
  Status sync_all(const std::vector<InodeRef>& inodes);
  Status journal_to(InodeState& inode, uint64_t target) REQUIRES(inode.latch);
  Status journal_turn(InodeState& inode, uint64_t target) REQUIRES(inode.latch);
  // True when operations up to `target` are durable; drops the bytes of those that became so.
  bool note_durable(InodeState& inode, uint64_t target);
  // After a failed sync: takes what the failed journal lost, of whatever inode, and what follows it
  // in the same list, back to buffered, to be journaled anew. Until then no sync can succeed.
  void take_back_lost();
  void take_back_lost(InodeState& inode, const std::vector<uint64_t>& lost);
  bool collect(InodeState& inode, Batch& batch, uint64_t target) REQUIRES(inode.latch);
  Status send(Batch batch);
  void apply(Slice& slice, const meta::DataOutcome* outcomes, const meta::InodeCommit* commit);
  void leave_dirty(InodeState& inode);

  const Client::Seams seams_;
  const std::atomic<SessionId>& session_;
  const uint64_t buffer_bytes_max_;
  const std::function<void()> end_process_;
  std::function<void(Ino)> others_changed_ = [](Ino) {};
  InodeTable& table_;
  SpacePool& space_;
  SeenVersions& seen_;
  Changes changes_;
  std::atomic<uint64_t> operations_ = 0;
  std::atomic<uint64_t> held_bytes_ = 0;
  Mutex taking_back_;  // one thread at a time; before latches
  Shared journaling_;
  Shared committing_;
  std::atomic<bool> journal_running_ = false;
  std::shared_ptr<Background>
      background_;  // shared with tasks that may outlive this object by one wake-up
  std::vector<std::unique_ptr<Periodic>> timers_;
};

}  // namespace shoal::client
