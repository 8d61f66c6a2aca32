// What open_rocksdb() says about every kind of folder.
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/rocksdb/rocksdb_engine.h"
#include "sim/scratch_folder.h"

namespace shoal::engine {
namespace {

constexpr RocksdbOptions kCreate{.create_if_missing = true};
constexpr RocksdbOptions kReadOnly{.read_only = true};

class OpenTest : public testing::Test {
 protected:
  std::unique_ptr<KvEngine> open(RocksdbOptions options = {}) {
    Result<std::unique_ptr<KvEngine>> engine = open_rocksdb(folder_.fs(), db_, options);
    EXPECT_TRUE(engine.ok()) << engine.error().to_string();
    return engine.ok() ? std::move(*engine) : nullptr;
  }

  // The text names the folder, so that an operator knows which.
  void expect_refusal(RocksdbOptions options, int code) {
    const Result<std::unique_ptr<KvEngine>> engine = open_rocksdb(folder_.fs(), db_, options);
    ASSERT_FALSE(engine.ok());
    EXPECT_EQ(engine.code(), code) << engine.error().to_string();
    EXPECT_NE(engine.error().text().find(db_), std::string::npos) << engine.error().text();
  }

  void commit(KvEngine& engine, const std::string& key, const std::string& value) {
    Batch batch(++stamp_);
    batch.put(key, value);
    EXPECT_EQ(engine.commit(batch)->kind, CommitResult::Kind::kCommitted);
  }

  std::string value_of(KvEngine& engine, const std::string& key) {
    const auto found = engine.get(nullptr, key).value();
    return found.has_value() ? found->value : "absent";
  }

  std::vector<std::string> files(std::string_view prefix) {
    std::vector<std::string> names = folder_.fs().list(db_).value();
    std::erase_if(names, [&](const std::string& name) { return !name.starts_with(prefix); });
    return names;
  }

  void write(const std::string& name, std::string_view text) {
    write_file_atomically(folder_.fs(), join(db_, name), as_bytes(text)).value();
  }

  void create_with_one_key() {
    const auto engine = open(kCreate);
    commit(*engine, "a", "kept");
    ASSERT_TRUE(engine->sync().ok());
  }

