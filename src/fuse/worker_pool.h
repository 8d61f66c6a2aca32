// WorkerPool: leader and followers. The thread that reads a request serves it, for handing it to
// another costs a wake-up. Before a thread does what may block it calls ensure_reader(), so that
// somebody waits on the transport at all times. Threads are made on demand up to threads_max and
// parked when enough others wait.
//
// A request that blocks although nobody thought it could is noticed by join(), which looks every
// kStallCheck whether anybody reads.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "fuse/transport.h"
#include "sys/mutex.h"
#include "sys/thread.h"

namespace shoal::fuse {

struct WorkerOptions {
  int waiting_min =
      2;  // readers at the start; more than one so that two programs are served on two cores
  int waiting_max = 4;  // readers beyond this park: more of them only steal each other's wake-ups
  int threads_max = 64;
  size_t buffer_bytes =
      (1 << 20) + (64 << 10);  // the largest request, and a reply to a small one, see Buffer
};

class WorkerPool {
 public:
  // Serves the request in buffer[0, request_bytes). The rest of the buffer is free.
  using Serve = std::function<void(MutableBytes buffer, size_t request_bytes)>;

  // `transport` outlives it.
  WorkerPool(Transport& transport, Serve serve, const WorkerOptions& options);
  ~WorkerPool();  // the transport must be closed or closing

  void start();
  // By a serving thread, before it may block. Cheap when somebody waits already.
  void ensure_reader();
  // Returns when the transport said that no request will come, all are served and all threads
  // joined. The error is the transport's: ENODEV after an unmount.
  Error join();
  // What join() does every kStallCheck: makes a reader when there was none and nothing was served
  // since the last call.
  void check_stall();

  int threads() const;
  static constexpr std::chrono::milliseconds kStallCheck{50};

 private:
  void work();
  bool park();  // false: stop
  void spawn() REQUIRES(mutex_);

  Transport& transport_;
  const Serve serve_;
  const WorkerOptions options_;
  std::atomic<int> waiting_{0};  // in read()
  std::atomic<uint64_t> served_{0};
  mutable Mutex mutex_;
  CondVar changed_;
  int starting_ GUARDED_BY(mutex_) = 0;  // made or woken, not yet in read()
  int parked_ GUARDED_BY(mutex_) = 0;
  int wanted_ GUARDED_BY(mutex_) = 0;  // parked ones that shall wake
  int running_ GUARDED_BY(mutex_) = 0;
  uint64_t served_at_check_ GUARDED_BY(mutex_) = 0;
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::optional<Error> end_ GUARDED_BY(mutex_);
  std::vector<Thread> threads_ GUARDED_BY(mutex_);
};

}  // namespace shoal::fuse
