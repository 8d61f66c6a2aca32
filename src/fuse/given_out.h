// GivenOut: how long the kernel may believe an answer, and what it was told for long.
//
// While nobody else can change the volume, answers live as long as the mount says (an hour). Once
// it is shared they live for a second, and what was given out before has to leave the kernel's
// caches: so it is remembered here, nodes until their FORGET and names until their directory's.
// Bounded: what does not fit is answered with short times. A kernel that forgets all names at once
// (INC_EPOCH, since Linux 6.16) spares us the names.
//
// Thread-safe.
#pragma once

#include <array>
#include <atomic>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "client/client.h"
#include "fuse/attributes.h"
#include "sys/mutex.h"

namespace shoal::fuse {

class GivenOut {
 public:
  static constexpr size_t kNodesMax = 1 << 20;
  static constexpr size_t kNamesMax = 1 << 18;

  // `client` outlives it.
  GivenOut(const client::Client& client, const CacheTimes& alone, const CacheTimes& shared)
      : client_(client), alone_(alone), shared_(shared) {}

  // One reply, from before it is encoded until it is written: take() waits for those that may carry
  // long times.
  class Answer {
   public:
    explicit Answer(GivenOut& out) : out_(out), long_(out.begin()) {}
    ~Answer() {
      if (long_) out_.end();
    }
    Answer(const Answer&) = delete;
    Answer& operator=(const Answer&) = delete;
    // The name `name` (empty: none that the kernel asked by) of `directory` is this node: one more
    // lookup of it.
    CacheTimes entry(uint64_t directory, std::string_view name, uint64_t node) const;
    // There is no such name.
    CacheTimes negative(uint64_t directory, std::string_view name) const;
    CacheTimes attributes(uint64_t node) const;
    // The kernel gives what it knows this name by itself. False: it does not fit and has to go.
    bool renamed(uint64_t directory, std::string_view name) const;

   private:
    GivenOut& out_;
    const bool long_;
  };

  // The kernel took the name from its caches by itself, as its request succeeded. (While it is
  // served the kernel lets nobody look the name up.)
  void removed(uint64_t directory, std::string_view name);
  void forgotten(uint64_t node, uint64_t lookups);
  // The kernel takes INC_EPOCH: names need no remembering.
  void spare_names() { names_spared_ = true; }
  bool names_spared() const { return names_spared_; }

  struct Taken {
    std::vector<uint64_t> nodes;
    std::vector<std::pair<uint64_t, std::string>> names;
  };
  // All of it, when the volume is shared: afterwards nothing is given out for long any more.
  Taken take();

 private:
  struct alignas(64) Shard {
    Mutex mutex;
    std::unordered_map<uint64_t, uint64_t> lookups GUARDED_BY(mutex);  // by node
    std::unordered_map<uint64_t, std::unordered_set<std::string>> names
        GUARDED_BY(mutex);  // by directory
  };
  bool begin();
  void end();
  bool keep_node(uint64_t node);
  bool knows_node(uint64_t node);
  bool keep_name(uint64_t directory, std::string_view name);
  Shard& shard(uint64_t node) { return shards_[node % shards_.size()]; }

  const client::Client& client_;
  const CacheTimes alone_, shared_;
  std::atomic<bool> names_spared_ = false;
  std::atomic<uint64_t> running_ = 0;  // answers that may carry long times
  std::atomic<size_t> nodes_ = 0, names_ = 0;
  std::array<Shard, 64> shards_;
  Mutex mutex_;
  CondVar none_running_;
};

}  // namespace shoal::fuse
