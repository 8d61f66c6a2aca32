// Settings of a server that may lose acknowledged commits (design §5.4: safe settings or nothing).
// Private to this folder.
#pragma once

#include <string>
#include <vector>

#include "engine/postgres/connection.h"

namespace shoal::engine::postgres {

struct ServerSettings {
  std::string synchronous_commit;    // of this session
  std::vector<std::string> dangers;  // each says what is wrong and what to do
};

// EINVAL for a server older than 15, EROFS for a standby.
Result<ServerSettings> look_at_settings(const Target& target, Connection& connection);

}  // namespace shoal::engine::postgres
