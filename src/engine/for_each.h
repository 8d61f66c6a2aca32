// for_each: a range of keys of any size, in pages.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "engine/engine.h"

namespace shoal::engine {

// What a visitor says: go on, or that is all it wanted.
enum class Visit { kContinue, kStop };

// Calls `visit` for every item in [begin, end) ("" = to the last key), ascending, until it stops or
// fails. Each page is read at the token's moment; without one (null) pages may see later states,
// and each key that was there throughout is visited once.
Status for_each(KvEngine& engine, const ReadToken* token, std::string begin, std::string_view end,
                const std::function<Result<Visit>(const Item&)>& visit);

// … for every key that begins with `prefix`.
Status for_each_with(KvEngine& engine, const ReadToken* token, std::string_view prefix,
                     const std::function<Result<Visit>(const Item&)>& visit);

}  // namespace shoal::engine
