// Inside of the contract suite: the lists of cases and what they share.
#pragma once

#include <gtest/gtest.h>

#include <span>
#include <string>

#include "engine/engine.h"

namespace shoal::engine::contract {

struct Case {
  const char* name;
  void (*run)(KvEngine& engine);
};

std::span<const Case> write_cases();
std::span<const Case> limit_cases();
std::span<const Case> read_cases();
std::span<const Case> race_cases();
std::span<const Case> random_cases();

// A stamp that no other call in this process gets.
Stamp next_stamp();

// The seed of a random test, printed: SHOAL_SEED or `fallback`.
uint64_t seed(uint64_t fallback);

// An empty batch with a fresh stamp.
inline Batch fresh_batch() { return Batch(next_stamp()); }

// Commits and expects success; returns the stamp.
Stamp must_commit(KvEngine& engine, const Batch& batch);

// Commits and expects a conflict that names exactly `keys`, in any order.
void expect_conflict(KvEngine& engine, const Batch& batch, std::vector<std::string> keys);

// "value@stamp", "absent" or "error".
std::string shown(KvEngine& engine, std::string_view key, const ReadToken* token = nullptr);
std::string shown(const std::optional<Versioned>& found);

// The keys of a page or the whole range, joined by spaces.
std::string keys_of(const Page& page);

// "key=value@stamp " for every key, by pages of `limit`.
std::string everything(KvEngine& engine, const ReadToken* token = nullptr, size_t limit = 100);

}  // namespace shoal::engine::contract
