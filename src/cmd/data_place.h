// Where a mount serves what it has staged, and what others are told of it.
#pragma once

#include <optional>
#include <string>

#include "cmd/meta_url.h"
#include "cmd/runtime.h"

namespace shoal::cmd {

struct DataPlace {
  NetAddress listen;
  std::string host;  // under which others reach it, when `listen` is every address of this machine

  NetAddress reached_at(NetAddress bound) const;  // `bound`: `listen`, with its port
};

// As told, else where the meta server sees this machine: the same address with any port, or a Unix
// socket of this process when all mounts are on this machine. EINVAL names --data-listen.
Result<DataPlace> data_place(Runtime& runtime, const MetaUrl& url,
                             const std::optional<NetAddress>& told);
// HOST:PORT, [IPv6]:PORT or unix:PATH, as --data-listen takes it.
Result<NetAddress> parse_data_listen(const std::string& text);

}  // namespace shoal::cmd
