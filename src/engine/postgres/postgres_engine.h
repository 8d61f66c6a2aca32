// The engine for many machines: a volume is a schema of a PostgreSQL database (15 or later).
//
//   postgres://user[:password]@host[:port]/database?prefix=NAME[&any libpq parameter]
//
// The prefix names the schema (a-z, 0-9 and _, default "shoal"), so that many volumes share a
// database. Everything else of the URL is libpq's: several hosts, a Unix socket's folder as `host`,
// sslmode; and the password may come from PGPASSWORD or ~/.pgpass. No text of this engine contains
// it.
//
// Durable on commit. A commit whose reply is lost, or whose wait for the synchronous standby was
// cancelled, is unknown; the same batch sent again resolves it if it inserts a key that no other
// batch inserts. Until then an attempt that fails answers unknown too, never an Error, for an Error
// means "certainly not".
//
// Errors: EINVAL the URL, EACCES user or rights, ENOENT no such database or no volume in it, EEXIST
// the schema belongs to something else, EBADMSG another version's, EPERM unsafe settings, EROFS a
// standby, ENOTCONN the server cannot be reached, ETIMEDOUT it did not answer, EBUSY another
// process holds rows that a commit needs, ENOSPC its disk is full, EIO the rest.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "sys/clock.h"

namespace shoal::engine {

struct PostgresOptions {
  bool create_if_missing = false;       // false and absent: ENOENT
  bool read_only = false;               // commits answer EROFS; settings are not looked at
  bool metadata_loss_accepted = false;  // opens in spite of settings that may lose commits
  size_t read_connections_max = 4;
  size_t tokens_max = 16;  // one more ends the oldest
  std::chrono::milliseconds token_age_max{120'000};
  std::chrono::milliseconds lock_wait_max{10'000};   // of a commit, for other processes' writes
  std::chrono::milliseconds reply_wait_max{60'000};  // then the connection counts as lost
};

class PostgresEngine : public KvEngine {
 public:
  // From now on the connections are called shoal/<prefix>/<epoch>, in time for their next use.
  virtual void set_epoch(uint64_t epoch) = 0;
  // Ends the connections of older epochs and waits until they are gone, so that their locks are.
  // Returns how many there were; EBUSY when one would not go. Connections of processes that have
  // not set an epoch yet stay.
  virtual Result<size_t> terminate_older_epochs(uint64_t epoch) = 0;
  // The settings that may lose acknowledged commits and were accepted at open, a sentence each.
  virtual std::vector<std::string> accepted_dangers() const = 0;
  // How many commits were repeated because of a serialization failure or a deadlock.
  virtual uint64_t repeated_commits() const = 0;
};

// `clock` outlives it.
Result<std::unique_ptr<PostgresEngine>> open_postgres(const std::string& url,
                                                      PostgresOptions options, const Clock& clock);

// Drops the volume's schema. ENOENT when there is none, EEXIST when the schema is not a volume's.
Status destroy_postgres(const std::string& url, const Clock& clock);

}  // namespace shoal::engine
