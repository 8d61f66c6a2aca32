// Executes one request of the metadata protocol on the owner's Metadata.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "meta/metadata.h"
#include "rpc/frame.h"

namespace shoal::metasvc {

// Whether the method changes anything: only those need exactly-once and a durable commit before the
// reply.
bool changes_anything(uint16_t method);

// The body of the reply. EBADMSG when the body is not the method's, ENOSYS when there is no such
// method, or it is the service's own (heartbeats, locks that are waited for).
Result<std::string> dispatch(meta::Metadata& metadata, uint16_t method,
                             const rpc::Identity& identity, std::string_view body);

}  // namespace shoal::metasvc
