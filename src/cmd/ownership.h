// Who owns a volume whose engine many processes can reach.
#pragma once

#include "cmd/meta_url.h"
#include "cmd/runtime.h"
#include "engine/engine.h"

namespace shoal::cmd {

// EBUSY when a meta server owns the volume. Looks for a while: its record tells only by changing.
Status check_no_meta_server(Runtime& runtime, engine::KvEngine& engine, const MetaUrl& url);

}  // namespace shoal::cmd
