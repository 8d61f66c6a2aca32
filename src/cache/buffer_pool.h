// BufferPool: aligned buffers of one size that are used again, so that a reader of a gigabyte does
// not have the kernel map and clear a gigabyte.
//
// Thread-safe. A buffer goes back to its pool when it is let go, or is freed when the pool keeps
// enough already or is gone.
#pragma once

#include <memory>
#include <vector>

#include "cache/aligned_buffer.h"
#include "sys/mutex.h"

namespace shoal::cache {

class BufferPool {
  struct Free {
    Mutex mutex;
    std::vector<AlignedBuffer> buffers GUARDED_BY(mutex);
  };

 public:
  // Buffers of `bytes`; at most `kept_max` wait for their next use.
  BufferPool(size_t bytes, size_t kept_max) : bytes_(bytes), kept_max_(kept_max) {}

  class Buffer {
   public:
    Buffer(Buffer&&) = default;
    Buffer& operator=(Buffer&&) = delete;
    ~Buffer() {
      if (free_ == nullptr) return;  // moved from
      MutexLock lock(free_->mutex);
      if (free_->buffers.size() < kept_max_) free_->buffers.push_back(std::move(memory_));
    }
    MutableBytes first(size_t n) { return memory_.first(n); }

   private:
    friend class BufferPool;
    Buffer(AlignedBuffer memory, std::shared_ptr<Free> free, size_t kept_max)
        : memory_(std::move(memory)), free_(std::move(free)), kept_max_(kept_max) {}
    AlignedBuffer memory_;
    std::shared_ptr<Free> free_;  // buffers may outlive the pool
    size_t kept_max_;
  };

  // Its bytes are whatever they were.
  Buffer take() {
    {
      MutexLock lock(free_->mutex);
      if (!free_->buffers.empty()) {
        AlignedBuffer memory = std::move(free_->buffers.back());
        free_->buffers.pop_back();
        return Buffer(std::move(memory), free_, kept_max_);
      }
    }
    return Buffer(AlignedBuffer(bytes_), free_, kept_max_);
  }

 private:
  const size_t bytes_, kept_max_;
  const std::shared_ptr<Free> free_ = std::make_shared<Free>();
};

}  // namespace shoal::cache
