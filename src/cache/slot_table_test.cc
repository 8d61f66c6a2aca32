#include "cache/slot_table.h"

#include <gtest/gtest.h>

#include <set>

#include "cache/cache_test_util.h"
#include "sim/seeded_random.h"

namespace shoal::cache {
namespace {

// The cache of the SIEVE paper's figure: room for `room`, every letter an object.
std::string evictions(std::string_view requests, size_t room) {
  SlotTable table;
  std::string evicted;
  for (const char letter : requests) {
    const ChunkKey key{0, static_cast<uint64_t>(letter)};
    if (const SlotTable::Id id = table.find(key); id != SlotTable::kNone) {
      table.at(id).visited = true;
      continue;
    }
    if (table.size() == room) {
      const SlotTable::Id victim = table.victim();
      evicted += static_cast<char>(table.at(victim).key.low);
      table.remove(victim);
      table.recycle(victim);
    }
    table.insert(key, 0, 1);
  }
  return evicted;
}

TEST(Sieve, spares_what_was_used_and_goes_on_where_it_stopped) {
  // By hand. Queue A…G oldest first, hand at A. A, B and G are used; H: the hand passes A and B
  // (marks taken), C goes. A is used again; D is used. I: the hand, at D, passes it, E goes. J: F
  // goes. K: passes G, H goes.
  EXPECT_EQ(evictions("ABCDEFGABGHADIJK", 7), "CEFH");
}

TEST(Sieve, is_fifo_when_nothing_is_used_twice) { EXPECT_EQ(evictions("ABCDEFG", 3), "ABCD"); }

TEST(Sieve, wraps_around_when_everything_was_used) { EXPECT_EQ(evictions("ABCABCDE", 3), "AB"); }

TEST(Sieve, a_scan_does_not_flush_what_is_in_use) {
  EXPECT_EQ(evictions("ABABuvABwABxABy", 3), "uvwx");
}

TEST(Sieve, what_is_pinned_stays_and_keeps_its_mark) {
  SlotTable table;
  const auto a = table.insert({0, 1}, 0, 1), b = table.insert({0, 2}, 1, 1);
  table.at(a).pins = 1;
  table.at(a).visited = true;
  EXPECT_EQ(table.victim(), b);
  EXPECT_TRUE(table.at(a).visited);
  table.at(b).pins = 1;
  EXPECT_EQ(table.victim(), SlotTable::kNone);
}

TEST(SlotTable, agrees_with_a_map_through_random_changes) {
  const uint64_t seed = sim::seed_or(20261125);
  SCOPED_TRACE(seed);
  sim::SeededRandom random(seed);
  SlotTable table;
  std::map<uint64_t, uint64_t> model;  // key to groups counted
  for (int i = 0; i < 20'000; ++i) {
    const uint64_t number = random.below(300);
    const ChunkKey key = chunk_key(number);
    const SlotTable::Id id = table.find(key);
    ASSERT_EQ(id != SlotTable::kNone, model.contains(number));
    const uint64_t groups = random.u64() & random.u64();
    if (id == SlotTable::kNone) {
      table.count(table.insert(key, static_cast<uint32_t>(number), 1), groups);
      model[number] = groups;
    } else if (random.chance(50)) {
      table.count(id, groups);
      model[number] |= groups;
    } else {
      table.remove(id);
      table.recycle(id);
      model.erase(number);
    }
    if (i % 100 == 0) {
      uint64_t bytes = 0;
      for (const auto& [n, g] : model)
        bytes += kGroupBytes * static_cast<uint64_t>(__builtin_popcountll(g));
      ASSERT_EQ(table.used_bytes(), bytes);
      ASSERT_EQ(table.size(), model.size());
    }
  }
}

TEST(UnitSet, agrees_with_a_set_at_every_boundary) {
  for (const UnitRange range : {UnitRange{0, 1},
                                {0, 64},
                                {63, 65},
                                {64, 128},
                                {1, 1024},
                                {0, 1024},
                                {1023, 1024},
                                {5, 5}}) {
    UnitSet set;
    EXPECT_TRUE(set.empty());
    set.add(range);
    EXPECT_EQ(set.empty(), range.empty());
    uint64_t groups = 0;
    for (uint32_t unit = 0; unit < kUnitsPerSlot; ++unit) {
      const bool in = unit >= range.first && unit < range.end;
      EXPECT_EQ(set.has(unit), in) << unit;
      if (in) groups |= uint64_t{1} << unit / kUnitsPerGroup;
    }
    EXPECT_EQ(range.groups(), groups);
    EXPECT_TRUE(set.has_all(range));
    EXPECT_TRUE(range.first == 0 || !set.has_all({range.first - 1, range.end}));
    EXPECT_TRUE(range.end == kUnitsPerSlot || !set.has_all({range.first, range.end + 1}));
  }
}

}  // namespace
}  // namespace shoal::cache
