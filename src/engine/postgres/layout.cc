#include "engine/postgres/layout.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/check.h"
#include "base/coding.h"

namespace shoal::engine::postgres {
namespace {

// A few rows, rewritten all the time: room for new versions on their page, vacuumed at once.
constexpr const char* kCells =
    "fillfactor = 50, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_scale_factor = 0, "
    "autovacuum_analyze_threshold = 100000, autovacuum_vacuum_cost_delay = 0";
// Rows that come and go in order.
constexpr const char* kQueue =
    "autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0, "
    "autovacuum_analyze_threshold = 100000, autovacuum_vacuum_cost_delay = 0";
// Many rows, rewritten often.
constexpr const char* kCounters =
    "fillfactor = 70, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_scale_factor = 0.05, "
    "autovacuum_vacuum_cost_delay = 0";
// Inodes: grow a little when written, which then stays on their page.
constexpr const char* kInodes =
    "fillfactor = 85, autovacuum_vacuum_threshold = 10000, autovacuum_vacuum_scale_factor = 0.02, "
    "autovacuum_vacuum_insert_scale_factor = 0.1, autovacuum_analyze_scale_factor = 0.1";
// Entries, extents and the like: written once, later deleted.
constexpr const char* kData =
    "autovacuum_vacuum_threshold = 10000, autovacuum_vacuum_scale_factor = 0.02, "
    "autovacuum_vacuum_insert_scale_factor = 0.1, autovacuum_analyze_scale_factor = 0.1";

// The inode numbers at which a new partition begins; they are given out from 1 upwards.
constexpr uint64_t kInodeBounds[] = {uint64_t{1} << 24, uint64_t{1} << 27, uint64_t{1} << 30};

std::string inode_bound(char letter, uint64_t ino) {
  std::string key(1, letter);
  Encoder(key).be64(ino);
  return key;
}

void add_by_inode(std::vector<Partition>& to, char letter, const char* settings) {
  const char lower = static_cast<char>(letter - 'A' + 'a');
  to.push_back({fmt::format("kv_{}0", lower), std::string(1, letter), settings});
  for (size_t i = 0; i < std::size(kInodeBounds); ++i) {
    to.push_back(
        {fmt::format("kv_{}{}", lower, i + 1), inode_bound(letter, kInodeBounds[i]), settings});
  }
}

// The letters are design §5.2's.
std::vector<Partition> make_partitions() {
  std::vector<Partition> all;
  all.push_back({"kv_a", "", kData});  // A, B and all below
  all.push_back({"kv_c", "C", kCells});
  add_by_inode(all, 'D', kData);
  add_by_inode(all, 'E', kData);
  all.push_back({"kv_f", "F", kCells});
  all.push_back({"kv_g", "G", kQueue});  // and H
  add_by_inode(all, 'I', kInodes);
  all.push_back({"kv_k", "J", kCells});  // J and K
  all.push_back({"kv_l", "L", kData});   // and M
  all.push_back({"kv_n", "N", kQueue});
  all.push_back({"kv_o", "O", kData});  // to R
  all.push_back({"kv_s", "S", kCells});
  all.push_back({"kv_t", "T", kQueue});
  all.push_back({"kv_u", "U", kCounters});
  all.push_back({"kv_v", "V", kCells});
  all.push_back({"kv_w", "W", kCounters});
  all.push_back({"kv_x", "X", kData});  // and all above
  return all;
}

// A bound of CREATE TABLE … PARTITION OF.
std::string bound(std::string_view key, const char* otherwise) {
  if (key.empty()) return otherwise;
  return fmt::format("'\\x{}'", to_hex(as_bytes(key)));
}

}  // namespace

const std::vector<Partition>& partitions() {
  static const std::vector<Partition> all = make_partitions();
  return all;
}

size_t partition_of(std::string_view key) {
  const std::vector<Partition>& all = partitions();
  const auto after = std::upper_bound(
      all.begin(), all.end(), key,
      [](std::string_view k, const Partition& partition) { return k < partition.from; });
  CHECK(after != all.begin());
  return static_cast<size_t>(after - all.begin()) - 1;
}

PartitionRange partitions_of(std::string_view begin, std::string_view end) {
  CHECK(end.empty() || begin < end);
  const std::vector<Partition>& all = partitions();
  PartitionRange range{partition_of(begin), all.size() - 1};
  if (end.empty()) return range;
  range.last = partition_of(end);
  if (all[range.last].from == end) --range.last;
  return range;
}

std::string partition_table(std::string_view prefix, size_t partition) {
  return fmt::format("\"{}\".{}", prefix, partitions()[partition].name);
}

std::string whole_table(std::string_view prefix) { return fmt::format("\"{}\".kv", prefix); }

std::string create_statements(std::string_view prefix, bool with_schema) {
  std::string sql;
  if (with_schema) sql += fmt::format("CREATE SCHEMA \"{}\";\n", prefix);
  // `barrier` is written when a conflict must be known to be on the standby too (commit.cc).
  sql += fmt::format(
      "CREATE TABLE \"{0}\".volume (format integer NOT NULL, barrier bigint NOT NULL) "
      "WITH (fillfactor = 10);\n"
      "INSERT INTO \"{0}\".volume VALUES ({1}, 0);\n"
      // `counter` is there iff a merge wrote the key last; then it is the value and `value` has no
      // meaning.
      "CREATE TABLE \"{0}\".kv (stamp bigint NOT NULL, counter bigint, key bytea NOT NULL, "
      "value bytea, PRIMARY KEY (key)) PARTITION BY RANGE (key);\n"
      // Long values are packed replies and extended attributes: no time spent on compressing them.
      "ALTER TABLE \"{0}\".kv ALTER COLUMN value SET STORAGE EXTERNAL;\n",
      prefix, kFormat);
  const std::vector<Partition>& all = partitions();
  for (size_t i = 0; i < all.size(); ++i) {
    const std::string_view end = i + 1 < all.size() ? std::string_view(all[i + 1].from) : "";
    sql += fmt::format(
        "CREATE TABLE {} PARTITION OF \"{}\".kv FOR VALUES FROM ({}) TO ({}) WITH ({});\n",
        partition_table(prefix, i), prefix, bound(all[i].from, "MINVALUE"), bound(end, "MAXVALUE"),
        all[i].settings);
  }
  return sql;
}

}  // namespace shoal::engine::postgres