  sim::ScratchFolder folder_;
  const Path db_ = folder_.path("state/db");
  Stamp stamp_ = 0;
};

TEST_F(OpenTest, a_new_database_is_made_only_when_asked_for) {
  expect_refusal({}, ENOENT);
  EXPECT_FALSE(exists(folder_.fs(), db_).value()) << "a refusal changes nothing";
  expect_refusal({.create_if_missing = true, .read_only = true}, ENOENT);
  open(kCreate);
  open();
}

TEST_F(OpenTest, what_was_committed_is_there_again) {
  {
    const auto engine = open(kCreate);
    for (int i = 0; i < 100; ++i) commit(*engine, "k" + std::to_string(i), std::to_string(i));
    Batch batch(++stamp_);
    batch.merge_add("n", 5);
    batch.remove("k7");
    engine->commit(batch).value();
  }
  for (int round = 0; round < 3; ++round) {
    const auto engine = open();
    EXPECT_EQ(value_of(*engine, "k42"), "42");
    EXPECT_EQ(engine->get(nullptr, "k42").value()->stamp, 43u);
    EXPECT_EQ(value_of(*engine, "k7"), "absent");
    EXPECT_EQ(read_counter(*engine, nullptr, "n").value(), 5 + round);
    Batch batch(++stamp_);
    batch.merge_add("n", 1);
    engine->commit(batch).value();
  }
}

TEST_F(OpenTest, one_process_at_a_time) {
  auto engine = open(kCreate);
  expect_refusal(kCreate, EBUSY);
  expect_refusal(kReadOnly, EBUSY);
  engine.reset();
  engine = open(kReadOnly);
  expect_refusal({}, EBUSY);
}

TEST_F(OpenTest, read_only_reads_and_refuses_writes) {
  create_with_one_key();
  const auto before = folder_.fs().list(db_).value();
  const auto engine = open(kReadOnly);
  EXPECT_EQ(value_of(*engine, "a"), "kept");
  const auto token = engine->read_token();
  EXPECT_EQ(engine->scan(token.get(), "", "", 10)->items.size(), 1u);
  EXPECT_EQ(engine->last(nullptr, "", "").value()->key, "a");
  Batch batch(++stamp_);
  batch.put("b", "never");
  EXPECT_EQ(engine->commit(batch).code(), EROFS);
  EXPECT_EQ(engine->ingest({{"b", 9, "never"}}).code(), EROFS);
  EXPECT_TRUE(engine->sync().ok());
  EXPECT_EQ(folder_.fs().list(db_).value(), before);
}

TEST_F(OpenTest, a_folder_of_somebody_else_is_left_alone) {
  make_dirs(folder_.fs(), db_).value();
  write("letter.txt", "dear …");
  expect_refusal(kCreate, EEXIST);
  expect_refusal({}, ENOENT);
  EXPECT_EQ(files(""), std::vector<std::string>{"letter.txt"});
}

TEST_F(OpenTest, a_creation_that_was_cut_off_is_done_again) {
  make_dirs(folder_.fs(), db_).value();
  write("FORMAT.tmp", "sho");
  write("LOCK", "");
  expect_refusal({}, ENOENT);
  create_with_one_key();
  remove_tree(folder_.fs(), db_).value();
  make_dirs(folder_.fs(), db_).value();
  write("FORMAT", "shoal-rocksdb 1\n");
  expect_refusal({}, ENOENT);
  create_with_one_key();
}

TEST_F(OpenTest, a_later_format_is_refused) {
  create_with_one_key();
  write("FORMAT", "shoal-rocksdb 2\n");
  expect_refusal(kCreate, EBADMSG);
  write("FORMAT", "something else");
  expect_refusal(kCreate, EBADMSG);
  write("FORMAT", "shoal-rocksdb 1\n");
  EXPECT_EQ(value_of(*open(), "a"), "kept");
}

TEST_F(OpenTest, a_lost_current_file_is_not_taken_for_an_empty_folder) {
  create_with_one_key();
  folder_.fs().remove(join(db_, "CURRENT")).value();
  expect_refusal(kCreate, EBADMSG);
  expect_refusal({}, EBADMSG);
}

TEST_F(OpenTest, a_damaged_manifest_is_reported) {
  create_with_one_key();
  for (const std::string& name : files("MANIFEST")) write(name, std::string(200, 'x'));
  expect_refusal(kCreate, EBADMSG);
}

TEST_F(OpenTest, a_damaged_table_is_reported_when_it_is_read) {
  create_with_one_key();
  open();  // recovery turns the log into a table
  int tables = 0;
  for (const std::string& name : files("0")) {
    if (!name.ends_with(".sst")) continue;
    ++tables;
    auto file = folder_.fs().open(join(db_, name), OpenMode::kReadWrite).value();
    file->write_at(8, as_bytes("xxxx")).value();
  }
  ASSERT_GT(tables, 0);
  const auto engine = open();
  EXPECT_EQ(engine->get(nullptr, "a").code(), EBADMSG);
  EXPECT_EQ(engine->scan(nullptr, "", "", 10).code(), EBADMSG);
  EXPECT_EQ(engine->last(nullptr, "", "").code(), EBADMSG);
}

TEST_F(OpenTest, leftovers_of_an_ingest_are_removed) {
  create_with_one_key();
  write("ingest-1.sst", "half a table");
  open();
  EXPECT_TRUE(files("ingest-").empty());
}

TEST_F(OpenTest, ingested_items_are_there_again_and_their_tables_moved) {
  std::vector<Item> items;
  for (int i = 0; i < 10'000; ++i) items.push_back({fmt::format("k{:06}", i), 77, "value"});
  {
    const auto engine = open(kCreate);
    ASSERT_TRUE(engine->ingest(items).ok());
  }
  EXPECT_TRUE(files("ingest-").empty());
  const auto engine = open();
  EXPECT_EQ(value_of(*engine, "k009999"), "value");
  EXPECT_GT(engine->disk_bytes().value(), 10'000u);
}

TEST_F(OpenTest, logs_and_manifests_do_not_pile_up_over_opens) {
  for (int i = 0; i < 12; ++i) commit(*open(kCreate), "a", "x");
  std::vector<std::string> logs = files("0");
  std::erase_if(logs, [](const std::string& name) { return !name.ends_with(".log"); });
  EXPECT_LE(logs.size(), 2u);
  EXPECT_LE(files("MANIFEST").size(), 2u);
  EXPECT_LE(files("OPTIONS").size(), 3u);
  EXPECT_TRUE(files("LOG").empty());
}

TEST_F(OpenTest, describe_names_the_folder) {
  EXPECT_NE(open(kCreate)->describe().find(db_), std::string::npos);
}

}  // namespace
}  // namespace shoal::engine
