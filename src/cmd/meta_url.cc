#include "cmd/meta_url.h"

#include <filesystem>

#include "base/crc32c.h"
#include "engine/rocksdb/rocksdb_engine.h"

namespace shoal::cmd {
namespace {

constexpr std::string_view kRocksdb = "rocksdb://";
constexpr size_t kUnixPathBytesMax = 107;  // sun_path less its NUL, unix(7)

}  // namespace

Result<MetaUrl> MetaUrl::parse(std::string_view text) {
  if (!text.starts_with(kRocksdb)) {
    return error(EINVAL, "'{}' is not a META-URL; use rocksdb:///absolute/folder", text);
  }
  MetaUrl url;
  url.folder = text.substr(kRocksdb.size());
  if (url.folder.empty() || url.folder[0] != '/') {
    return error(EINVAL, "'{}': the folder must be absolute, as in rocksdb:///var/lib/shoal/meta",
                 text);
  }
  url.folder = std::filesystem::path(url.folder).lexically_normal().string();
  while (url.folder.size() > 1 && url.folder.back() == '/') url.folder.pop_back();
  return url;
}

std::string MetaUrl::to_string() const { return std::string(kRocksdb) + folder; }

NetAddress MetaUrl::control_address() const {
  NetAddress address;
  address.is_unix = true;
  address.path_or_host = folder + "/control.sock";
  if (address.path_or_host.size() > kUnixPathBytesMax) {
    address.path_or_host = fmt::format("/tmp/shoal-{:08x}{:08x}.sock", crc32c(as_bytes(folder)),
                                       crc32c(as_bytes(folder), 1));
  }
  return address;
}

Result<std::unique_ptr<engine::KvEngine>> open_engine(LocalFs& fs, const MetaUrl& url,
                                                      EngineOpen how) {
  engine::RocksdbOptions options;
  options.create_if_missing = how == EngineOpen::kCreate;
  if (how == EngineOpen::kCreate) TRY(make_dirs(fs, url.folder));
  Result<std::unique_ptr<engine::KvEngine>> opened = engine::open_rocksdb(fs, url.folder, options);
  if (!opened.ok() && opened.error().is(ENOENT)) {
    return error(ENOENT, "no volume at {}; make one with: shoal format {} NAME --bucket BUCKET-URL",
                 url.to_string(), url.to_string());
  }
  return opened;
}

}  // namespace shoal::cmd
