// The device /dev/fuse: one descriptor, read(2) and writev(2). No clone_fd and no splice: both lose
// in a crash or in speed (notes of measurements in docs/performance.md).
#pragma once

#include "fuse/transport.h"

namespace shoal::fuse {

class DevTransport final : public Transport {
 public:
  // Takes `fd`, which a mount belongs to.
  explicit DevTransport(int fd) : fd_(fd) {}
  ~DevTransport() override;
  DevTransport(const DevTransport&) = delete;
  DevTransport& operator=(const DevTransport&) = delete;

  Result<size_t> read(MutableBytes into) override;
  int write(std::span<const ByteView> parts) override;

 private:
  const int fd_;
};

}  // namespace shoal::fuse
