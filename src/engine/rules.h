// What every engine refuses and computes alike, so that the memory oracle and the real engines
// cannot drift apart. For implementations of KvEngine only; users of the seam never need it. All
// functions are pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "engine/engine.h"

namespace shoal::engine {

// The refusals that need no look at the stored state. E2BIG: more than kBatchBytesMax. EINVAL:
// stamp 0, an empty or too long key, a too long value, a key written twice.
Status check_batch(const Batch& batch);

// EINVAL unless 1 ≤ limit ≤ kPageEntriesMax.
Status check_scan_limit(size_t limit);

// EINVAL unless the keys ascend strictly and keys and values keep the limits.
Status check_ingest(const std::vector<Item>& items);

// Whether the write counts, and whether it needs a key that is there with `expected`.
bool is_merge(Write::Kind kind);
bool expects_stamp(Write::Kind kind);

// `a` merged with `b`. Addition wraps: a counter can not make a commit fail.
int64_t merge_counters(Write::Kind kind, int64_t a, int64_t b);

// The value that a merge leaves behind. A base that is no counter stays as it is, because a blind
// write has nobody to refuse it; read_counter() then reports it.
std::string merged_value(Write::Kind kind, std::string_view base, int64_t operand);

}  // namespace shoal::engine
