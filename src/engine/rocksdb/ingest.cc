#include "engine/rocksdb/ingest.h"

#include <rocksdb/db.h>
#include <rocksdb/sst_file_writer.h>

#include <atomic>
#include <iterator>

#include "engine/rocksdb/database.h"
#include "engine/rocksdb/stored_value.h"

namespace shoal::engine {
namespace {

constexpr uint64_t kTableBytes = 64 << 20;

rocksdb::Slice slice_of(std::string_view text) { return {text.data(), text.size()}; }

// Unique among the calls of this process; an earlier process's leftovers went when the folder was
// opened.
Path next_path(const Path& folder) {
  static std::atomic<uint64_t> sequence = 0;
  return join(folder, fmt::format("{}{}.sst", kIngestPrefix, ++sequence));
}

}  // namespace

Result<SstFiles> SstFiles::write(LocalFs& fs, const Path& folder, const rocksdb::Options& options,
                                 const std::vector<Item>& items) {
  SstFiles files(fs, folder);
  for (auto next = items.begin(); next != items.end();) {
    TRY(files.write_one(options, next, items.end()));
  }
  return files;
}

Status SstFiles::write_one(const rocksdb::Options& options, std::vector<Item>::const_iterator& next,
                           std::vector<Item>::const_iterator end) {
  rocksdb::SstFileWriter writer(rocksdb::EnvOptions(), options);
  paths_.push_back(next_path(folder_));
  edges_.push_back(next->key);
  rocksdb::Status status = writer.Open(paths_.back());
  for (; status.ok() && next != end && writer.FileSize() < kTableBytes; ++next) {
    status = writer.Put(slice_of(next->key), encode_stored(next->stamp, next->value));
  }
  if (status.ok()) status = writer.Finish();
  if (!status.ok()) return to_error(status, "writing a table in", folder_);
  edges_.push_back(std::prev(next)->key);
  return {};
}

SstFiles::~SstFiles() {
  for (const Path& path : paths_) {
    fs_.remove(path).ignore("moved already, or the next open removes it");
  }
}

Status SstFiles::move_into(rocksdb::DB& db) {
  rocksdb::IngestExternalFileOptions options;
  options.move_files = true;
  options.failed_move_fall_back_to_copy = false;
  const rocksdb::Status status = db.IngestExternalFile(paths_, options);
  if (!status.ok()) return to_error(status, "adding tables to", folder_);
  // RocksDB finds the bounds of a table by an iterator whose errors it does not look at: when that
  // read failed the table is in, and none of its keys can be found.
  for (const std::string& key : edges_) {
    std::string stored;
    const rocksdb::Status found = db.Get(rocksdb::ReadOptions(), key, &stored);
    if (!found.ok()) {
      return error(EIO, "a table added to {} lacks key {}: {}", folder_, to_hex(as_bytes(key)),
                   found.ToString());
    }
  }
  return {};
}

Status check_absent(rocksdb::DB& db, const Path& folder, const std::vector<Item>& items) {
  const std::unique_ptr<rocksdb::Iterator> at(db.NewIterator(rocksdb::ReadOptions()));
  at->Seek(slice_of(items.front().key));
  for (const Item& item : items) {
    const rocksdb::Slice key = slice_of(item.key);
    if (at->Valid() && at->key().compare(key) < 0) at->Seek(key);
    if (!at->Valid()) break;
    if (at->key() == key) {
      return error(EEXIST, "key {} of an ingest is there already", to_hex(as_bytes(item.key)));
    }
  }
  if (!at->status().ok()) return to_error(at->status(), "scanning", folder);
  return {};
}

}  // namespace shoal::engine
