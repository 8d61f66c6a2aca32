// A bounded number of connections, lent one at a time, first come first served. Thread-safe.
// Private to this folder.
#pragma once

#include <memory>
#include <vector>

#include "engine/postgres/connector.h"

namespace shoal::engine::postgres {

class Pool {
 public:
  // `connector` outlives it.
  Pool(Connector& connector, Purpose purpose, size_t connections_max)
      : connector_(connector), purpose_(purpose), connections_max_(connections_max) {}
  // Nothing may be lent out.
  ~Pool();

  // The right to a connection, which may break and be made anew meanwhile. Goes back by itself; a
  // dead connection is thrown away.
  class Lease {
   public:
    explicit Lease(Pool& pool) : pool_(&pool) {}
    Lease(Lease&& other) noexcept
        : pool_(std::exchange(other.pool_, nullptr)), connection_(std::move(other.connection_)) {}
    Lease& operator=(Lease&&) = delete;
    ~Lease();

    // Alive as far as the socket tells, and called by the epoch's name; connects if need be. The
    // Error is the server's, and nothing was sent to it that writes.
    Result<Connection*> ready();
    // The one that ready() returned, as it is. REQUIRES no discard() since.
    Connection& connection() { return *connection_; }
    // After a doubt: the next ready() makes a new one.
    void discard() { connection_.reset(); }

   private:
    friend class Pool;
    Pool* pool_;
    std::unique_ptr<Connection> connection_;
  };

  // Blocks while all are lent.
  Lease take();
  // How many callers wait in take().
  size_t waiting() const;

 private:
  void give_back(std::unique_ptr<Connection> connection);

  Connector& connector_;
  const Purpose purpose_;
  const size_t connections_max_;
  mutable Mutex mutex_;
  CondVar returned_;
  uint64_t came_ GUARDED_BY(mutex_) = 0;    // callers so far
  uint64_t served_ GUARDED_BY(mutex_) = 0;  // … that got one
  size_t lent_ GUARDED_BY(mutex_) = 0;
  std::vector<std::unique_ptr<Connection>> idle_ GUARDED_BY(mutex_);
};

}  // namespace shoal::engine::postgres
