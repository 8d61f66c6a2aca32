#include "cmd/meta_url.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "base/crc32c.h"
#include "cmd/runtime.h"
#include "engine/postgres/postgres_engine.h"
#include "engine/rocksdb/rocksdb_engine.h"

namespace shoal::cmd {
namespace {

constexpr std::string_view kRocksdb = "rocksdb://";
constexpr std::string_view kPostgres = "postgres://";
constexpr std::string_view kPostgresql = "postgresql://";
constexpr std::string_view kShoal = "shoal://";
constexpr std::string_view kShoalUnix = "shoal+unix://";
constexpr std::string_view kVolumeParameter = "volume=";
constexpr size_t kUnixPathBytesMax = 107;  // sun_path less its NUL, unix(7)

Result<std::string> absolute_path(std::string_view text, std::string_view path,
                                  const char* example) {
  if (path.empty() || path[0] != '/')
    return error(EINVAL, "'{}': the path must be absolute, as in {}", text, example);
  std::string normal = std::filesystem::path(path).lexically_normal().string();
  while (normal.size() > 1 && normal.back() == '/') normal.pop_back();
  return normal;
}

// A schema has a-z, 0-9 and _ in its name. Two names that become one meet the same volume, which
// says its name.
std::string schema_of(std::string_view volume) {
  std::string schema;
  for (const char c : volume) {
    const auto byte = static_cast<unsigned char>(c);
    schema += std::isalnum(byte) ? static_cast<char>(std::tolower(byte)) : '_';
  }
  return schema;
}

std::string without_password(std::string url) {
  const size_t begin = url.find("://") + 3;
  const size_t end = std::min(url.find_first_of("/?", begin), url.size());
  const size_t at = url.rfind('@', end);
  if (at != std::string::npos && at >= begin) {
    const size_t colon = url.find(':', begin);
    if (colon < at) url.erase(colon, at - colon);
  }
  if (const size_t word = url.find("password="); word != std::string::npos) {
    const size_t value = word + std::string_view("password=").size();
    url.replace(value, std::min(url.find('&', value), url.size()) - value, "…");
  }
  return url;
}

Result<NetAddress> parse_server(std::string_view text, std::string_view word) {
  const bool has_port =
      word.rfind(':') != std::string_view::npos &&
      word.rfind(':') > (word.rfind(']') == std::string_view::npos ? 0 : word.rfind(']'));
  Result<NetAddress> address = NetAddress::parse(
      fmt::format("tcp:{}{}", word, has_port ? "" : fmt::format(":{}", kMetaPortDefault)));
  if (address.ok() && !address->path_or_host.empty()) return address;
  return error(EINVAL, "'{}': '{}' is not the address of a meta server; use HOST or HOST:PORT",
               text, word);
}

// kShoal: servers, a slash, the name.
Status parse_shoal(std::string_view text, MetaUrl& url) {
  const std::string_view rest = text.substr(kShoal.size());
  const size_t slash = rest.find('/');
  if (slash == std::string_view::npos || slash + 1 == rest.size()) {
    return error(EINVAL, "'{}' names no volume; use shoal://HOST[:PORT]/NAME", text);
  }
  url.volume = rest.substr(slash + 1);
  for (size_t begin = 0; begin <= slash;) {
    const size_t end = std::min(rest.find(',', begin), slash);
    TRY_ASSIGN(NetAddress server, parse_server(text, rest.substr(begin, end - begin)));
    url.servers.push_back(std::move(server));
    begin = end + 1;
  }
  return {};
}

Status parse_shoal_unix(std::string_view text, MetaUrl& url) {
  const std::string_view rest = text.substr(kShoalUnix.size());
  const size_t mark = rest.find('?');
  const std::string_view query =
      mark == std::string_view::npos ? std::string_view() : rest.substr(mark + 1);
  if (!query.starts_with(kVolumeParameter) || query.size() == kVolumeParameter.size()) {
    return error(EINVAL, "'{}' names no volume; use shoal+unix:///path/of.sock?volume=NAME", text);
  }
  url.volume = query.substr(kVolumeParameter.size());
  NetAddress address;
  address.is_unix = true;
  TRY_ASSIGN(address.path_or_host,
             absolute_path(text, rest.substr(0, mark), "shoal+unix:///run/shoal.sock?volume=NAME"));
  url.servers.push_back(std::move(address));
  return {};
}

// `volume=NAME` becomes the engine's prefix.
Status parse_postgres(std::string_view text, MetaUrl& url) {
  const size_t mark = text.find('?');
  url.engine_url = text.substr(0, mark);
  char separator = '?';
  for (size_t begin = mark; begin < text.size();) {
    const size_t end = std::min(text.find('&', ++begin), text.size());
    std::string word(text.substr(begin, end - begin));
    begin = end;
    if (word.starts_with(kVolumeParameter))
      word = "prefix=" + schema_of(std::string_view(word).substr(kVolumeParameter.size()));
    url.engine_url += separator + word;
    separator = '&';
  }
  return {};
}

}  // namespace

Result<MetaUrl> MetaUrl::parse(std::string_view text) {
  MetaUrl url;
  if (text.starts_with(kRocksdb)) {
    TRY_ASSIGN(url.folder,
               absolute_path(text, text.substr(kRocksdb.size()), "rocksdb:///var/lib/shoal/meta"));
    url.shown_ = std::string(kRocksdb) + url.folder;
  } else if (text.starts_with(kPostgres) || text.starts_with(kPostgresql)) {
    url.kind = Kind::kPostgres;
    TRY(parse_postgres(text, url));
    url.shown_ = without_password(std::string(text));
  } else if (text.starts_with(kShoal)) {
    url.kind = Kind::kShoal;
    TRY(parse_shoal(text, url));
    url.shown_ = text;
  } else if (text.starts_with(kShoalUnix)) {
    url.kind = Kind::kShoal;
    TRY(parse_shoal_unix(text, url));
    url.shown_ = text;
  } else {
    return error(EINVAL, "'{}' is not a META-URL; use {}", without_password(std::string(text)),
                 kMetaUrlHelp);
  }
  return url;
}

std::string MetaUrl::to_string() const { return shown_; }

NetAddress socket_in(const std::string& folder, const std::string& name) {
  NetAddress address;
  address.is_unix = true;
  address.path_or_host = join(folder, name);
  if (address.path_or_host.size() > kUnixPathBytesMax) {
    address.path_or_host = fmt::format("/tmp/shoal-{:08x}{:08x}-{}", crc32c(as_bytes(folder)),
                                       crc32c(as_bytes(folder), 1), name);
  }
  return address;
}

NetAddress MetaUrl::control_address() const {
  if (kind == Kind::kRocksdb) return socket_in(folder, "control.sock");
  return socket_in(runtime_dir(), fmt::format("{}.sock", ::getpid()));
}

Result<std::unique_ptr<engine::KvEngine>> open_engine(LocalFs& fs, const Clock& clock,
                                                      const MetaUrl& url, EngineOpen how) {
  Result<std::unique_ptr<engine::KvEngine>> opened = Error(EINVAL);
  switch (url.kind) {
    case MetaUrl::Kind::kRocksdb: {
      engine::RocksdbOptions options;
      options.create_if_missing = how.create;
      if (how.create) TRY(make_dirs(fs, url.folder));
      opened = engine::open_rocksdb(fs, url.folder, options);
      break;
    }
    case MetaUrl::Kind::kPostgres: {
      engine::PostgresOptions options;
      options.create_if_missing = how.create;
      options.read_only = how.read_only;
      options.metadata_loss_accepted = how.metadata_loss_accepted;
      Result<std::unique_ptr<engine::PostgresEngine>> postgres =
          engine::open_postgres(url.engine_url, options, clock);
      if (postgres.ok()) {
        opened = std::unique_ptr<engine::KvEngine>(std::move(*postgres));
      } else {
        opened = std::move(postgres).error();
      }
      break;
    }
    case MetaUrl::Kind::kShoal:
      return error(EINVAL, "{} is a meta server's volume; give the META-URL of its engine here",
                   url.to_string());
  }
  if (!opened.ok() && opened.error().is(ENOENT)) {
    return error(ENOENT, "no volume at {}; make one with: shoal format {} NAME --bucket BUCKET-URL",
                 url.to_string(), url.to_string());
  }
  return opened;
}

Status remove_engine(LocalFs& fs, const Clock& clock, const MetaUrl& url) {
  if (url.kind == MetaUrl::Kind::kPostgres) return engine::destroy_postgres(url.engine_url, clock);
  return remove_tree(fs, url.folder);
}

}  // namespace shoal::cmd
