// The bucket's side of fsck: every stored segment is there with the right length; staging segments
// are in this staging.
#pragma once

#include <vector>

#include "data/staging.h"
#include "engine/engine.h"
#include "meta/fsck.h"
#include "object/object_store.h"

namespace shoal::data {

// `staging` may be null (then staging segments are not looked at). Lists the bucket once, in pages.
Result<std::vector<meta::FsckProblem>> fsck_bucket(engine::KvEngine& engine,
                                                   object::ObjectStore& store, const Uuid& volume,
                                                   const Staging* staging);

}  // namespace shoal::data
