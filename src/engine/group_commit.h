// GroupCommit: an engine whose commits cost a round trip each, as one that takes them at once
// (design §5.3). What is committed here is seen by every read through it right away and is durable
// when sync() says so, as on RocksDB. Underneath one group of batches is on its way at a time; the
// batches that arrive meanwhile form the next one.
//
// For an owner: nobody else writes to `under`, or its fence tells. Expectations of a batch are
// compared with what is not yet underneath; those of other keys when its group gets there. Such a
// conflict, which an owner never causes, breaks the engine: what was accepted since the last group
// is given up, every later call answers EIO, and the owner has to open the volume anew.
//
// Group n holds `insert N n`. When its outcome is unknown the same group is sent again, until it is
// told or that key is there: then it had happened. While `under` fails, it is sent again and again,
// reads of what can be read go on, those of an engine that cannot be reached wait, and writers wait
// once kGroupsMax groups are waiting.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "engine/engine.h"
#include "sys/executor.h"

namespace shoal::engine {

struct GroupOptions {
  // N n; ascending, and nothing between N n and N n+1 but what begins with N n. No batch writes
  // such keys.
  std::function<std::string(uint64_t n)> key_of;
  uint64_t next = 1;  // the first n; above all that are there
  // Once a group has written this key, every later one checks that it is still as written: who
  // writes it afterwards fences us off. Empty: none.
  std::string fence;
  // What earlier owners left under N: group, number of notes, number of its keys.
  struct Kept {
    uint64_t n = 0;
    size_t notes = 0;
    uint32_t parts = 1;
  };
  std::vector<Kept> kept;
};
// Key of part `part` of the notes of group n, given key_of(n).
std::string part_key(const std::string& key, uint32_t part);

class GroupCommit : public KvEngine {
 public:
  // From begin to end, what this thread commits here belongs to one operation. Its note, what it
  // answers, goes with the last of that: a group does not go while an operation that has committed
  // to it is not over, unless that takes very long. Returns the number of the note's group, 0 when
  // nothing was committed, and then nothing is kept. Between the two sync() may be called; what was
  // committed before it may then be underneath without the note. REQUIRES note ≤ kNoteBytesMax, an
  // end for every begin on the same thread, one at a time.
  virtual void begin_operation() = 0;
  virtual uint64_t end_operation(std::string note) = 0;
  // One note of group n is not needed any more. When none is, N n goes.
  virtual void forget_note(uint64_t n) = 0;

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
