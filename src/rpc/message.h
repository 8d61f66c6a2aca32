// Framed messages over a Connection: 4 bytes little-endian length, then the body. The control
// protocol of a live mount (status, fsck, flush … asked by the command line) uses JSON bodies; see
// control.h.
//
// Not thread-safe for two readers or two writers of one Connection.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "base/error.h"
#include "sys/net.h"

namespace shoal::rpc {

inline constexpr size_t kMessageBytesMax = 16 << 20;

// EMSGSIZE above kMessageBytesMax; else the connection's error.
Status send_message(Connection& connection, std::string_view body,
                    std::chrono::milliseconds timeout);
// ECONNRESET when the peer went away, EMSGSIZE when it announces more than kMessageBytesMax
// (nothing is allocated then).
Result<std::string> receive_message(Connection& connection, std::chrono::milliseconds timeout);

}  // namespace shoal::rpc
