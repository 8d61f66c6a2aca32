// Memory that O_DIRECT takes: 4 KiB-aligned, one owner, zeroed nowhere.
#pragma once

#include <cstdlib>
#include <memory>

#include "base/bytes.h"
#include "base/check.h"

namespace shoal::cache {

inline constexpr size_t kDirectAlignment = 4096;

inline bool is_direct_aligned(const void* memory) {
  return reinterpret_cast<uintptr_t>(memory) % kDirectAlignment == 0;
}

class AlignedBuffer {
 public:
  // REQUIRES bytes > 0 and a multiple of kDirectAlignment.
  explicit AlignedBuffer(size_t bytes)
      : memory_(static_cast<std::byte*>(std::aligned_alloc(kDirectAlignment, bytes))),
        bytes_(bytes) {
    CHECK(memory_ != nullptr);
  }
  MutableBytes first(size_t n) { return MutableBytes(memory_.get(), bytes_).first(n); }

 private:
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };
  std::unique_ptr<std::byte, Free> memory_;
  size_t bytes_;
};

}  // namespace shoal::cache
