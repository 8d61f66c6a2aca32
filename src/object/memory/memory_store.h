// A bucket in memory, for tests. Callbacks run on `executor`.
#pragma once

#include <memory>

#include "object/object_store.h"
#include "sys/executor.h"

namespace shoal::object {

std::unique_ptr<ObjectStore> make_memory_store(Executor& executor);

}  // namespace shoal::object
