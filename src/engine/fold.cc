#include "engine/fold.h"

#include <optional>

#include "engine/rules.h"

namespace shoal::engine {
namespace {

using Kind = Write::Kind;

// The key is there with a value afterwards, whatever it was before. The second of them decides the
// value, the first what is expected.
Write value_over(const Write& first, const Write& second) {
  Write both = second;
  if (expects_stamp(first.kind)) {
    both.kind = Kind::kUpdate;
    both.expected = first.expected;
  } else {
    // Inserted and removed again: that it was absent is not known any more.
    both.kind = first.kind == Kind::kInsert ? Kind::kInsert : Kind::kPut;
    both.expected = 0;
  }
  return both;
}

Write absent_over(const Write& first, const Write& second) {
  Write both = second;
  both.kind = expects_stamp(first.kind) ? Kind::kErase : Kind::kRemove;
  both.expected = expects_stamp(first.kind) ? first.expected : 0;
  return both;
}

size_t size_of(const Write& write) { return write.key.size() + write.value.size() + 16; }

}  // namespace

std::optional<Write> folded(const Write& first, const Write& second) {
  if (is_merge(first.kind) || is_merge(second.kind)) {
    const bool blind_over_merge = second.kind == Kind::kPut || second.kind == Kind::kRemove;
    if (blind_over_merge) return second;
    // What a merge makes of a value, only the engine knows.
    if (first.kind != second.kind) return std::nullopt;
    Write both = second;
    const Result<int64_t> a = decode_counter(first.value), b = decode_counter(second.value);
    if (!a.ok() || !b.ok()) return std::nullopt;
    both.value = encode_counter(merge_counters(first.kind, *a, *b));
    return both;
  }
  switch (second.kind) {
    case Kind::kCheck:
      return first;
    case Kind::kInsert:
    case Kind::kUpdate:
    case Kind::kPut:
      return value_over(first, second);
    case Kind::kErase:
    case Kind::kRemove:
      return absent_over(first, second);
    case Kind::kMergeAdd:
    case Kind::kMergeMax:
      break;
  }
  return std::nullopt;
}

const Write* Fold::find(std::string_view key) const {
  const auto at = writes_.find(key);
  return at == writes_.end() ? nullptr : &at->second;
}

bool Fold::add(const Batch& batch, size_t bytes_max) {
  if (!empty() && bytes_ + batch.bytes() > bytes_max) return false;
  std::vector<Write> fresh;
  fresh.reserve(batch.writes().size());
  for (const Write& write : batch.writes()) {
    Write own = write;
    own.stamp = batch.stamp_of(write);
    const Write* before = find(write.key);
    if (before == nullptr) {
      fresh.push_back(std::move(own));
      continue;
    }
    std::optional<Write> both = folded(*before, own);
    if (!both) return false;
    fresh.push_back(*std::move(both));
  }
  for (Write& write : fresh) {
    const auto [at, added] = writes_.try_emplace(write.key);
    if (!added) bytes_ -= size_of(at->second);
    bytes_ += size_of(write);
    at->second = std::move(write);
  }
  return true;
}

}  // namespace shoal::engine
