// Executes one request of the metadata protocol on the owner's Metadata.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "meta/metadata.h"

namespace shoal::metasvc {

struct Identity {  // of a frame (I7)
  SessionId session = 0;
  uint32_t slot = 0;
  uint64_t sequence = 0;
};

// Whether the method changes anything: only those need exactly-once and a durable commit before the
// reply.
bool changes_anything(uint16_t method);

// Calls `done` once, before it returns. EBADMSG when the body is not the method's, ENOSYS when
// there is no such method, or it is the service's own (sessions, locks that are waited for).
void dispatch(meta::Metadata& metadata, uint16_t method, const Identity& identity,
              std::string_view body, const std::function<void(Result<std::string>)>& done);

}  // namespace shoal::metasvc
