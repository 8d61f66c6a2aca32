// RemoteMetadata: meta::Metadata of a volume whose owner is another process. Every call is one
// round trip over a Transport.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "meta/metadata.h"
#include "metasvc/dispatch.h"

namespace shoal::metasvc {

// How requests get to the owner. Thread-safe.
class Transport {
 public:
  virtual ~Transport() = default;
  // Blocks until the owner answered, however often the connection is lost meanwhile.
  virtual Result<std::string> call(uint16_t method, const rpc::Identity& identity,
                                   std::string body) = 0;
  // `done` runs exactly once, on some thread: granted, EDEADLK, EINTR after cancel_lock().
  virtual uint64_t wait_for_lock(const meta::Request& request, Ino ino, const meta::Lock& wanted,
                                 std::function<void(Result<std::string>)> done) = 0;
  virtual void cancel_lock(uint64_t ticket) = 0;
  // Who hears what the owner tells the session; null: nobody. On some thread.
  virtual void hear_events(SessionId session,
                           std::function<void(const meta::SessionEvent&)> hear) = 0;
};

// The owner's replies are durable when they arrive, so nothing is ever left to sync here.
std::unique_ptr<meta::Metadata> make_remote_metadata(Transport& transport);

}  // namespace shoal::metasvc
