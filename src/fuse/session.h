// Session: serves one mount from INIT to the unmount. Wires transport, worker threads, operations
// and notifications.
//
//   DevTransport device(mount.take_fd());
//   auto session = Session::start(device, client, options);
//   TRY(session->wait_ready());          // the mount answers
//   session->wait();                     // until it is unmounted
//
// Thread-safe.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <string>

#include "client/client.h"
#include "fuse/attributes.h"
#include "fuse/transport.h"
#include "fuse/worker_pool.h"

namespace shoal::fuse {

struct SessionOptions {
  CacheTimes times;  // while no other mount can change the volume
  CacheTimes shared_times{std::chrono::seconds(1), std::chrono::seconds(1),
                          std::chrono::seconds(1)};
  Ino root = kRootIno;              // --subdir
  uint32_t block_bytes = 64 << 10;  // st_blksize: what stdio and cp read and write at once
  uint16_t max_background =
      256;  // requests of read-ahead and O_DIRECT that the kernel sends at once
  uint32_t max_write_bytes = 1 << 20;
  uint64_t disabled_features = 0;  // FUSE_* flags of INIT, see features.h
  bool cache_directories = true;   // the kernel may keep listings of directories
  WorkerOptions workers;
};

class Session {
 public:
  // `transport` and `client` outlive it. Becomes the client's invalidation sink: no call may have
  // been made yet.
  static std::unique_ptr<Session> start(Transport& transport, client::Client& client,
                                        const SessionOptions& options);
  virtual ~Session() = default;  // the transport must be closed: unmount first

  // Returns when INIT was answered. EPROTO: this kernel's protocol is too old; ENODEV: unmounted
  // before.
  virtual Status wait_ready() = 0;
  // Returns when no request will come any more and all are answered: ok after an unmount,
  // ECONNABORTED after an abort.
  virtual Status wait() = 0;

  virtual uint64_t features() const = 0;  // negotiated
  // Requests served so far, by opcode (< kOpcodes).
  static constexpr size_t kOpcodes = 64;
  virtual std::array<uint64_t, kOpcodes> requests() const = 0;
  virtual int threads() const = 0;
};

}  // namespace shoal::fuse
