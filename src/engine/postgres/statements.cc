// A batch becomes one statement: per partition and kind of write a CTE over arrays of keys. The
// last SELECT divides by zero unless every update, erase and check met its row, which takes
// everything back.
//
//   WITH q0 AS (UPDATE … FROM unnest($1::bytea[], $2::bytea[], $3::bigint[], $4::bigint[]) …
//               RETURNING 1),
//        q1 AS (INSERT … SELECT … FROM unnest($5::bytea[], $6::bytea[], $7::bigint[]) …)
//   SELECT 1 / (CASE WHEN (SELECT count(*) FROM q0) = cardinality($1) THEN 1 ELSE 0 END)
//
// An insert is a plain INSERT because an absent key has no row to lock: with anything more lenient
// two racing inserts would both succeed. A row that another transaction holds is looked at again
// when that has ended, so stamps are compared with the newest version. Keys go in order, so that
// two batches mostly take common rows in the same order.
#include "engine/postgres/statements.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/check.h"
#include "engine/postgres/layout.h"
#include "engine/postgres/wire.h"

namespace shoal::engine::postgres {
namespace {

using Group = std::vector<const Write*>;

// A counter in a value that a typed write left: eight bytes, little-endian.
std::string little_endian(std::string_view value) {
  std::string sum;
  for (int byte = 0; byte < 8; ++byte) {
    sum += fmt::format("{}(get_byte({}, {})::bigint << {})", byte == 0 ? "" : " | ", value, byte,
                       byte * 8);
  }
  return "(" + sum + ")";
}

// a + b that wraps instead of failing: modulo 2^64, in a type that is wide enough.
std::string wrapped_sum(std::string_view a, std::string_view b) {
  return fmt::format(
      "(mod({}::numeric + {}::numeric + 27670116110564327424, 18446744073709551616) - "
      "9223372036854775808)::bigint",
      a, b);
}

class CommitBuilder {
 public:
  CommitBuilder(std::string_view prefix, const Batch& batch) : prefix_(prefix), batch_(batch) {}

  void add(size_t partition, Write::Kind kind, Group group) {
    std::sort(group.begin(), group.end(),
              [](const Write* a, const Write* b) { return a->key < b->key; });
    const std::string table = partition_table(prefix_, partition);
    switch (kind) {
      case Write::Kind::kCheck:
        return check(table, group);
      case Write::Kind::kUpdate:
        return update(table, group);
      case Write::Kind::kErase:
        return erase(table, group);
      case Write::Kind::kInsert:
        part(insert(table, group));
        return;
      case Write::Kind::kPut:
        part(insert(table, group) +
             " ON CONFLICT (key) DO UPDATE SET stamp = excluded.stamp, value = excluded.value, "
             "counter = NULL");
        return;
      case Write::Kind::kRemove:
        part(fmt::format("DELETE FROM {} t USING unnest({}) AS u(key) WHERE t.key = u.key", table,
                         keys(group)));
        return;
      case Write::Kind::kMergeAdd:
      case Write::Kind::kMergeMax:
        return merge(table, kind, group);
    }
  }

  Statement finish() && {
    statement_.sql = with_;
    if (conditions_.empty()) {
      statement_.sql += "\nSELECT 1";
    } else {
      statement_.sql += fmt::format("\nSELECT 1 / (CASE WHEN {} THEN 1 ELSE 0 END)", conditions_);
    }
    return std::move(statement_);
  }

 private:
  std::string parameter(std::string value, std::string_view type) {
    statement_.parameters.push_back(std::move(value));
    return fmt::format("${}::{}", statement_.parameters.size(), type);
  }
  std::string keys(const Group& group) {
    std::vector<std::string_view> all;
    for (const Write* write : group) all.push_back(write->key);
    return parameter(encode_bytes_array(all), "bytea[]");
  }
  std::string values(const Group& group) {
    std::vector<std::string_view> all;
    for (const Write* write : group) all.push_back(write->value);
    return parameter(encode_bytes_array(all), "bytea[]");
  }
  std::string stamps(const Group& group) {
    std::vector<int64_t> all;
    for (const Write* write : group) all.push_back(as_column(batch_.stamp_of(*write)));
    return parameter(encode_integer_array(all), "bigint[]");
  }
  std::string expected(const Group& group) {
    std::vector<int64_t> all;
    for (const Write* write : group) all.push_back(as_column(write->expected));
    return parameter(encode_integer_array(all), "bigint[]");
  }

  // Returns the name of the CTE.
  std::string part(const std::string& sql) {
    std::string name = fmt::format("q{}", parts_++);
    with_ += fmt::format("{}{} AS ({})", parts_ == 1 ? "WITH " : ",\n", name, sql);
    return name;
  }
  void must_match(const std::string& part, const std::string& keys) {
    if (!conditions_.empty()) conditions_ += " AND ";
    conditions_ += fmt::format("(SELECT count(*) FROM {}) = cardinality({})", part, keys);
  }

