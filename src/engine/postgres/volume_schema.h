// The schema of a volume: made, recognised, dropped. Private to this folder.
#pragma once

#include "engine/postgres/connection.h"

namespace shoal::engine::postgres {

// ENOENT, EEXIST or EBADMSG unless there is a volume of this format; makes one if `create` and
// there is none. Of two that make one at once both succeed.
Status open_schema(const Target& target, Connection& connection, bool create);

Status drop_schema(const Target& target, Connection& connection);

}  // namespace shoal::engine::postgres
