// Who waits how long for a connection; none is ever made here.
#include "engine/postgres/pool.h"

#include <gtest/gtest.h>

#include <optional>

#include "sim/fake_clock.h"
#include "sys/thread.h"

namespace shoal::engine::postgres {
namespace {

class PoolTest : public testing::Test {
 protected:
  const sim::FakeClock clock_;
  Connector connector_{parse_url("postgres://nowhere/d").value(), {}, clock_};
};

TEST_F(PoolTest, whoever_came_first_is_served_first_though_another_comes_again_and_again) {
  Pool pool(connector_, Purpose::kCommit, 1);
  std::optional<Pool::Lease> lease(pool.take());
  constexpr size_t kThreads = 6;
  Mutex mutex;
  std::vector<size_t> order;
  std::vector<Thread> threads;
  for (size_t i = 0; i < kThreads; ++i) {
    threads.emplace_back("waiting", [&, i] {
      const Pool::Lease mine = pool.take();
      MutexLock lock(mutex);
      order.push_back(i);
    });
    while (pool.waiting() <= i) std::this_thread::yield();
  }
  lease.reset();
  lease.emplace(pool.take());  // comes again, behind the others
  {
    MutexLock lock(mutex);
    EXPECT_EQ(order, (std::vector<size_t>{0, 1, 2, 3, 4, 5}));
  }
  lease.reset();
}

TEST_F(PoolTest, no_more_than_the_bound_are_lent_at_once) {
  Pool pool(connector_, Purpose::kRead, 3);
  std::atomic<int> lent = 0;
  std::atomic<int> most = 0;
  std::vector<Thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back("borrower", [&] {
      for (int n = 0; n < 200; ++n) {
        const Pool::Lease lease = pool.take();
        const int now = ++lent;
        for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
        }
        std::this_thread::yield();
        --lent;
      }
    });
  }
  threads.clear();
  EXPECT_LE(most, 3);
}

}  // namespace
}  // namespace shoal::engine::postgres
