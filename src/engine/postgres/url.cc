// libpq parses the URL; what is ours is the prefix, the defaults that make a dead server noticed in
// seconds, and errors that cannot leak a password which was not percent-encoded.
#include "engine/postgres/url.h"

#include <libpq-fe.h>

#include <algorithm>
#include <memory>
#include <string_view>

namespace shoal::engine::postgres {
namespace {

constexpr std::string_view kForm =
    "postgres://user[:password]@host[:port]/database?prefix=NAME[&libpq parameters]";
constexpr std::string_view kPrefixDefault = "shoal";
// application_name is shoal/<prefix>/<epoch> and at most 63 bytes long.
constexpr size_t kPrefixBytesMax = 40;

constexpr std::pair<const char*, const char*> kDefaults[] = {
    {"connect_timeout", "10"},     {"keepalives_idle", "10"},
    {"keepalives_interval", "5"},  {"keepalives_count", "3"},
    {"tcp_user_timeout", "30000"}, {"target_session_attrs", "read-write"},
    {"client_encoding", "UTF8"},
};

struct FreeOptions {
  void operator()(PQconninfoOption* options) const { PQconninfoFree(options); }
};
using Options = std::unique_ptr<PQconninfoOption, FreeOptions>;

bool known_to_libpq(const std::string& name) {
  const Options defaults(PQconndefaults());
  for (const PQconninfoOption* at = defaults.get(); at != nullptr && at->keyword != nullptr; ++at) {
    if (name == at->keyword) return true;
  }
  return name == "ssl";  // JDBC's spelling, which libpq takes in URLs
}

Status check_prefix(const std::string& prefix) {
  const bool good = !prefix.empty() && prefix.size() <= kPrefixBytesMax &&
                    std::all_of(prefix.begin(), prefix.end(), [](char c) {
                      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
                    });
  if (!good) {
    return error(EINVAL, "a prefix has 1 to {} of a-z, 0-9 and _; choose another one",
                 kPrefixBytesMax);
  }
  if (prefix.starts_with("pg_") || prefix == "public" || prefix == "information_schema") {
    return error(EINVAL, "the prefix {} is PostgreSQL's own schema; choose another one", prefix);
  }
  return {};
}

struct Parts {
  std::string rest;  // the URL without our parameter
  std::string prefix{kPrefixDefault};
};

Result<Parts> take_prefix(const std::string& url) {
  const size_t mark = url.find('?');
  Parts parts{url.substr(0, mark)};
  if (mark == std::string::npos) return parts;
  const std::string query = url.substr(mark + 1);
  if (query.find('@') != std::string::npos) {
    return error(EINVAL,
                 "the URL has an @ behind its ?; write ?, @, / and % in a password as %3F, %40, "
                 "%2F and %25");
  }
  char separator = '?';
  for (size_t at = 0; at <= query.size();) {
    const size_t end = std::min(query.find('&', at), query.size());
    const std::string parameter = query.substr(at, end - at);
    at = end + 1;
    if (parameter.empty()) continue;
    const size_t equals = parameter.find('=');
    const std::string name = parameter.substr(0, equals);
    if (name == "prefix") {
      parts.prefix = equals == std::string::npos ? "" : parameter.substr(equals + 1);
      TRY(check_prefix(parts.prefix));
      continue;
    }
    if (equals == std::string::npos || !known_to_libpq(name)) {
      return error(EINVAL, "{} is neither `prefix` nor a connection parameter of libpq; remove it",
                   name);
    }
    parts.rest += separator + parameter;
    separator = '&';
  }
  return parts;
}

std::string value_of(const Target& target, std::string_view name) {
  for (const auto& [key, value] : target.parameters) {
    if (key == name) return value;
  }
  return {};
}

std::string shown(const Target& target) {
  std::string host = value_of(target, "host");
  if (host.empty()) host = value_of(target, "hostaddr");
  if (host.empty()) host = "the local socket";
  const std::string port = value_of(target, "port");
  return fmt::format("PostgreSQL at {}{}{}, database {}", host, port.empty() ? "" : ":", port,
                     value_of(target, "dbname"));
}

}  // namespace

Result<Target> parse_url(const std::string& url) {
  if (!url.starts_with("postgres://") && !url.starts_with("postgresql://")) {
    return error(EINVAL, "this is no URL of a PostgreSQL database; write {}", kForm);
  }
  TRY_ASSIGN(const Parts parts, take_prefix(url));
  // libpq's own message quotes what it does not understand, which may be the password.
  const Options options(PQconninfoParse(parts.rest.c_str(), nullptr));
  if (options == nullptr) {
    return error(EINVAL,
                 "the URL of the PostgreSQL database is malformed; write {} and percent-encode "
                 "special characters",
                 kForm);
  }
  Target target;
  target.prefix = parts.prefix;
  for (const PQconninfoOption* at = options.get(); at->keyword != nullptr; ++at) {
    if (at->val != nullptr && at->val[0] != '\0')
      target.parameters.emplace_back(at->keyword, at->val);
  }
  if (value_of(target, "dbname").empty()) {
    return error(EINVAL, "the URL names no database; write {}", kForm);
  }
  for (const auto& [name, value] : kDefaults) {
    if (value_of(target, name).empty()) target.parameters.emplace_back(name, value);
  }
  target.shown = shown(target);
  return target;
}

}  // namespace shoal::engine::postgres
