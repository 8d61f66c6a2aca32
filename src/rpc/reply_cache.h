// Exactly once (I7), the executing side: what was answered to the last request of each slot of one
// session. A client repeats a request whose outcome it does not know with the same identity; it
// sends the next sequence of a slot only after it has the answer to the one before, which is how
// that answer is acknowledged and may go.
//
//   TRY_ASSIGN(auto begun, cache.begin(id.slot, id.sequence, [call](const KeptReply& r) { … }));
//   if (begun.kind == kNew) …execute; for (auto& tell : cache.finish(slot, sequence, reply))
//   tell(reply); if (begun.kind == kDone) …answer begun.reply…
//
// Pure: no I/O, no threads, no clock. Not thread-safe: its owner locks, and calls what finish()
// returns under no lock. Bounded: slots_max slots with one reply of at most kKeptReplyBytesMax
// each.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/error.h"

namespace shoal::rpc {

inline constexpr size_t kKeptReplyBytesMax = 1 << 20;
inline constexpr size_t kRetriesJoinedMax = 8;  // that wait for one execution

struct KeptReply {
  int code = 0;  // errno; 0: `body` is the answer, else its text
  std::string body;
  bool operator==(const KeptReply&) const = default;
};

class ReplyCache {
 public:
  using Tell = std::function<void(const KeptReply&)>;
  enum class Kind {
    kNew,      // execute it, then finish() or forget()
    kRunning,  // an earlier try is being executed: `tell` joins it
    kDone,     // executed before: `reply` is the answer
  };
  struct Begun {
    Kind kind = Kind::kNew;
    KeptReply reply;
  };

  explicit ReplyCache(uint32_t slots_max) : slots_max_(slots_max) {}

  // `tell` is kept for finish() when the answer is kNew or kRunning. EPROTO, without effect: a slot
  // ≥ slots_max, a sequence before the last one, after the next one, or the next one while the last
  // is still running. EAGAIN: kRetriesJoinedMax wait already.
  Result<Begun> begin(uint32_t slot, uint64_t sequence, Tell tell);
  // Keeps the reply of what runs in `slot`; returns who waits for it. REQUIRES that `sequence` runs
  // there and body ≤ kKeptReplyBytesMax.
  std::vector<Tell> finish(uint32_t slot, uint64_t sequence, KeptReply reply);
  // It was not executed after all and has had no effect: the same sequence may begin anew. Returns
  // who waits. REQUIRES that `sequence` runs there.
  std::vector<Tell> forget(uint32_t slot, uint64_t sequence);
  // What an earlier owner kept. REQUIRES slot < slots_max and nothing running there.
  void restore(uint32_t slot, uint64_t sequence, KeptReply reply);
  // What earlier owners answered was not all kept: the next sequence of each slot may be any later
  // one.
  void allow_gaps() { gaps_ = true; }

  size_t running() const { return running_; }
  uint64_t reply_bytes() const { return reply_bytes_; }

 private:
  struct Slot {
    uint64_t sequence = 0;  // the last one that began; 0: none
    bool running = false;
    bool kept = false;   // `reply` is that of `sequence`
    bool begun = false;  // here: no gap is allowed any more
    KeptReply reply;
    std::vector<Tell> waiting;
  };
  Slot& running_slot(uint32_t slot, uint64_t sequence);
  void keep(Slot& slot, KeptReply reply);

  const uint32_t slots_max_;
  bool gaps_ = false;
  std::unordered_map<uint32_t, Slot> slots_;
  size_t running_ = 0;
  uint64_t reply_bytes_ = 0;
};

}  // namespace shoal::rpc
