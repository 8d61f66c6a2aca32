// Several engines on one volume that look like one, so that what threads do at once meets in the
// server and not in a queue before it.
#pragma once

#include <memory>
#include <vector>

#include "engine/postgres/postgres_engine.h"

namespace shoal::engine::postgres {

std::unique_ptr<KvEngine> make_spread_engine(std::vector<std::unique_ptr<PostgresEngine>> engines);

}  // namespace shoal::engine::postgres
