#include "engine/postgres/volume_schema.h"

#include "engine/postgres/errors.h"
#include "engine/postgres/layout.h"

namespace shoal::engine::postgres {
namespace {

struct Found {
  bool schema = false;
  bool tables = false;  // anything at all in it
  bool volume = false;  // the table that tells a volume
};

Result<Found> look(const Target& target, Connection& connection) {
  const Answer answer = connection.query(fmt::format(
      "SELECT count(DISTINCT n.oid), count(c.oid), "
      "count(*) FILTER (WHERE c.relname = 'volume' AND c.relkind = 'r') FROM pg_namespace n "
      "LEFT JOIN pg_class c ON c.relnamespace = n.oid WHERE n.nspname = '{}'",
      target.prefix));
  if (answer.kind != Answer::Kind::kDone) {
    return answer_error(target, answer, "looking for the volume");
  }
  const auto some = [&](int column) { return answer.rows.bytes(0, column) != "0"; };
  return Found{some(0), some(1), some(2)};
}

Error not_ours(const Target& target) {
  return error(EEXIST, "{}: the schema {} holds tables but no volume; choose another prefix",
               target.shown, target.prefix);
}

Error absent(const Target& target) {
  return error(ENOENT, "{}: there is no volume with prefix {}; create one with `shoal format`",
               target.shown, target.prefix);
}

Status check_format(const Target& target, Connection& connection) {
  const Answer answer =
      connection.query(fmt::format("SELECT format FROM \"{}\".volume", target.prefix));
  if (answer.kind != Answer::Kind::kDone) {
    return answer_error(target, answer, "opening the volume");
  }
  if (answer.rows.size() != 1) {
    return error(EBADMSG, "{}: the table {}.volume is damaged; restore the database from a backup",
                 target.shown, target.prefix);
  }
  if (answer.rows.bytes(0, 0) == std::to_string(kFormat)) return {};
  return error(EBADMSG,
               "{}: the volume {} was written by another version of Shoal (engine format {}); use "
               "that version",
               target.shown, target.prefix, answer.rows.bytes(0, 0));
}

// Somebody made the same thing meanwhile: the schema, its name in the catalog, or a table.
bool lost_a_race(const Answer& answer) {
  return answer.state == "42P06" || answer.state == "23505" || answer.state == "42P07";
}

}  // namespace

Status open_schema(const Target& target, Connection& connection, bool create) {
  TRY_ASSIGN(Found found, look(target, connection));
  if (!found.volume && create && !found.tables) {
    const Answer answer = connection.query(create_statements(target.prefix, !found.schema));
    if (answer.kind != Answer::Kind::kDone && !lost_a_race(answer)) {
      return answer_error(target, answer, "creating the volume");
    }
    TRY_ASSIGN(found, look(target, connection));
  }
  if (found.volume) return check_format(target, connection);
  if (found.tables && create) return not_ours(target);
  return absent(target);
}

Status drop_schema(const Target& target, Connection& connection) {
  TRY_ASSIGN(const Found found, look(target, connection));
  if (!found.schema) return absent(target);
  if (!found.volume) return not_ours(target);
  const Answer answer = connection.query(fmt::format("DROP SCHEMA \"{}\" CASCADE", target.prefix));
  if (answer.kind != Answer::Kind::kDone) {
    return answer_error(target, answer, "dropping the volume");
  }
  return {};
}

}  // namespace shoal::engine::postgres
