// The oracle of the contract suite and the engine of fast tests: a std::map with versions. Nothing
// is durable.
#pragma once

#include <memory>

#include "engine/engine.h"

namespace shoal::engine {

std::unique_ptr<KvEngine> make_memory_engine();

}  // namespace shoal::engine
