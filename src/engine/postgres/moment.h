// What a read token stands on: a REPEATABLE READ transaction on a connection of its own, because
// only the server knows what it means to see one state. It lives as long as its token, also when
// its transaction has ended. Thread-safe: one statement at a time, others wait. Private to this
// folder.
#pragma once

#include <chrono>
#include <optional>

#include "engine/postgres/pool.h"
#include "engine/postgres/statements.h"

namespace shoal::engine::postgres {

class Moment {
 public:
  Moment(const Target& target, std::chrono::nanoseconds begun) : target_(target), begun_(begun) {}
  ~Moment() { end(); }

  // Waits for a connection and begins the transaction; execute() tells what failed.
  void begin(Pool& pool);
  // ESTALE when the transaction has ended.
  Result<Rows> execute(const Statement& statement);
  // Waits for a statement under way. Idempotent.
  void end();

  std::chrono::nanoseconds begun() const { return begun_; }

 private:
  // No lock is held while the server works; whoever has the turn has what is below.
  class Turn {
   public:
    explicit Turn(Moment& moment);
    ~Turn();
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    Moment& moment_;
  };

  const Target& target_;
  const std::chrono::nanoseconds begun_;
  Mutex mutex_;
  CondVar free_;
  bool busy_ GUARDED_BY(mutex_) = false;

  std::optional<Pool::Lease> lease_;  // the open transaction's
  std::optional<Error> failure_;      // of begin()
  bool ended_ = false;
};

}  // namespace shoal::engine::postgres
