#include "fuse/dev_transport.h"

#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/check.h"

namespace shoal::fuse {

DevTransport::~DevTransport() { ::close(fd_); }

Result<size_t> DevTransport::read(MutableBytes into) {
  while (true) {
    const ssize_t n = ::read(fd_, into.data(), into.size());
    if (n >= 0) return static_cast<size_t>(n);
    // ENOENT: the request was interrupted between its queueing and this read; there will be others.
    if (errno == EINTR || errno == ENOENT || errno == EAGAIN) continue;
    return error(errno, "reading from /dev/fuse: {}", std::strerror(errno));
  }
}

int DevTransport::write(std::span<const ByteView> parts) {
  constexpr size_t kPartsMax = 8;
  CHECK(parts.size() <= kPartsMax);
  iovec vectors[kPartsMax];
  for (size_t i = 0; i < parts.size(); ++i) {
    vectors[i] = {const_cast<std::byte*>(parts[i].data()), parts[i].size()};
  }
  while (::writev(fd_, vectors, static_cast<int>(parts.size())) < 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

}  // namespace shoal::fuse
