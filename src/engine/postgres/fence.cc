#include "engine/postgres/fence.h"

#include "engine/postgres/connector.h"
#include "engine/postgres/errors.h"

namespace shoal::engine::postgres {
namespace {

// For each; a session in the middle of a commit ends at once, its commit stays.
constexpr int kEndWaitMsMax = 5'000;

}  // namespace

Result<size_t> terminate_sessions_before(const Target& target, Connection& connection,
                                         uint64_t epoch) {
  // Numbers of 1 to 18 digits, so that no name of somebody else fails to be one.
  const Answer answer = connection.query(fmt::format(
      "SELECT count(*), count(*) FILTER (WHERE NOT pg_terminate_backend(pid, {})) "
      "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND "
      "CASE WHEN application_name ~ '^{}[0-9]{{1,18}}$' "
      "THEN split_part(application_name, '/', 3)::bigint < {} ELSE false END",
      kEndWaitMsMax, session_name_stem(target.prefix), epoch));
  if (answer.kind != Answer::Kind::kDone) {
    return answer_error(target, answer, "ending the sessions of older owners");
  }
  if (answer.rows.bytes(0, 1) != "0") {
    return error(EBUSY, "{}: {} sessions of older owners of {} do not end; end them by hand",
                 target.shown, answer.rows.bytes(0, 1), target.prefix);
  }
  return static_cast<size_t>(
      std::strtoull(std::string(answer.rows.bytes(0, 0)).c_str(), nullptr, 10));
}

}  // namespace shoal::engine::postgres
