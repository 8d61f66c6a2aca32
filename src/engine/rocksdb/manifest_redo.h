// ManifestRedo: makes what RocksDB appends to its MANIFEST between two syncs happen as a whole or
// not at all.
//
// RocksDB appends an edit to the MANIFEST and syncs. A power cut in between may leave some sectors
// of the edit, and RocksDB takes that for damage and refuses to open, though nothing was lost (I9).
// So the bytes go to the file REDO first, with a checksum, and are synced there; then they are
// written to the MANIFEST. Whoever opens the folder next writes them once more: a torn MANIFEST is
// made whole, a whole one stays as it is. A torn REDO has a wrong checksum and says that the
// MANIFEST was not touched yet.
//
// REDO holds: the 8 bytes "SHREDO1\n"; little-endian u32 CRC32C of all that follows; u64 offset;
// varint-prefixed name; varint-prefixed bytes. Anything behind that is left from longer ones.
// Changing this needs another first line.
//
// Not thread-safe: RocksDB writes one MANIFEST at a time, under its own lock.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "sys/local_fs.h"

namespace shoal::engine {

class ManifestRedo {
 public:
  // `fs` outlives it.
  ManifestRedo(LocalFs& fs, Path folder) : fs_(fs), folder_(std::move(folder)) {}

  // Durably notes that `bytes` belong at `offset` of the file `name`. After that they may be
  // written there in any number of pieces, until the next call.
  Status note(std::string_view name, uint64_t offset, std::string_view bytes);

  // Takes the last note back, durably: it will not be applied. Fine when there was none.
  Status revoke();

  // Writes what was noted last to where it belongs, durably. Nothing to do when there is no valid
  // note or its file is gone. REQUIRES that nobody has the database open.
  static Status apply(LocalFs& fs, const Path& folder);

 private:
  LocalFs& fs_;
  const Path folder_;
  std::unique_ptr<File> file_;  // opened by the first note
};

}  // namespace shoal::engine
