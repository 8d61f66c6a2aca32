// Bulk loading past the log: items go to sorted tables beside the database, which then takes all of
// them at once.
#pragma once

#include <string>
#include <vector>

#include "engine/engine.h"
#include "sys/local_fs.h"

namespace rocksdb {
class DB;
struct Options;
}  // namespace rocksdb

namespace shoal::engine {

class SstFiles {
 public:
  // Writes and syncs tables named kIngestPrefix…; `items` as check_ingest() wants them, not empty.
  static Result<SstFiles> write(LocalFs& fs, const Path& folder, const rocksdb::Options& options,
                                const std::vector<Item>& items);
  SstFiles(SstFiles&&) = default;
  SstFiles& operator=(SstFiles&&) = delete;
  ~SstFiles();  // removes what was not moved

  // All tables become part of `db`, durably. After an error nobody can tell which did.
  Status move_into(rocksdb::DB& db);

 private:
  SstFiles(LocalFs& fs, Path folder) : fs_(fs), folder_(std::move(folder)) {}
  Status write_one(const rocksdb::Options& options, std::vector<Item>::const_iterator& next,
                   std::vector<Item>::const_iterator end);
  LocalFs& fs_;
  const Path folder_;
  std::vector<Path> paths_;
  std::vector<std::string> edges_;  // the first and the last key of each table
};

// EEXIST when `db` has one of the keys.
Status check_absent(rocksdb::DB& db, const Path& folder, const std::vector<Item>& items);

}  // namespace shoal::engine
