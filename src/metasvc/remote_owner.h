// RemoteOwner: what a process needs of a volume whose owner is another process, as if it owned it
// itself: its Metadata, its Maintenance, and reads of its engine.
#pragma once

#include <memory>

#include "engine/engine.h"
#include "meta/owner.h"
#include "metasvc/remote_metadata.h"

namespace shoal::metasvc {

// Knows the volume as it was when this was called; `transport` outlives it.
Result<std::unique_ptr<meta::OwnerHandle>> make_remote_owner(Transport& transport);

// The owner's engine, to be read. commit() and ingest() answer EROFS, sync() has nothing to do. A
// token is a moment of the owner's engine and ends as those do.
std::unique_ptr<engine::KvEngine> make_remote_engine(Transport& transport);

}  // namespace shoal::metasvc
