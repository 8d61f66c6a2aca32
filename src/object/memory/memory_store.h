// A bucket in memory, for tests. Callbacks run on `executor`, which outlives the store. Deadlines
// and priorities are not looked at: nothing takes time here.
#pragma once

#include <memory>

#include "object/object_store.h"
#include "sys/executor.h"

namespace shoal::object {

std::unique_ptr<ObjectStore> make_memory_store(Executor& executor);

}  // namespace shoal::object
