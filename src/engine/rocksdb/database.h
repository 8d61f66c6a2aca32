// Opening and closing the RocksDB under the engine, and its errors in our words. Inside of this
// folder only.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "base/error.h"
#include "engine/rocksdb/rocksdb_engine.h"
#include "sys/local_fs.h"

namespace rocksdb {
class DB;
class Env;
class Status;
struct Options;
}  // namespace rocksdb

namespace shoal::engine {

// An open database and what it stands on. Members are destroyed in the right order.
struct Database {
  Database();
  Database(Database&&) noexcept;
  ~Database();
  std::unique_ptr<rocksdb::Env> env;
  std::shared_ptr<const rocksdb::Options> options;  // shared with the SST writers of ingest()
  std::shared_ptr<std::atomic<bool>>
      full;  // set when RocksDB found the disk full; shared with its listener
  std::unique_ptr<FileLock> read_only_lock;  // RocksDB locks only what it may write
  std::unique_ptr<rocksdb::DB> db;
};

// As open_rocksdb(). `env` null: files on `fs`; otherwise RocksDB's files go there (benchmarks
// only).
Result<Database> open_database(LocalFs& fs, const Path& folder, const RocksdbOptions& options,
                               std::unique_ptr<rocksdb::Env> env);

// The options of every database of ours; `env` outlives the result. `full` is set at every error
// for lack of space.
rocksdb::Options database_options(const RocksdbOptions& options, rocksdb::Env* env,
                                  std::shared_ptr<std::atomic<bool>> full);

// ENOSPC, EBUSY, EBADMSG or EIO. REQUIRES !status.ok().
Error to_error(const rocksdb::Status& status, std::string_view doing, const Path& folder);

// Removes what an ingest cut off by a crash left behind.
inline constexpr const char* kIngestPrefix = "ingest-";

// open_rocksdb() with another Env under RocksDB; `fs` still holds the format file.
Result<std::unique_ptr<KvEngine>> open_rocksdb_on(LocalFs& fs, const Path& folder,
                                                  const RocksdbOptions& options,
                                                  std::unique_ptr<rocksdb::Env> env);

}  // namespace shoal::engine
