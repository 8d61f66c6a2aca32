// SequentialStreams: which inodes are being written one byte behind the other, and for how long.
// Small and bounded: what is forgotten counts as begun anew. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <unordered_map>

#include "base/ids.h"
#include "sys/mutex.h"

namespace shoal::data {

class SequentialStreams {
 public:
  static constexpr size_t kStreamsMax = 64;

  // A data record is about to be written. Returns how many bytes end just where it begins, written
  // one behind the other. Records of up to a frame do not begin a stream.
  uint64_t note(Ino ino, uint64_t generation, uint64_t offset, uint64_t length);

 private:
  struct Stream {
    uint64_t generation = 0;
    uint64_t end = 0;   // file offset
    uint64_t run = 0;   // bytes that end there
    uint64_t used = 0;  // call number
  };
  void forget_oldest() REQUIRES(mutex_);

  std::atomic<size_t> known_{0};  // so that a load of small files does not meet at the mutex
  Mutex mutex_;
  uint64_t calls_ GUARDED_BY(mutex_) = 0;
  std::unordered_map<Ino, Stream> streams_ GUARDED_BY(mutex_);
};

}  // namespace shoal::data
