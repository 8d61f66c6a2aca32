// Where a key lives: the table of a volume is cut by key ranges into partitions, each with vacuum
// settings of its own (design §5.4). What a few rows change thousands of times a second (the format
// record, replies, locks, counters) never shares a table with the billions of entries and inodes,
// and these are cut by inode number. The engine addresses partitions itself, so a batch or a read
// opens only what it touches; PostgreSQL checks the bounds.
//
// The bounds are part of the format (kFormat): a change needs a new number. Private to this folder.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace shoal::engine::postgres {

inline constexpr int kFormat = 1;

struct Partition {
  std::string name;
  std::string from;      // the least key; the first partition's is empty
  const char* settings;  // storage parameters of CREATE TABLE
};

// Ascending; the first begins at the least key, the last has no end.
const std::vector<Partition>& partitions();

size_t partition_of(std::string_view key);
// The partitions that hold keys of [begin, end), `end` empty: to the last. REQUIRES a range that is
// not empty.
struct PartitionRange {
  size_t first;
  size_t last;  // inclusive
};
PartitionRange partitions_of(std::string_view begin, std::string_view end);

// "prefix".kv_d0
std::string partition_table(std::string_view prefix, size_t partition);
// The table as a whole.
std::string whole_table(std::string_view prefix);

// Everything that makes an empty volume, as one query string and so one transaction. The schema
// itself only if `with_schema`.
std::string create_statements(std::string_view prefix, bool with_schema);

}  // namespace shoal::engine::postgres
