// The folder: what may be in it before it is opened, and what its errors are called.
//
// FORMAT names the engine and the number of its encoding and is the first file written, so a folder
// without it was never ours and one with a greater number is from a later Shoal.
#include <rocksdb/db.h>
#include <rocksdb/env.h>

#include <algorithm>

#include "engine/rocksdb/database.h"
#include "engine/rocksdb/local_env.h"
#include "engine/rocksdb/manifest_redo.h"

namespace shoal::engine {
namespace {

constexpr const char* kFormatFile = "FORMAT";
constexpr const char* kFormatName = "shoal-rocksdb ";
constexpr int kFormat = 1;
constexpr size_t kFormatBytesMax = 64;

bool has(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// What a creation that was cut off may leave without having kept anything.
bool means_nothing(std::string_view name) { return name == "FORMAT.tmp" || name == "LOCK"; }

bool holds_data(std::string_view name) { return name.ends_with(".sst") || name.ends_with(".log"); }

Status check_format(LocalFs& fs, const Path& folder) {
  TRY_ASSIGN(const std::string text, read_file(fs, join(folder, kFormatFile), kFormatBytesMax));
  std::string_view number = text;
  if (!number.starts_with(kFormatName)) {
    return error(EBADMSG, "{}/{} is damaged; restore the folder from a backup", folder,
                 kFormatFile);
  }
  number.remove_prefix(std::string_view(kFormatName).size());
  if (number == fmt::format("{}\n", kFormat)) return {};
  return error(EBADMSG,
               "{} was written by another version of Shoal (engine format {}); use that version",
               folder, number.substr(0, number.find('\n')));
}

// ENOENT, EEXIST or EBADMSG unless there is a database, or none and one is wanted.
Status prepare_folder(LocalFs& fs, const Path& folder, const RocksdbOptions& options) {
  const bool create = options.create_if_missing && !options.read_only;
  const Error absent =
      error(ENOENT, "there is no volume in {}; create one with `shoal format`", folder);
  Result<std::vector<std::string>> names = fs.list(folder);
  if (!names.ok()) {
    if (names.error().is(ENOTDIR))
      return error(ENOTDIR, "{} is not a directory; choose another folder", folder);
    if (!names.error().is(ENOENT)) return names.error();
    if (!create) return absent;
    TRY(make_dirs(fs, folder));
    names = std::vector<std::string>();
  }
  if (!has(*names, kFormatFile)) {
    const bool empty = std::all_of(names->begin(), names->end(), means_nothing);
    if (!empty) {
      return error(create ? EEXIST : ENOENT, "{} holds files but no volume; choose another folder",
                   folder);
    }
    if (!create) return absent;
    return write_file_atomically(fs, join(folder, kFormatFile),
                                 as_bytes(fmt::format("{}{}\n", kFormatName, kFormat)));
  }
  TRY(check_format(fs, folder));
  if (!has(*names, "CURRENT")) {
    if (std::any_of(names->begin(), names->end(), holds_data)) {
      return error(EBADMSG, "{}/CURRENT is gone; restore the folder from a backup", folder);
    }
    if (!create) return absent;
  }
  return {};
}

// They are complete or absent in RocksDB's own books; these are copies of what never got in.
Status remove_cut_off_ingests(LocalFs& fs, const Path& folder) {
  TRY_ASSIGN(const std::vector<std::string> names, fs.list(folder));
  for (const std::string& name : names) {
    if (name.starts_with(kIngestPrefix)) TRY(fs.remove(join(folder, name)));
  }
  return {};
}

Error locked(const Path& folder) {
  return error(EBUSY, "{} is in use by another process; wait until it ends, or stop it", folder);
}

// Takes the lock that RocksDB itself takes only for writing, and makes the folder whole as it
// would.
Result<std::unique_ptr<FileLock>> lock_to_read(LocalFs& fs, const Path& folder) {
  Result<std::unique_ptr<FileLock>> lock = fs.lock(join(folder, "LOCK"));
  if (!lock.ok()) {
    if (lock.error().is(EWOULDBLOCK)) return locked(folder);
    // Where nobody can write, nobody can hold it either.
    if (lock.error().is(EROFS) || lock.error().is(EACCES)) return std::unique_ptr<FileLock>();
    return lock;
  }
  TRY(ManifestRedo::apply(fs, folder));
  return lock;
}

}  // namespace

Database::Database() = default;
Database::Database(Database&&) noexcept = default;
Database::~Database() = default;

Error to_error(const rocksdb::Status& status, std::string_view doing, const Path& folder) {
  const std::string text = status.ToString();
  if (status.IsNoSpace()) {
    return error(ENOSPC, "{} {}: {}; free space on that disk", doing, folder, text);
  }
  if (status.IsBusy()) return locked(folder);
  if (status.IsCorruption()) {
    return error(EBADMSG, "{} {}: damaged: {}; restore the folder from a backup or load a dump",
                 doing, folder, text);
  }
  if (status.IsNotSupported() || status.IsInvalidArgument()) {
    return error(EBADMSG, "{} {}: {}; was it written by a later version?", doing, folder, text);
  }
  return error(EIO, "{} {}: {}", doing, folder, text);
}

Result<Database> open_database(LocalFs& fs, const Path& folder, const RocksdbOptions& options,
                               std::unique_ptr<rocksdb::Env> env) {
  TRY(prepare_folder(fs, folder, options));
  Database database;
  database.env = env != nullptr ? std::move(env) : make_rocksdb_env(fs);
  database.full = std::make_shared<std::atomic<bool>>(false);
  rocksdb::Options settings = database_options(options, database.env.get(), database.full);
  rocksdb::DB* db = nullptr;
  rocksdb::Status status;
  if (options.read_only) {
    TRY_ASSIGN(database.read_only_lock, lock_to_read(fs, folder));
    status = rocksdb::DB::OpenForReadOnly(settings, folder, &db);
  } else {
    status = rocksdb::DB::Open(settings, folder, &db);
  }
  if (!status.ok()) return to_error(status, "opening", folder);
  database.db.reset(db);
  database.options = std::make_shared<const rocksdb::Options>(std::move(settings));
  if (!options.read_only) TRY(remove_cut_off_ingests(fs, folder));
  return database;
}

}  // namespace shoal::engine
