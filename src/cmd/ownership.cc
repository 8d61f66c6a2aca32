#include "cmd/ownership.h"

#include <unistd.h>

#include <optional>

#include "cmd/command.h"
#include "format/election.h"
#include "format/keys.h"
#include "metasvc/election.h"

namespace shoal::cmd {
namespace {

Result<std::optional<format::Election>> read_election(engine::KvEngine& engine) {
  TRY_ASSIGN(const auto found, engine.get(nullptr, format::election_key()));
  if (!found) return std::optional<format::Election>();
  TRY_ASSIGN(format::Election record, format::decode_election(found->value));
  return std::optional(std::move(record));
}

}  // namespace

Status check_no_meta_server(Runtime& runtime, engine::KvEngine& engine, const MetaUrl& url) {
  TRY_ASSIGN(const auto first, read_election(engine));
  if (!first || first->released) return {};
  const auto begin = runtime.clock.since_boot();
  const auto term = metasvc::ElectionOptions{}.term;
  while (runtime.clock.since_boot() - begin <= term) {
    TRY_ASSIGN(const auto now, read_election(engine));
    if (now && now->count != first->count) {
      end_progress();
      if (now->released) return {};
      return error(EBUSY,
                   "the meta server at {} owns the volume at {}; use it, with shoal://{}/NAME, or "
                   "stop it first",
                   now->address, url.to_string(), now->address);
    }
    show_progress(fmt::format("looking whether the meta server at {} still lives", first->address));
    ::usleep(200'000);
  }
  end_progress();
  return {};
}

}  // namespace shoal::cmd
