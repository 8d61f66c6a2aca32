#include "engine/postgres/safety.h"

#include <charconv>

#include "engine/postgres/errors.h"

namespace shoal::engine::postgres {
namespace {

constexpr int kServerVersionMin = 150000;

// A standby is one that streams now or for which a slot keeps the log. A backup under way and
// logical subscribers are none: nobody fails over to them.
constexpr const char* kQuery = R"(
  SELECT current_setting('server_version_num'), current_setting('fsync'),
    current_setting('synchronous_commit'), current_setting('synchronous_standby_names'),
    pg_is_in_recovery()::text,
    ((SELECT count(*) FROM pg_stat_replication r
        WHERE coalesce(r.application_name, '') NOT LIKE 'pg_basebackup%'
          AND NOT EXISTS (SELECT 1 FROM pg_replication_slots s
                            WHERE s.active_pid = r.pid AND s.slot_type = 'logical'))
      + (SELECT count(*) FROM pg_replication_slots
           WHERE slot_type = 'physical' AND NOT temporary))::text)";

}  // namespace

Result<ServerSettings> look_at_settings(const Target& target, Connection& connection) {
  const Answer answer = connection.query(kQuery);
  if (answer.kind != Answer::Kind::kDone) {
    return answer_error(target, answer, "looking at the server's settings");
  }
  const auto column = [&](int i) { return answer.rows.bytes(0, i); };
  int version = 0;
  const std::string_view digits = column(0);
  std::from_chars(digits.data(), digits.data() + digits.size(), version);
  if (version < kServerVersionMin) {
    return error(EINVAL, "{}: PostgreSQL {} is too old; 15 or later is needed", target.shown,
                 connection.server_version());
  }
  if (column(4) != "false") {
    return error(EROFS, "{}: the server is a standby; connect to the primary", target.shown);
  }
  ServerSettings settings;
  settings.synchronous_commit = column(2);
  if (column(1) != "on") {
    settings.dangers.emplace_back(
        "fsync is off, so a power cut may destroy the database; set fsync = on");
  }
  if (settings.synchronous_commit != "on" && settings.synchronous_commit != "remote_apply") {
    settings.dangers.push_back(
        fmt::format("synchronous_commit is {}, so acknowledged commits may be lost; set "
                    "synchronous_commit = on",
                    settings.synchronous_commit));
  }
  if (column(5) != "0" && column(3).empty()) {
    settings.dangers.emplace_back(
        "there is a standby but synchronous_standby_names is empty, so a fail-over may lose "
        "acknowledged commits; name the standby there, or drop its replication slot");
  }
  return settings;
}

}  // namespace shoal::engine::postgres
