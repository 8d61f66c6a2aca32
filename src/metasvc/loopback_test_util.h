// For tests: the way from a RemoteMetadata to the owner and back, without a network.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "metasvc/dispatch.h"
#include "metasvc/remote_metadata.h"

namespace shoal::metasvc {

class Loopback : public Transport {
 public:
  explicit Loopback(meta::Metadata& metadata) : metadata_(metadata) {}

  Result<std::string> call(uint16_t method, const rpc::Identity& identity,
                           std::string body) override {
    return dispatch(metadata_, method, identity, body);
  }
  uint64_t wait_for_lock(const meta::Request& request, Ino ino, const meta::Lock& wanted,
                         std::function<void(Result<std::string>)> done) override {
    return metadata_.lock_wait(request, ino, wanted,
                               [done = std::move(done)](const Status& status) {
                                 done(status.ok() ? Result<std::string>("") : status.error());
                               });
  }
  void cancel_lock(uint64_t ticket) override { metadata_.lock_cancel(ticket); }
  void hear_events(SessionId session,
                   std::function<void(const meta::SessionEvent&)> hear) override {
    metadata_.session_events(session, std::move(hear));
  }

 private:
  meta::Metadata& metadata_;
};

}  // namespace shoal::metasvc
