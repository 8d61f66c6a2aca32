// The token of a volume: who knows it may mount it through a meta server. Kept as it is, for the
// server has to compute with it (rpc/handshake.h); so nobody but the engine's own users may read
// it.
#pragma once

#include <string>

#include "engine/engine.h"
#include "sys/random.h"

namespace shoal::meta {

// ENOENT when the volume has none yet.
Result<std::string> read_access_token(engine::KvEngine& engine);
// Draws one, durable, and returns it; with `renew` also when there is one: mounts that know the old
// one go on until they connect again.
Result<std::string> draw_access_token(engine::KvEngine& engine, Random& random, bool renew);

}  // namespace shoal::meta
