// Owner: executes a volume's metadata operations over an engine (design §5.3). The embedded form:
// no server between.
//
// Thread-safe. No threads of its own: background work (reclaim, trash ageing) runs on the Executor.
// Time through Clock.
#pragma once

#include <memory>

#include "engine/engine.h"
#include "meta/maintenance.h"
#include "meta/metadata.h"
#include "meta/session_keeper.h"
#include "sys/clock.h"
#include "sys/executor.h"
#include "sys/random.h"

namespace shoal::meta {

struct VolumeSpec {
  std::string name;
  std::string bucket;
  format::Durability durability = format::Durability::kLocal;
  uint32_t trash_days = 1;
  uint64_t capacity_bytes = 0;
  uint64_t inodes_max = 0;
};

// Writes F, the root directory and the counters, durable. EEXIST when the engine holds a volume
// already, unless it is the same spec (then its record is returned).
Result<format::Volume> format_volume(engine::KvEngine& engine, const VolumeSpec& spec,
                                     const Clock& clock, Random& random);
// The F record without opening the volume; ENOENT when the engine holds none.
Result<format::Volume> read_volume(engine::KvEngine& engine);

struct OwnerOptions {
  size_t inode_cache_entries = 100'000;
  size_t entry_cache_entries = 200'000;
  bool redraw_lineage = false;  // --take-over
  bool though_moved = false;    // a dump --move that is repeated
};

// ESTALE when the volume was moved away (dump.h), EINPROGRESS when a load is not finished (load.h).
// Takes epoch+1, appends a fresh open id to F and syncs both before anything else. What dead
// sessions left open and unlinked is queued for reclaim. Everything passed in outlives the owner.
class OwnerHandle {
 public:
  virtual ~OwnerHandle() = default;  // waits for background work
  virtual Metadata& metadata() = 0;
  virtual Maintenance& maintenance() = 0;
  virtual SessionKeeper* sessions() = 0;                   // null when the owner is another process
  virtual format::OwnerMarker marker() const = 0;          // what the bucket must hold from now on
  virtual bool knows_open(const Uuid& open_id) const = 0;  // among the 64 of F, this open included
};
Result<std::unique_ptr<OwnerHandle>> open_owner(engine::KvEngine& engine, const Clock& clock,
                                                Random& random, Executor& executor,
                                                OwnerOptions options = {});

}  // namespace shoal::meta
