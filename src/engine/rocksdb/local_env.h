// RocksDB's files on a LocalFs, so that whatever cuts the power or fails calls below a LocalFs does
// so below RocksDB.
//
// Nothing is buffered here: RocksDB's own writer hands over whole buffers, and everything it wrote
// is in the file when its write returns. One promise is added: of several write-ahead logs only the
// newest can lose bytes in a power cut. A file system serves one database. Preallocation and range
// syncs are hints that are not taken: a LocalFs would grow the file.
#pragma once

#include <memory>

#include "sys/local_fs.h"

namespace rocksdb {
class Env;
class FileSystem;
}  // namespace rocksdb

namespace shoal::engine {

// `fs` outlives the result. Thread-safe.
std::shared_ptr<rocksdb::FileSystem> make_rocksdb_file_system(LocalFs& fs);

// The process's clock and thread pools with such files.
std::unique_ptr<rocksdb::Env> make_rocksdb_env(LocalFs& fs);

}  // namespace shoal::engine
