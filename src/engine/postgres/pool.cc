#include "engine/postgres/pool.h"

namespace shoal::engine::postgres {

Pool::~Pool() {
  MutexLock lock(mutex_);
  CHECK(lent_ == 0);
}

Pool::Lease Pool::take() {
  MutexLock lock(mutex_);
  // One that comes again and again must not keep the others out.
  const uint64_t number = came_++;
  while (lent_ == connections_max_ || served_ != number) returned_.wait(mutex_);
  ++lent_;
  ++served_;
  returned_.notify_all();  // there may be one more for the next
  Lease lease(*this);
  if (!idle_.empty()) {
    lease.connection_ = std::move(idle_.back());
    idle_.pop_back();
  }
  return lease;
}

size_t Pool::waiting() const {
  MutexLock lock(mutex_);
  return came_ - served_;
}

void Pool::give_back(std::unique_ptr<Connection> connection) {
  MutexLock lock(mutex_);
  CHECK(lent_ > 0);
  --lent_;
  if (connection != nullptr) idle_.push_back(std::move(connection));
  returned_.notify_all();
}

Pool::Lease::~Lease() {
  if (pool_ == nullptr) return;
  if (connection_ != nullptr && !connection_->alive()) connection_.reset();
  pool_->give_back(std::move(connection_));
}

Result<Connection*> Pool::Lease::ready() {
  if (connection_ != nullptr && !connection_->alive()) connection_.reset();
  if (connection_ != nullptr && !pool_->connector_.call_by_name(*connection_).ok()) {
    connection_.reset();
  }
  if (connection_ == nullptr) {
    TRY_ASSIGN(connection_, pool_->connector_.connect(pool_->purpose_));
  }
  return connection_.get();
}

}  // namespace shoal::engine::postgres
