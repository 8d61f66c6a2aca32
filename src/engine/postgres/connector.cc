#include "engine/postgres/connector.h"

#include "base/log.h"
#include "engine/postgres/errors.h"
#include "engine/postgres/safety.h"

namespace shoal::engine::postgres {
namespace {

// Every statement is a walk over an index from a handful of keys. Plans chosen while the tables
// were empty would scan them whole for ever after; costs 2–10x (design §5.4).
constexpr const char* kPlans =
    "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; "
    "SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_bitmapscan = off; "
    "SET enable_material = off; SET enable_memoize = off; SET jit = off; "
    "SET max_parallel_workers_per_gather = 0; "
    // Names mean PostgreSQL's own functions, whatever lies in other schemas.
    "SET search_path = pg_catalog; SET client_min_messages = warning; "
    // A commit is never cancelled half-way, a pooled session never by idleness: our own limits
    // apply.
    "SET statement_timeout = 0; SET idle_session_timeout = 0; ";

std::string settings_for(Purpose purpose, const PostgresOptions& options,
                         const std::string& synchronous_commit) {
  switch (purpose) {
    case Purpose::kRead:
      return "SET default_transaction_isolation = 'read committed'; "
             "SET default_transaction_read_only = on";
    case Purpose::kToken:
      // The server ends what this process forgot.
      return fmt::format("SET idle_in_transaction_session_timeout = {}",
                         options.token_age_max.count());
    case Purpose::kCommit: {
      std::string sql =
          fmt::format("SET lock_timeout = {}; SET idle_in_transaction_session_timeout = 0",
                      options.lock_wait_max.count());
      // So that no reload of the server's configuration makes it less.
      if (!synchronous_commit.empty()) sql += "; SET synchronous_commit = " + synchronous_commit;
      return sql;
    }
  }
  return {};
}

std::string quoted(std::string_view text) { return fmt::format("'{}'", text); }

}  // namespace

std::string session_name_stem(std::string_view prefix) { return fmt::format("shoal/{}/", prefix); }

Result<std::unique_ptr<Connection>> Connector::connect(Purpose purpose) {
  TRY_ASSIGN(std::unique_ptr<Connection> connection,
             Connection::open(target_, options_.reply_wait_max, clock_));
  std::string synchronous_commit;
  if (purpose == Purpose::kCommit && !options_.read_only) {
    TRY_ASSIGN(const ServerSettings settings, look_at_settings(target_, *connection));
    if (!settings.dangers.empty() && !options_.metadata_loss_accepted) {
      return error(EPERM, "{}: {}, or accept the loss with --metadata-loss-accepted", target_.shown,
                   settings.dangers.front());
    }
    synchronous_commit = settings.synchronous_commit;
    MutexLock lock(mutex_);
    accepted_dangers_ = settings.dangers;
  }
  const Answer answer =
      connection->query(kPlans + settings_for(purpose, options_, synchronous_commit));
  if (answer.kind != Answer::Kind::kDone) {
    return answer_error(target_, answer, "setting up the session");
  }
  TRY(call_by_name(*connection));
  return connection;
}

std::string Connector::name() const {
  MutexLock lock(mutex_);
  return session_name_stem(target_.prefix) + epoch_;
}

Status Connector::call_by_name(Connection& connection) {
  const std::string wanted = name();
  if (connection.name() == wanted) return {};
  const Answer answer = connection.query("SET application_name = " + quoted(wanted));
  if (answer.kind != Answer::Kind::kDone) {
    return answer_error(target_, answer, "naming the session");
  }
  connection.set_name(wanted);
  return {};
}

void Connector::set_epoch(uint64_t epoch) {
  MutexLock lock(mutex_);
  epoch_ = std::to_string(epoch);
}

std::vector<std::string> Connector::accepted_dangers() const {
  MutexLock lock(mutex_);
  return accepted_dangers_;
}

}  // namespace shoal::engine::postgres
