// The folder of one store on this machine's disk:
//
//   <state_dir>/stores/<uuid>/
//     lock                    held while the store is open
//     store                   identity: volume, lineage, host, start count, nonces; replaced
//     atomically journals/00000007       a live journal; its segment header was durable before the
//     file had this name journals/00000007.end-N a poisoned journal: only bytes below N count
//     journals/free-00000003  recycled or new, never read: whatever lies in it is old
//     quarantine/             what does not belong here; never removed by us
//     report-N.txt            what the replay of start N did not apply
//
// Not thread-safe but where said.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "sys/local_fs.h"
#include "sys/random.h"

namespace shoal::data {

struct StoreIdentity {  // the file `store`
  Uuid store;
  Uuid volume;
  uint64_t lineage = 0;
  std::string host;
  uint64_t starts = 0;
  std::vector<uint64_t> nonces;  // one a start, newest last
};
std::string encode_store_identity(const StoreIdentity& identity);
Result<StoreIdentity> decode_store_identity(std::string_view bytes);

// Name of a file in journals/.
struct JournalName {
  uint64_t number = 0;
  bool free = false;
  std::optional<uint64_t> end;  // poisoned: where what counts ends
  std::string to_string() const;
  static std::optional<JournalName> parse(std::string_view name);
};

class StoreFolder {
 public:
  // Takes the first unlocked store of this volume below `state_dir`/stores or makes one, and notes
  // a fresh nonce and the start in it, durably.
  static Result<std::unique_ptr<StoreFolder>> open(LocalFs& fs, Random& random,
                                                   const Path& state_dir, const Uuid& volume,
                                                   uint64_t lineage, const std::string& host);

  const StoreIdentity& identity() const { return identity_; }
  uint64_t nonce() const { return identity_.nonces.back(); }
  const Path& path() const { return path_; }
  Path journals() const { return join(path_, "journals"); }
  Path journal_path(const JournalName& name) const { return join(journals(), name.to_string()); }
  Result<std::vector<std::string>> list_journals() { return fs_.list(journals()); }
  Status sync_journals() { return fs_.sync_dir(journals()); }  // thread-safe

  // Moves journals/`name` to quarantine/, durably.
  Status quarantine(const std::string& name);
  const std::vector<std::string>& notes() const { return notes_; }  // stores passed over and why

 private:
  StoreFolder(LocalFs& fs, Path path) : fs_(fs), path_(std::move(path)) {}
  // ENOENT: no store of ours (a note says why); EWOULDBLOCK: somebody has it.
  static Result<std::unique_ptr<StoreFolder>> take(LocalFs& fs, const Path& path, const Uuid& uuid,
                                                   const Uuid& volume,
                                                   std::vector<std::string>& notes);
  Status start(Random& random, const Uuid& volume, uint64_t lineage, const std::string& host);

  LocalFs& fs_;
  Path path_;
  std::unique_ptr<FileLock> lock_;
  StoreIdentity identity_;
  std::vector<std::string> notes_;
};

}  // namespace shoal::data
