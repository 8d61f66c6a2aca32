// META-URL as users type it: where a volume's metadata is.
//   rocksdb:///dir        an embedded volume: RocksDB in a folder
//   memory://             nothing is kept (tests)
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "engine/engine.h"
#include "sys/local_fs.h"
#include "sys/net.h"

namespace shoal::cmd {

struct MetaUrl {
  enum class Kind { kRocksdb };
  Kind kind = Kind::kRocksdb;
  std::string folder;  // absolute

  // EINVAL naming what is wrong and the forms that exist.
  static Result<MetaUrl> parse(std::string_view text);
  std::string to_string() const;
  // Where the process that owns the volume listens: a socket in the folder, or below /tmp when the
  // path is too long for a Unix socket.
  NetAddress control_address() const;
};

enum class EngineOpen { kExisting, kCreate };
// ENOENT "no volume at …" · EBUSY another process has it open.
Result<std::unique_ptr<engine::KvEngine>> open_engine(LocalFs& fs, const MetaUrl& url,
                                                      EngineOpen how);

}  // namespace shoal::cmd
