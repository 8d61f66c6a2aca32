// META-URL as users type it: where a volume's metadata is.
//   rocksdb:///dir                                an embedded volume: RocksDB in a folder
//   postgres://user@host/database?volume=NAME     in a database, for `shoal meta` to own
//   shoal://host[:port][,host[:port]]/NAME        with a meta server
//   shoal+unix:///path/of.sock?volume=NAME        … on this machine
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "engine/engine.h"
#include "sys/clock.h"
#include "sys/local_fs.h"
#include "sys/net.h"

namespace shoal::cmd {

inline constexpr uint16_t kMetaPortDefault = 8710;

struct MetaUrl {
  enum class Kind { kRocksdb, kPostgres, kShoal };
  Kind kind = Kind::kRocksdb;
  std::string folder;               // kRocksdb: absolute
  std::string engine_url;           // kPostgres: as the engine takes it, with a password perhaps
  std::vector<NetAddress> servers;  // kShoal: at least one
  std::string volume;               // kShoal: its name

  // EINVAL naming what is wrong and the forms that exist.
  static Result<MetaUrl> parse(std::string_view text);
  std::string to_string() const;  // never with a password
  bool is_remote() const { return kind == Kind::kShoal; }
  // Where the process that works on the volume here listens: a socket in the folder (kRocksdb),
  // else this process's own.
  NetAddress control_address() const;

 private:
  std::string shown_;
};

// The Unix socket `name` in `folder`, or one below /tmp when that path would be too long.
NetAddress socket_in(const std::string& folder, const std::string& name);

// What --help says of a META-URL.
inline constexpr const char* kMetaUrlHelp =
    "rocksdb:///absolute/folder, postgres://user@host/database?volume=NAME or "
    "shoal://host[:port]/NAME";

struct EngineOpen {
  bool create = false;
  bool read_only = false;               // PostgreSQL: commits are refused
  bool metadata_loss_accepted = false;  // PostgreSQL: in spite of settings that may lose commits
};
// ENOENT "no volume at …" · EBUSY another process has it open. EINVAL for a meta server's volume.
Result<std::unique_ptr<engine::KvEngine>> open_engine(LocalFs& fs, const Clock& clock,
                                                      const MetaUrl& url, EngineOpen how = {});
// Everything that the engine holds, for good. REQUIRES that it is not open and no meta server's.
Status remove_engine(LocalFs& fs, const Clock& clock, const MetaUrl& url);

}  // namespace shoal::cmd
