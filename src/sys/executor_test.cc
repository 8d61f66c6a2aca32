#include "sys/executor.h"

#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>
#include <vector>

#include "sys/mutex.h"

namespace shoal {
namespace {

using namespace std::chrono_literals;

// Opens once; wait() returns then.
class Gate {
 public:
  void open() {
    MutexLock lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void wait() {
    MutexLock lock(mutex_);
    while (!open_) changed_.wait(mutex_);
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  bool open_ GUARDED_BY(mutex_) = false;
};

TEST(ThreadPool, every_task_runs_once_before_the_pool_is_gone) {
  std::atomic<int> ran = 0;
  {
    ThreadPool pool("t", 4);
    for (int i = 0; i < 1000; ++i) pool.post([&] { ++ran; });
  }
  EXPECT_EQ(ran, 1000);
}

TEST(ThreadPool, one_thread_keeps_the_order_of_posts) {
  std::vector<int> order;
  {
    ThreadPool pool("t", 1);
    for (int i = 0; i < 100; ++i) pool.post([&, i] { order.push_back(i); });
  }
  std::vector<int> expected(100);
  for (int i = 0; i < 100; ++i) expected[static_cast<size_t>(i)] = i;
  EXPECT_EQ(order, expected);
}

TEST(ThreadPool, a_blocked_task_does_not_hold_up_others_while_the_pool_may_grow) {
  Gate last_ran;
  ThreadPool pool("t", 4);
  for (int i = 0; i < 3; ++i) pool.post([&] { last_ran.wait(); });
  pool.post([&] { last_ran.open(); });
  last_ran.wait();
}

TEST(ThreadPool, tasks_posted_to_an_idle_pool_at_once_all_get_a_thread) {
  ThreadPool pool("t", 3);
  for (int round = 0; round < 200; ++round) {
    Gate all_in;
    std::atomic<int> in = 0;
    std::atomic<int> out = 0;
    Gate all_out;
    for (int i = 0; i < 3; ++i) {
      pool.post([&] {
        if (++in == 3) all_in.open();
        all_in.wait();  // returns only when three tasks run at once
        if (++out == 3) all_out.open();
      });
    }
    all_out.wait();
  }
}

TEST(ThreadPool, never_more_threads_than_its_bound) {
  Mutex mutex;
  std::set<std::thread::id> seen;
  {
    ThreadPool pool("t", 2);
    for (int i = 0; i < 500; ++i) {
      pool.post([&] {
        MutexLock lock(mutex);
        seen.insert(std::this_thread::get_id());
      });
    }
  }
  EXPECT_LE(seen.size(), 2u);
}

TEST(ThreadPool, a_delayed_task_runs_not_before_its_delay) {
  const auto start = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point ran;
  Gate done;
  ThreadPool pool("t", 1);
  pool.post_after(20ms, [&] {
    ran = std::chrono::steady_clock::now();
    done.open();
  });
  done.wait();
  EXPECT_GE(ran - start, 20ms);
}

TEST(ThreadPool, a_shorter_delay_posted_later_overtakes) {
  Gate done;
  ThreadPool pool("t", 1);
  pool.post_after(1h, [] { FAIL() << "an hour has not passed"; });
  pool.post_after(1ms, [&] { done.open(); });
  done.wait();
}

TEST(ThreadPool, a_delayed_task_runs_while_another_task_blocks) {
  Gate delayed_ran;
  ThreadPool pool("t", 2);
  pool.post_after(1ms, [&] { delayed_ran.open(); });
  pool.post([&] { delayed_ran.wait(); });  // takes the only thread so far, the timekeeper
  delayed_ran.wait();
}

TEST(ThreadPool, stop_drops_what_is_delayed_and_what_comes_later_but_runs_what_is_queued) {
  std::atomic<int> queued = 0;
  std::atomic<bool> wrong = false;
  auto held = std::make_shared<int>(0);
  ThreadPool pool("t", 1);
  Gate go;
  pool.post([&] { go.wait(); });
  for (int i = 0; i < 10; ++i) pool.post([&] { ++queued; });
  pool.post_after(1h, [&, held] { wrong = true; });
  go.open();
  pool.stop();
  pool.stop();
  EXPECT_EQ(queued, 10);
  EXPECT_EQ(held.use_count(), 1);  // the delayed task is gone, not only late
  pool.post([&] { wrong = true; });
  pool.post_after(0ms, [&] { wrong = true; });
  EXPECT_FALSE(wrong);
}

TEST(ThreadPool, an_endless_delay_does_not_wrap_into_the_past) {
  std::atomic<bool> ran = false;
  Gate other;
  ThreadPool pool("t", 1);
  pool.post_after(std::chrono::nanoseconds::max(), [&] { ran = true; });
  pool.post_after(1ms, [&] { other.open(); });
  other.wait();
  pool.stop();
  EXPECT_FALSE(ran);
}

TEST(Periodic, calls_again_and_again_until_destroyed) {
  std::atomic<int> calls = 0;
  Gate third;
  ThreadPool pool("t", 1);
  {
    const Periodic periodic(pool, 1ms, [&] {
      if (++calls == 3) third.open();
    });
    third.wait();
  }
  const int then = calls;
  pool.stop();
  EXPECT_EQ(calls, then);
}

TEST(Periodic, its_destructor_waits_for_the_call_under_way) {
  Gate started;
  Gate go_on;
  std::atomic<bool> finished = false;
  ThreadPool pool("t", 2);
  {
    const Periodic periodic(pool, 1ms, [&] {
      if (finished) return;
      started.open();
      go_on.wait();
      finished = true;
    });
    started.wait();
    pool.post([&] { go_on.open(); });
  }
  EXPECT_TRUE(finished);
}

}  // namespace
}  // namespace shoal
