#include "engine/rules.h"

#include <algorithm>

namespace shoal::engine {
namespace {

// Below this many writes comparing all pairs is cheaper than sorting; nearly every batch is.
constexpr size_t kPairwiseMax = 12;

Status check_size(std::string_view key, std::string_view value) {
  if (key.empty()) return error(EINVAL, "a key must not be empty");
  if (key.size() > kEngineKeyBytesMax) {
    return error(EINVAL, "a key of {} bytes; at most {}", key.size(), kEngineKeyBytesMax);
  }
  if (value.size() > kEngineValueBytesMax) {
    return error(EINVAL, "a value of {} bytes; at most {}", value.size(), kEngineValueBytesMax);
  }
  return {};
}

const std::string* repeated_key(const std::vector<Write>& writes) {
  if (writes.size() <= kPairwiseMax) {
    for (size_t i = 1; i < writes.size(); ++i) {
      for (size_t j = 0; j < i; ++j) {
        if (writes[i].key == writes[j].key) return &writes[i].key;
      }
    }
    return nullptr;
  }
  std::vector<const std::string*> keys;
  keys.reserve(writes.size());
  for (const Write& write : writes) keys.push_back(&write.key);
  std::sort(keys.begin(), keys.end(), [](const auto* a, const auto* b) { return *a < *b; });
  const auto twice = std::adjacent_find(keys.begin(), keys.end(),
                                        [](const auto* a, const auto* b) { return *a == *b; });
  return twice == keys.end() ? nullptr : *twice;
}

}  // namespace

Status check_batch(const Batch& batch) {
  if (batch.bytes() > kBatchBytesMax) {
    return error(E2BIG, "a batch of {} bytes; at most {}", batch.bytes(), kBatchBytesMax);
  }
  if (batch.stamp() == 0) return error(EINVAL, "a batch needs a stamp; 0 means absent");
  for (const Write& write : batch.writes()) TRY(check_size(write.key, write.value));
  if (const std::string* key = repeated_key(batch.writes())) {
    return error(EINVAL, "key {} is written twice in one batch", to_hex(as_bytes(*key)));
  }
  return {};
}

Status check_scan_limit(size_t limit) {
  if (limit < 1 || limit > kPageEntriesMax) {
    return error(EINVAL, "a page of {} entries; 1 … {} are possible", limit, kPageEntriesMax);
  }
  return {};
}

Status check_ingest(const std::vector<Item>& items) {
  for (size_t i = 0; i < items.size(); ++i) {
    TRY(check_size(items[i].key, items[i].value));
    if (i > 0 && items[i - 1].key >= items[i].key) {
      return error(EINVAL, "key {} of an ingest does not ascend", to_hex(as_bytes(items[i].key)));
    }
  }
  return {};
}

bool is_merge(Write::Kind kind) {
  return kind == Write::Kind::kMergeAdd || kind == Write::Kind::kMergeMax;
}

bool expects_stamp(Write::Kind kind) {
  return kind == Write::Kind::kUpdate || kind == Write::Kind::kErase || kind == Write::Kind::kCheck;
}

int64_t merge_counters(Write::Kind kind, int64_t a, int64_t b) {
  CHECK(is_merge(kind));
  if (kind == Write::Kind::kMergeMax) return std::max(a, b);
  return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}

std::string merged_value(Write::Kind kind, std::string_view base, int64_t operand) {
  const Result<int64_t> old = decode_counter(base);
  if (!old.ok()) return std::string(base);
  return encode_counter(merge_counters(kind, *old, operand));
}

}  // namespace shoal::engine
