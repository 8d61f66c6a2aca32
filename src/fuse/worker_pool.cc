#include "fuse/worker_pool.h"

#include <sys/mman.h>

#include <optional>
#include <utility>

namespace shoal::fuse {
namespace {

// One thread's memory. Mapped, so that what was never touched costs nothing and a parked thread can
// give it back.
class Buffer {
 public:
  explicit Buffer(size_t size)
      : size_(size),
        memory_(::mmap(nullptr, size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)) {
    CHECK(memory_ != MAP_FAILED);
  }
  ~Buffer() { ::munmap(memory_, size_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  MutableBytes bytes() { return {static_cast<std::byte*>(memory_), size_}; }
  void give_back() { ::madvise(memory_, size_, MADV_DONTNEED); }

 private:
  size_t size_;
  void* memory_;
};

}  // namespace

WorkerPool::WorkerPool(Transport& transport, Serve serve, const WorkerOptions& options)
    : transport_(transport), serve_(std::move(serve)), options_(options) {}

WorkerPool::~WorkerPool() {
  bool started = false;
  {
    MutexLock lock(mutex_);
    started = !threads_.empty();
  }
  if (started) (void)join().code();
}

void WorkerPool::start() {
  MutexLock lock(mutex_);
  for (int i = 0; i < options_.waiting_min; ++i) spawn();
}

void WorkerPool::spawn() {
  ++starting_;
  ++running_;
  threads_.emplace_back("fuse-" + std::to_string(threads_.size()), [this] { work(); });
}

void WorkerPool::ensure_reader() {
  // A reader that has its request already but has not said so yet will ensure its own successor
  // before it blocks.
  if (waiting_.load(std::memory_order_acquire) > 0) return;
  MutexLock lock(mutex_);
  if (stopping_ || starting_ > 0 || waiting_.load(std::memory_order_acquire) > 0) return;
  if (parked_ > wanted_) {
    ++wanted_;
    ++starting_;
    changed_.notify_all();
  } else if (static_cast<int>(threads_.size()) < options_.threads_max) {
    spawn();
  }
}

void WorkerPool::work() {
  Buffer buffer(options_.buffer_bytes);
  bool starting = true;
  while (true) {
    waiting_.fetch_add(1, std::memory_order_acq_rel);
    if (starting) {
      MutexLock lock(mutex_);
      --starting_;
      starting = false;
    }
    Result<size_t> request = transport_.read(buffer.bytes());
    waiting_.fetch_sub(1, std::memory_order_acq_rel);
    if (!request.ok()) {
      MutexLock lock(mutex_);
      if (!end_.has_value()) end_ = request.error();
      stopping_ = true;
      --running_;
      changed_.notify_all();
      return;
    }
    serve_(buffer.bytes(), *request);
    served_.fetch_add(1, std::memory_order_relaxed);
    if (waiting_.load(std::memory_order_acquire) < options_.waiting_max) continue;
    buffer.give_back();
    if (!park()) return;
    starting = true;
  }
}

bool WorkerPool::park() {
  MutexLock lock(mutex_);
  ++parked_;
  while (wanted_ == 0 && !stopping_) changed_.wait(mutex_);
  --parked_;
  if (wanted_ > 0) {
    --wanted_;
    return true;  // counted in starting_ by who woke it; the next read() tells whether all is over
  }
  --running_;
  changed_.notify_all();
  return false;
}

void WorkerPool::check_stall() {
  {
    MutexLock lock(mutex_);
    const uint64_t served = served_.load(std::memory_order_relaxed);
    const bool stalled = served == served_at_check_;
    served_at_check_ = served;
    if (!stalled) return;
  }
  ensure_reader();
}

Error WorkerPool::join() {
  MutexLock lock(mutex_);
  while (running_ > 0) {
    if (stopping_) {
      changed_.wait(mutex_);
      continue;
    }
    if (changed_.wait_for(mutex_, kStallCheck)) continue;
    lock.unlock();
    check_stall();
    lock.lock();
  }
  std::vector<Thread> threads = std::exchange(threads_, {});
  lock.unlock();
  threads.clear();  // joins
  lock.lock();
  return end_.has_value() ? *end_ : Error(ENODEV);
}

int WorkerPool::threads() const {
  MutexLock lock(mutex_);
  return static_cast<int>(threads_.size());
}

}  // namespace shoal::fuse
