#include "cmd/data_place.h"

#include <unistd.h>

namespace shoal::cmd {
namespace {

bool is_every_address(const NetAddress& address) {
  const std::string& host = address.path_or_host;
  return !address.is_unix && (host.empty() || host == "0.0.0.0" || host == "::");
}

// Any server will do: they are on the same network.
Result<std::string> host_towards_servers(Runtime& runtime, const MetaUrl& url) {
  Error why(EHOSTUNREACH);
  for (const NetAddress& server : url.servers) {
    if (server.is_unix) continue;
    Result<std::string> host = runtime.net.local_host_towards(server);
    if (host.ok()) return host;
    why = host.error();
  }
  return why;
}

}  // namespace

NetAddress DataPlace::reached_at(NetAddress bound) const {
  if (!host.empty()) bound.path_or_host = host;
  return bound;
}

Result<DataPlace> data_place(Runtime& runtime, const MetaUrl& url,
                             const std::optional<NetAddress>& told) {
  DataPlace place;
  if (told) {
    place.listen = *told;
    if (!is_every_address(*told)) return place;
    Result<std::string> host = host_towards_servers(runtime, url);
    if (!host.ok()) {
      return error(EINVAL, "--data-listen {}: name the address that other nodes reach: {}",
                   told->to_string(), host.error().text());
    }
    place.host = *host;
    return place;
  }
  if (!url.is_remote() || url.servers.front().is_unix) {
    TRY(make_dirs(runtime.fs, runtime_dir()));
    place.listen.is_unix = true;
    place.listen.path_or_host = join(runtime_dir(), fmt::format("data-{}.sock", ::getpid()));
    return place;
  }
  TRY_ASSIGN(place.listen.path_or_host, host_towards_servers(runtime, url));
  return place;
}

Result<NetAddress> parse_data_listen(const std::string& text) {
  const bool is_unix = text.rfind("unix:", 0) == 0;
  Result<NetAddress> address = NetAddress::parse(is_unix ? text : "tcp:" + text);
  if (address.ok()) return address;
  return error(EINVAL, "--data-listen {}: give HOST:PORT (port 0: any) or unix:/path/of.sock",
               text);
}

}  // namespace shoal::cmd
