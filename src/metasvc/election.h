// Election: which of several meta servers owns a volume, by one record in the volume's engine
// (design §5.3). The owner writes it anew all the time; who sees it unchanged for a whole term, by
// its own clock, takes it by compare-and-commit.
//
// It decides who tries, not who may write: that is the epoch's business (I5).
#pragma once

#include <atomic>
#include <chrono>
#include <optional>
#include <string>

#include "engine/engine.h"
#include "format/election.h"
#include "sys/clock.h"
#include "sys/mutex.h"

namespace shoal::metasvc {

struct ElectionOptions {
  Uuid me;              // drawn at the server's start
  std::string address;  // where mounts find it
  std::chrono::milliseconds term{4'000};
};

class Election {
 public:
  // Both outlive it.
  Election(engine::KvEngine& engine, const Clock& clock, ElectionOptions options);

  // One look and at most one write. To be called several times a term, by one thread. Returns
  // whether this server is the owner; an error says that the engine did not tell.
  Result<bool> step();
  // Two thirds of the term have not passed since the last write that succeeded began: nobody else
  // can have taken the volume yet. Thread-safe.
  bool in_term() const;
  // Gives it up so that a successor need not wait. By the thread of step().
  void release();
  // What the record said last.
  const std::optional<format::Election>& seen() const { return seen_; }

 private:
  Result<bool> take(std::optional<Stamp> expected, uint64_t count, bool release);

  engine::KvEngine& engine_;
  const Clock& clock_;
  const ElectionOptions options_;
  bool owner_ = false;
  Stamp stamp_ = 0;  // of the record, while we are the owner
  std::optional<format::Election> seen_;
  std::chrono::nanoseconds seen_at_{0};  // when it changed last
  std::atomic<int64_t> valid_until_{0};  // boot time, nanoseconds
};

}  // namespace shoal::metasvc
