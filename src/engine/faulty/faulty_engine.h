// Wraps an engine and injects conflicts, delays, errors and unknown outcomes (effect kept or not)
// at chosen calls.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "engine/engine.h"

namespace shoal::engine {

enum class Fault {
  kNone,
  kError,           // EIO, no effect
  kConflict,        // commit only: a conflict on its first key, no effect
  kUnknownApplied,  // commit only
  kUnknownDropped,  // commit only
};

enum class Call { kGet, kScan, kCommit, kSync };

// `decide(call, n)` is asked before the n-th call (from 0, over all kinds). Thread-safe if `decide`
// is.
std::unique_ptr<KvEngine> make_faulty_engine(KvEngine& under,
                                             std::function<Fault(Call, uint64_t)> decide);

}  // namespace shoal::engine
