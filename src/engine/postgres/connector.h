// Opens sessions of a volume: settings that pin plans and durability, a name that tells the epoch.
// Thread-safe. Private to this folder.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/postgres/connection.h"
#include "engine/postgres/postgres_engine.h"
#include "engine/postgres/url.h"
#include "sys/mutex.h"

namespace shoal::engine::postgres {

enum class Purpose {
  kRead,    // single statements
  kToken,   // transactions that only read
  kCommit,  // single statements that write; also what creates a volume
};

class Connector {
 public:
  // `clock` outlives it.
  Connector(Target target, const PostgresOptions& options, const Clock& clock)
      : target_(std::move(target)), options_(options), clock_(clock) {}

  const Target& target() const { return target_; }
  const PostgresOptions& options() const { return options_; }

  // A session for writing refuses unsafe settings with EPERM unless their loss is accepted. Looked
  // at for each, because the server may be another one now.
  Result<std::unique_ptr<Connection>> connect(Purpose purpose);

  // The session's name on the server is up to date when it returns: one round trip after the epoch
  // changed, else none.
  Status call_by_name(Connection& connection);
  void set_epoch(uint64_t epoch);

  std::vector<std::string> accepted_dangers() const;

 private:
  std::string name() const;

  const Target target_;
  const PostgresOptions options_;
  const Clock& clock_;
  mutable Mutex mutex_;
  std::string epoch_ GUARDED_BY(mutex_) = "-";
  std::vector<std::string> accepted_dangers_ GUARDED_BY(mutex_);
};

// application_name of the sessions of an epoch, without the epoch: "shoal/<prefix>/".
std::string session_name_stem(std::string_view prefix);

}  // namespace shoal::engine::postgres
