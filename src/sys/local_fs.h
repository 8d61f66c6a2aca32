// The machine's own file system, as everything that keeps state on this disk sees it: RocksDB
// (through a rocksdb::FileSystem over it), staging, the disk cache and the folder store. Real twin:
// RealFs. sim/sim_fs.h is an in-memory twin whose power can be cut (everything not synced is
// dropped, torn or reordered, directory entries included); sim/faulty_fs.h fails chosen calls.
//
// Durability contract, the same as POSIX and no more:
//   File::sync_data   makes written bytes (and the size needed to read them) durable, not the
//   file's name LocalFs::sync_dir makes the names in that directory durable (create, rename,
//   remove)
//
// Thread-safe: any calls on any File at once; overlapping writes are the caller's business.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/time.h"

namespace shoal {

using Path = std::string;  // absolute, or relative to the working directory; no globbing, no ~

inline Path join(std::string_view folder, std::string_view name) {
  Path path(folder);
  if (!path.empty() && path.back() != '/') path += '/';
  path += name;
  return path;
}
Path parent_of(std::string_view path);  // "a/b" → "a", "a" → "."
std::string_view base_name(std::string_view path);

class File {
 public:
  virtual ~File() = default;  // closes
  // Fills `into` from `offset`; returns fewer bytes only at the end of the file.
  virtual Result<size_t> read_at(uint64_t offset, MutableBytes into) = 0;
  // A hint that the range will be read soon; returns at once.
  virtual void will_need(uint64_t /*offset*/, uint64_t /*length*/) {}
  // Writes all of `bytes` or fails; a failure may leave any prefix written.
  virtual Status write_at(uint64_t offset, ByteView bytes) = 0;
  // Writes the spans one behind the other with as few system calls as possible (one pwritev for ≤
  // 1,024 spans).
  virtual Status write_spans_at(uint64_t offset, std::span<const ByteView> spans) = 0;
  // fdatasync and fsync. After a failure the bytes written since the last success may be gone,
  // whatever a later sync of this handle says; RealFs makes every later one fail with EIO.
  virtual Status sync_data() = 0;
  virtual Status sync() = 0;
  virtual Result<uint64_t> size() const = 0;
  virtual Status truncate(uint64_t size) = 0;
  // Reserves blocks for [offset, offset+length) and grows the file to hold them (fallocate).
  virtual Status allocate(uint64_t offset, uint64_t length) = 0;
  virtual Status punch(uint64_t offset, uint64_t length) = 0;  // makes a hole, size unchanged
};

struct FileInfo {
  bool is_directory = false;
  uint64_t size = 0;
  uint64_t allocated_bytes = 0;
  Time modified;
  uint64_t inode = 0;
};

struct DiskSpace {
  uint64_t total_bytes = 0;
  uint64_t available_bytes = 0;
};

enum class OpenMode {
  kRead,             // must exist
  kReadWrite,        // must exist
  kCreate,           // read-write; made if absent
  kCreateExclusive,  // read-write; EEXIST if present
  kTruncate,         // read-write; made if absent, emptied if present
  kReadDirect,  // kRead with O_DIRECT where the file system has it; offsets, lengths and memory 4
                // KiB-aligned
  kReadWriteDirect,  // kCreate with O_DIRECT, likewise
};

// Held until destroyed (or the process dies): an exclusive advisory lock.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

class LocalFs {
 public:
  virtual ~LocalFs() = default;
  virtual Result<std::unique_ptr<File>> open(const Path& path, OpenMode mode) = 0;
  virtual Status make_dir(const Path& path) = 0;                // EEXIST if present; mode 0700
  virtual Status remove(const Path& path) = 0;                  // a file
  virtual Status remove_dir(const Path& path) = 0;              // an empty directory
  virtual Status rename(const Path& from, const Path& to) = 0;  // replaces
  virtual Status link(const Path& from, const Path& to) = 0;
  virtual Result<std::vector<std::string>> list(
      const Path& folder) = 0;                          // names, sorted, without . and ..
  virtual Result<FileInfo> stat(const Path& path) = 0;  // ENOENT if absent; follows links
  virtual Status sync_dir(const Path& folder) = 0;
  virtual Result<DiskSpace> space(const Path& path) = 0;
  // EWOULDBLOCK when somebody holds it; makes the file.
  virtual Result<std::unique_ptr<FileLock>> lock(const Path& path) = 0;
};

// Conveniences over any LocalFs.
Result<bool> exists(LocalFs& fs, const Path& path);
// mkdir -p; every directory it made is synced in its parent.
Status make_dirs(LocalFs& fs, const Path& path);
Result<std::string> read_file(LocalFs& fs, const Path& path, uint64_t bytes_max);
// Atomic and durable: writes `path`.tmp, syncs it, renames, syncs the folder.
Status write_file_atomically(LocalFs& fs, const Path& path, ByteView bytes);
Status remove_tree(LocalFs& fs, const Path& path);  // ok when absent

class RealFs final : public LocalFs {
 public:
  Result<std::unique_ptr<File>> open(const Path& path, OpenMode mode) override;
  Status make_dir(const Path& path) override;
  Status remove(const Path& path) override;
  Status remove_dir(const Path& path) override;
  Status rename(const Path& from, const Path& to) override;
  Status link(const Path& from, const Path& to) override;
  Result<std::vector<std::string>> list(const Path& folder) override;
  Result<FileInfo> stat(const Path& path) override;
  Status sync_dir(const Path& folder) override;
  Result<DiskSpace> space(const Path& path) override;
  Result<std::unique_ptr<FileLock>> lock(const Path& path) override;
};

}  // namespace shoal
