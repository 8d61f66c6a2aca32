// An owner's engine on which every commit costs a round trip: its batches travel in groups, and
// group n holds `N n` (design §5.3).
#pragma once

#include "engine/group_commit.h"

namespace shoal::meta {

// `executor` as for make_group_commit(). Numbers go on above those that are there. Fails only when
// the engine cannot be read.
Result<std::unique_ptr<engine::GroupCommit>> group_commits(engine::KvEngine& under,
                                                           Executor& executor);

}  // namespace shoal::meta
