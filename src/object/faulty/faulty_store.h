// Wraps a store and fails chosen calls, before or after their effect, or spoils what a get returns.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "object/object_store.h"

namespace shoal::object {

enum class Fault {
  kNone,
  kErrorBefore,  // EIO, no effect
  kErrorAfter,   // the effect happened, the caller hears EIO
  kTimeout,      // ETIMEDOUT, no effect
  kNotFound,     // ENOENT, get and head only
  kShort,        // get: half of the bytes
  kCorrupt,      // get: one byte flipped
};

enum class Call { kPut, kGet, kHead, kRemove, kList, kUpload };

// `decide(call, key, n)` is asked before the n-th call (from 0, over all kinds). Thread-safe if
// `decide` is.
std::unique_ptr<ObjectStore> make_faulty_store(
    ObjectStore& under, std::function<Fault(Call, const std::string&, uint64_t)> decide);

}  // namespace shoal::object
