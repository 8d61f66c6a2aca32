// Commits batches, one at a time on one connection; callers queue. Thread-safe. Private to this
// folder.
#pragma once

#include <atomic>
#include <set>

#include "engine/engine.h"
#include "engine/postgres/pool.h"

namespace shoal::engine::postgres {

class Committer {
 public:
  // `connector` and `clock` outlive it.
  Committer(Connector& connector, const Clock& clock)
      : target_(connector.target()),
        repeat_for_(connector.options().lock_wait_max),
        clock_(clock),
        pool_(connector, Purpose::kCommit, 1) {}

  Result<CommitResult> commit(const Batch& batch);

  uint64_t repeated() const { return repeated_.load(std::memory_order_relaxed); }

 private:
  Result<CommitResult> try_to_commit(Pool::Lease& lease, const Batch& batch);
  Result<std::vector<std::string>> conflicts(Connection& connection, const Batch& batch);
  bool pass_barrier(Connection& connection);
  bool may_repeat(int attempt, std::chrono::nanoseconds since);
  Result<CommitResult> settle(Stamp stamp, Result<CommitResult> result);

  const Target& target_;
  const std::chrono::milliseconds repeat_for_;
  const Clock& clock_;
  Pool pool_;
  std::atomic<uint64_t> repeated_ = 0;

  Mutex pause_mutex_;
  CondVar pause_;  // nobody notifies it

  Mutex mutex_;
  // Batches that may or may not have happened, until they are sent again.
  std::set<Stamp> unknown_ GUARDED_BY(mutex_);
  // What is visible may not be on the synchronous standby: since a commit is unknown, and at first,
  // because of a process that was there before.
  bool in_doubt_ GUARDED_BY(mutex_) = true;
};

}  // namespace shoal::engine::postgres
