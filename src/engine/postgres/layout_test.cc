#include "engine/postgres/layout.h"

#include <gtest/gtest.h>

#include <set>

#include "base/coding.h"

namespace shoal::engine::postgres {
namespace {

std::string name_of(std::string_view key) { return partitions()[partition_of(key)].name; }

std::string key_of(char letter, uint64_t number) {
  std::string key(1, letter);
  Encoder(key).be64(number);
  return key;
}

TEST(PostgresLayout, partitions_ascend_from_the_least_key_and_have_names_of_their_own) {
  std::set<std::string> names;
  EXPECT_EQ(partitions().front().from, "");
  for (size_t i = 1; i < partitions().size(); ++i) {
    EXPECT_LT(partitions()[i - 1].from, partitions()[i].from);
  }
  for (const Partition& partition : partitions()) EXPECT_TRUE(names.insert(partition.name).second);
}

TEST(PostgresLayout, what_is_rewritten_all_the_time_shares_no_table_with_entries_and_inodes) {
  std::set<std::string> tables;
  for (const char letter : {'C', 'D', 'E', 'F', 'I', 'K', 'N', 'S', 'U', 'V', 'W'}) {
    EXPECT_TRUE(tables.insert(name_of(key_of(letter, 1))).second) << letter;
    EXPECT_EQ(name_of(std::string(1, letter)), name_of(key_of(letter, 1)));
  }
}

TEST(PostgresLayout, entries_extents_and_inodes_are_cut_by_inode_number) {
  for (const char letter : {'D', 'E', 'I'}) {
    EXPECT_NE(name_of(key_of(letter, (1 << 24) - 1)), name_of(key_of(letter, 1 << 24)));
    EXPECT_EQ(name_of(key_of(letter, 1 << 24) + "name"), name_of(key_of(letter, (1 << 27) - 1)));
    EXPECT_NE(name_of(key_of(letter, (1 << 30) - 1)), name_of(key_of(letter, 1 << 30)));
    EXPECT_EQ(name_of(key_of(letter, (uint64_t{1} << 48) - 1)), name_of(key_of(letter, 1 << 30)));
  }
}

TEST(PostgresLayout, every_key_has_a_partition) {
  for (int byte = 0; byte < 256; ++byte) {
    const std::string key(1, static_cast<char>(byte));
    const size_t at = partition_of(key);
    EXPECT_LE(partitions()[at].from, key);
    if (at + 1 < partitions().size()) {
      EXPECT_LT(key, partitions()[at + 1].from);
    }
  }
}

TEST(PostgresLayout, a_range_has_the_partitions_of_its_keys_and_no_more) {
  const auto names = [](std::string_view begin, std::string_view end) {
    const PartitionRange range = partitions_of(begin, end);
    return partitions()[range.first].name + " " + partitions()[range.last].name;
  };
  EXPECT_EQ(names("", ""), "kv_a kv_x");
  EXPECT_EQ(names("F", "G"), "kv_f kv_f");
  EXPECT_EQ(names("F", std::string("G\0", 2)), "kv_f kv_g");
  EXPECT_EQ(names("D", "E"), "kv_d0 kv_d3");
  EXPECT_EQ(names(key_of('D', 7), key_of('D', 8)), "kv_d0 kv_d0");
  EXPECT_EQ(names(key_of('D', (1 << 24) - 1), key_of('D', 1 << 24)), "kv_d0 kv_d0");
  EXPECT_EQ(names("X", ""), "kv_x kv_x");
}

}  // namespace
}  // namespace shoal::engine::postgres
