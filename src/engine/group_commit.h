// GroupCommit: an engine whose commits cost a round trip each, as one that takes them at once
// (design §5.3). What is committed here is seen by every read through it right away and is durable
// when sync() says so, as on RocksDB. Underneath one group of batches is on its way at a time; the
// batches that arrive meanwhile form the next one.
//
// For an owner: nobody else writes to `under`. Expectations of a batch are compared with what is
// not yet underneath; those of other keys when its group gets there. Such a conflict, which an
// owner never causes, breaks the engine: what was accepted since the last group is given up, every
// later call answers EIO, and the owner has to open the volume anew.
//
// Group n holds `insert N n`. When its outcome is unknown the same group is sent again, until it is
// told or that key is there: then it had happened. While `under` fails, it is sent again and again,
// reads go on, and writers wait once kGroupsMax groups are waiting.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "engine/engine.h"
#include "sys/executor.h"

namespace shoal::engine {

struct GroupOptions {
  std::function<std::string(uint64_t n)> key_of;  // N n; ascending, no batch writes such keys
  uint64_t next = 1;                              // the first n; above all that are there
};

class GroupCommit : public KvEngine {
 public:
  // Calls `done` once, on any thread or before it returns: when everything that was committed here
  // before is durable, or the engine broke (EIO).
  virtual void when_durable(std::function<void(Status)> done) = 0;
  // Gives up what is not underneath; every later call answers EIO. For an owner whose term ends.
  virtual void stop(const std::string& why) = 0;
  // A conflict or stop() ended it: the owner has to open the volume anew.
  virtual bool broken() const = 0;
  // Why the last group did not get there yet; "" when all is well.
  virtual std::string trouble() const = 0;
};

// Batches of ≤ kGroupBatchBytesMax only (E2BIG): the group's own records need room. The destructor
// gives up what is not durable.
inline constexpr size_t kGroupBatchBytesMax = kBatchBytesMax - (64 << 10);
inline constexpr size_t kGroupsMax = 4;

// `executor` sends the groups: one of its threads must never wait for a commit here.
std::unique_ptr<GroupCommit> make_group_commit(KvEngine& under, Executor& executor,
                                               GroupOptions options);

}  // namespace shoal::engine
