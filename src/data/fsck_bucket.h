// The bucket's side of fsck: every stored segment is there with the right length.
#pragma once

#include <vector>

#include "engine/engine.h"
#include "meta/fsck.h"
#include "object/object_store.h"

namespace shoal::data {

// Lists the bucket once, in pages.
Result<std::vector<meta::FsckProblem>> fsck_bucket(engine::KvEngine& engine,
                                                   object::ObjectStore& store, const Uuid& volume);

}  // namespace shoal::data