  void check(const std::string& table, const Group& group) {
    const std::string k = keys(group);
    const std::string e = expected(group);
    must_match(part(fmt::format("SELECT 1 FROM unnest({}, {}) AS u(key, expected) JOIN {} t ON "
                                "t.key = u.key AND t.stamp = u.expected FOR SHARE OF t",
                                k, e, table)),
               k);
  }
  void update(const std::string& table, const Group& group) {
    const std::string k = keys(group);
    const std::string v = values(group);
    const std::string e = expected(group);
    const std::string s = stamps(group);
    must_match(part(fmt::format("UPDATE {} t SET stamp = u.stamp, value = u.value, counter = NULL "
                                "FROM unnest({}, {}, {}, {}) AS u(key, value, expected, stamp) "
                                "WHERE t.key = u.key AND t.stamp = u.expected RETURNING 1",
                                table, k, v, e, s)),
               k);
  }
  void erase(const std::string& table, const Group& group) {
    const std::string k = keys(group);
    const std::string e = expected(group);
    must_match(part(fmt::format("DELETE FROM {} t USING unnest({}, {}) AS u(key, expected) WHERE "
                                "t.key = u.key AND t.stamp = u.expected RETURNING 1",
                                table, k, e)),
               k);
  }
  std::string insert(const std::string& table, const Group& group) {
    const std::string k = keys(group);
    const std::string v = values(group);
    const std::string s = stamps(group);
    return fmt::format(
        "INSERT INTO {} AS t (key, stamp, value) SELECT u.key, u.stamp, u.value FROM "
        "unnest({}, {}, {}) AS u(key, value, stamp)",
        table, k, v, s);
  }

  // What is inserted when the key is absent is the merge with 0. The operand itself is beside it in
  // `value`, because ON CONFLICT sees only the row that was not inserted, and the greater one of 0
  // and a negative operand is not the operand. A value that is no counter stays as it is
  // (rules.h).
  void merge(const std::string& table, Write::Kind kind, const Group& group) {
    const bool add = kind == Write::Kind::kMergeAdd;
    std::vector<int64_t> initial;
    for (const Write* write : group) {
      const int64_t operand = decode_counter(write->value).value();
      initial.push_back(add ? operand : std::max<int64_t>(operand, 0));
    }
    const std::string operand = little_endian("excluded.value");
    const auto merged = [&](const std::string& base) {
      return add ? wrapped_sum(base, operand) : fmt::format("greatest({}, {})", base, operand);
    };
    const std::string k = keys(group);
    const std::string v = values(group);
    const std::string i = parameter(encode_integer_array(initial), "bigint[]");
    part(fmt::format(
        "INSERT INTO {} AS t (key, stamp, value, counter) SELECT u.key, 0, u.value, u.counter FROM "
        "unnest({}, {}, {}) AS u(key, value, counter) ON CONFLICT (key) DO UPDATE SET stamp = 0, "
        "counter = CASE WHEN t.counter IS NOT NULL THEN {} WHEN octet_length(t.value) = 8 THEN {} "
        "END, value = CASE WHEN t.counter IS NULL AND octet_length(t.value) <> 8 THEN t.value END",
        table, k, v, i, merged("t.counter"), merged(little_endian("t.value"))));
  }

  const std::string prefix_;
  const Batch& batch_;
  Statement statement_;
  std::string with_;
  std::string conditions_;
  int parts_ = 0;
};

}  // namespace

Statement commit_statement(std::string_view prefix, const Batch& batch) {
  std::map<std::pair<size_t, Write::Kind>, Group> groups;
  for (const Write& write : batch.writes()) {
    groups[{partition_of(write.key), write.kind}].push_back(&write);
  }
  CommitBuilder builder(prefix, batch);
  for (auto& [at, group] : groups) builder.add(at.first, at.second, std::move(group));
  return std::move(builder).finish();
}

Statement get_statement(std::string_view prefix, const std::vector<std::string_view>& keys) {
  CHECK(!keys.empty());
  struct Wanted {
    std::vector<std::string_view> keys;
    std::vector<int64_t> positions;
  };
  std::map<size_t, Wanted> wanted;
  for (size_t i = 0; i < keys.size(); ++i) {
    Wanted& of_partition = wanted[partition_of(keys[i])];
    of_partition.keys.push_back(keys[i]);
    of_partition.positions.push_back(static_cast<int64_t>(i));
  }
  Statement statement;
  for (const auto& [partition, of_partition] : wanted) {
    const size_t n = statement.parameters.size();
    statement.sql += fmt::format(
        "{}SELECT u.at, t.stamp, t.value, t.counter FROM unnest(${}::bytea[], ${}::bigint[]) AS "
        "u(key, at) JOIN {} t ON t.key = u.key",
        n == 0 ? "" : " UNION ALL ", n + 1, n + 2, partition_table(prefix, partition));
    statement.parameters.push_back(encode_bytes_array(of_partition.keys));
    statement.parameters.push_back(encode_integer_array(of_partition.positions));
  }
  return statement;
}

Statement range_statement(std::string_view prefix, std::string_view begin, std::string_view end,
                          Order order, size_t limit) {
  const PartitionRange range = partitions_of(begin, end);
  const bool one = range.first == range.last;
  Statement statement;
  statement.sql = fmt::format(
      "SELECT t.stamp, t.value, t.counter, t.key FROM {} t WHERE t.key >= $1::bytea{} "
      "ORDER BY t.key{} LIMIT $2::bigint",
      one ? partition_table(prefix, range.first) : whole_table(prefix),
      end.empty() ? "" : " AND t.key < $3::bytea", order == Order::kDescending ? " DESC" : "");
  statement.parameters = {std::string(begin), encode_integer(static_cast<int64_t>(limit))};
  if (!end.empty()) statement.parameters.emplace_back(end);
  return statement;
}

}  // namespace shoal::engine::postgres
