// Sessions of owners that were fenced (design §5.4). Private to this folder.
#pragma once

#include "engine/postgres/connection.h"

namespace shoal::engine::postgres {

// Ends the sessions of epochs before `epoch` and waits for their end. EBUSY when one is still there
// after some seconds.
Result<size_t> terminate_sessions_before(const Target& target, Connection& connection,
                                         uint64_t epoch);

}  // namespace shoal::engine::postgres
