// An owner's engine whose batches travel in groups, and group n holds `N n` with what its
// operations answered (design §5.3). Once the owner's epoch is in `F`, every group checks that it
// still is (I5).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/group_commit.h"

namespace shoal::meta {

struct Grouped {
  std::unique_ptr<engine::GroupCommit> engine;
  // What earlier owners left: each is engine->forget_note(n)'s when nobody can ask for it.
  struct Note {
    uint64_t n = 0;
    std::string note;
  };
  std::vector<Note> notes;
};

// `executor` as for make_group_commit(). Numbers go on above those that are there. Fails only when
// the engine cannot be read.
Result<Grouped> group_commits(engine::KvEngine& under, Executor& executor);

}  // namespace shoal::meta
