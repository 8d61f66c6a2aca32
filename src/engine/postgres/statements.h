// The SQL of batches and reads. Pure: text and parameters in, text and parameters out. Portable SQL
// only (no PL/pgSQL), so that other servers of the protocol can answer. Private to this folder.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/engine.h"

namespace shoal::engine::postgres {

struct Statement {
  std::string sql;
  std::vector<std::string> parameters;  // $1, $2 …, in binary format
};

// A batch as one statement. It does all or nothing: a key that is not as expected ends it with
// kMissed or kDuplicate.
Statement commit_statement(std::string_view prefix, const Batch& batch);
inline constexpr std::string_view kMissed = "22012";     // division by zero
inline constexpr std::string_view kDuplicate = "23505";  // unique violation

// Rows: position in `keys` (of those that are there), stamp, value, counter. REQUIRES a key.
Statement get_statement(std::string_view prefix, const std::vector<std::string_view>& keys);

enum class Order { kAscending, kDescending };
// Rows: stamp, value, counter, key; at most `limit`. REQUIRES begin < end, or `end` empty.
Statement range_statement(std::string_view prefix, std::string_view begin, std::string_view end,
                          Order order, size_t limit);

}  // namespace shoal::engine::postgres
