// Transport: how requests come from the kernel and replies and notifications go to it. DevTransport
// is /dev/fuse, FakeTransport (fake_transport.h) is for tests.
#pragma once

#include <span>

#include "base/bytes.h"
#include "base/error.h"

namespace shoal::fuse {

class Transport {
 public:
  virtual ~Transport() = default;
  // Waits for one request and puts it into `into` (which holds the largest request negotiated).
  // Many threads at once. ENODEV: unmounted; ECONNABORTED: the connection was aborted; no request
  // will come any more.
  virtual Result<size_t> read(MutableBytes into) = 0;
  // Sends one message, a reply or a notification, as it stands: a fuse_out_header and what follows
  // it. Never waits for requests to be served, except where the kernel does for a notification.
  // Returns 0 or an errno value: of a reply, ENOENT = the kernel gave the request up; of a
  // notification, ENOENT = the kernel does not know the inode.
  virtual int write(std::span<const ByteView> parts) = 0;
};

}  // namespace shoal::fuse
