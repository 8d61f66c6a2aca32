#include "engine/postgres/connection.h"

#include <libpq-fe.h>
#include <poll.h>

#include "base/coding.h"
#include "base/log.h"
#include "engine/postgres/errors.h"

namespace shoal::engine::postgres {
namespace {

// Statements differ by the partitions and kinds of write they touch; a volume uses dozens. Over the
// limit all are prepared anew.
constexpr size_t kPreparedMax = 250;

constexpr size_t kCopyPieceBytes = 64 << 10;

std::string field(const PGresult* result, int code) {
  const char* text = PQresultErrorField(result, code);
  return text == nullptr ? "" : text;
}

bool succeeded(ExecStatusType status) {
  return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK || status == PGRES_EMPTY_QUERY;
}

}  // namespace

void Rows::Free::operator()(pg_result* result) const { PQclear(result); }

size_t Rows::size() const {
  return result_ == nullptr ? 0 : static_cast<size_t>(PQntuples(result_.get()));
}

bool Rows::is_null(size_t row, int column) const {
  return PQgetisnull(result_.get(), static_cast<int>(row), column) != 0;
}

std::string_view Rows::bytes(size_t row, int column) const {
  CHECK(row < size() && column < PQnfields(result_.get()));
  const int at = static_cast<int>(row);
  return {PQgetvalue(result_.get(), at, column),
          static_cast<size_t>(PQgetlength(result_.get(), at, column))};
}

Result<int64_t> Rows::integer(size_t row, int column) const {
  Decoder in(bytes(row, column));
  const auto value = static_cast<int64_t>(in.be64());
  TRY(in.finish("a number from PostgreSQL"));
  return value;
}

Result<size_t> Rows::index(size_t row, int column, size_t limit) const {
  TRY_ASSIGN(const int64_t value, integer(row, column));
  if (value < 0 || static_cast<uint64_t>(value) >= limit) {
    return error(EBADMSG, "PostgreSQL answered with row {} of {}", value, limit);
  }
  return static_cast<size_t>(value);
}

Connection::Connection(pg_conn* connection, std::chrono::milliseconds reply_wait_max,
                       const Clock& clock)
    : connection_(connection), reply_wait_max_(reply_wait_max), clock_(clock) {
  PQsetNoticeReceiver(connection_, on_notice, this);
}

Connection::~Connection() { PQfinish(connection_); }

Result<std::unique_ptr<Connection>> Connection::open(const Target& target,
                                                     std::chrono::milliseconds reply_wait_max,
                                                     const Clock& clock) {
  std::vector<const char*> names;
  std::vector<const char*> values;
  for (const auto& [name, value] : target.parameters) {
    names.push_back(name.c_str());
    values.push_back(value.c_str());
  }
  names.push_back(nullptr);
  values.push_back(nullptr);
  PGconn* const raw = PQconnectdbParams(names.data(), values.data(), 0);
  if (raw == nullptr) return error(ENOMEM, "{}: no memory for a connection", target.shown);
  std::unique_ptr<Connection> connection(new Connection(raw, reply_wait_max, clock));
  if (PQstatus(raw) != CONNECTION_OK) return connect_error(target, PQerrorMessage(raw));
  PQsetnonblocking(raw, 1);
  return connection;
}

// The wait for the synchronous standby ends with a warning when somebody cancels it or ends the
// session: the transaction is committed here and may be lost with this server. Words are
// translated, the place in the source is not; a server that does not say where is not trusted.
void Connection::on_notice(void* self, const pg_result* notice) {
  auto* const connection = static_cast<Connection*>(self);
  const std::string severity = field(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
  if (severity == "FATAL" || severity == "PANIC") connection->lost_ = true;  // while idle
  if (severity != "WARNING") return;
  const std::string function = field(notice, PG_DIAG_SOURCE_FUNCTION);
  const std::string text = one_line(field(notice, PG_DIAG_MESSAGE_PRIMARY));
  if (function.empty() || function == "SyncRepWaitForLSN") {
    connection->wait_cancelled_ = true;
    log(LogLevel::kWarn, "PostgreSQL: {}; the commit counts as unknown", text);
    return;
  }
  log(LogLevel::kDebug, "PostgreSQL: {}", text);
}

bool Connection::alive() {
  if (lost_ || PQstatus(connection_) != CONNECTION_OK) return false;
  pollfd at{PQsocket(connection_), POLLIN, 0};
  // A notice, a parameter that changed; or the end, which may be said before the socket closes.
  while (::poll(&at, 1, 0) > 0) {
    if (PQconsumeInput(connection_) == 0 || PQisBusy(connection_) != 0 || lost_) return false;
  }
  return PQstatus(connection_) == CONNECTION_OK;
}

bool Connection::wait(short events, Deadline until) {  // NOLINT(google-runtime-int)
  pollfd at{PQsocket(connection_), events, 0};
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - clock_.since_boot());
    if (left.count() <= 0) return false;
    const int ready = ::poll(&at, 1, static_cast<int>(std::min<int64_t>(left.count(), 1 << 30)));
    if (ready > 0) return true;
    if (ready == 0 || errno != EINTR) return false;
  }
}

bool Connection::flush(Deadline until) {
  while (true) {
    const int pending = PQflush(connection_);
    if (pending == 0) return true;
    if (pending < 0 || !wait(POLLIN | POLLOUT, until)) return false;
    // The server may have to get rid of something before it reads on.
    if (PQconsumeInput(connection_) == 0) return false;
  }
}

bool Connection::receive(Deadline until) {
  while (PQisBusy(connection_) != 0) {
    if (!wait(POLLIN, until) || PQconsumeInput(connection_) == 0) return false;
  }
  return true;
}

Answer Connection::lost(std::string_view why) {
  lost_ = true;
  Answer answer{.kind = Answer::Kind::kLost};
  answer.text = one_line(PQerrorMessage(connection_));
  if (answer.text.empty()) answer.text = why;
  return answer;
}

// Reads until the server is ready for the next query.
Answer Connection::finish(Deadline until) {
  constexpr std::string_view kSilence = "no reply in time";
  if (!flush(until)) return lost(kSilence);
  Answer answer;
  while (true) {
    if (!receive(until)) return lost(kSilence);
    PGresult* const raw = PQgetResult(connection_);
    if (raw == nullptr) break;
    Rows rows(raw);
    const ExecStatusType status = PQresultStatus(raw);
    if (status == PGRES_COPY_IN) return answer;
    if (succeeded(status)) {
      if (answer.kind == Answer::Kind::kDone) answer.rows = std::move(rows);
      continue;
    }
    // A commit can fail behind the result of its statement.
    if (field(raw, PG_DIAG_SEVERITY_NONLOCALIZED) != "ERROR") {
      return lost(one_line(field(raw, PG_DIAG_MESSAGE_PRIMARY)));
    }
    answer.kind = Answer::Kind::kRefused;
    answer.rows = Rows();
    answer.state = field(raw, PG_DIAG_SQLSTATE);
    answer.text = one_line(field(raw, PG_DIAG_MESSAGE_PRIMARY));
  }
  if (answer.kind == Answer::Kind::kDone && PQstatus(connection_) != CONNECTION_OK) {
    return lost("the connection ended");
  }
  answer.wait_cancelled = wait_cancelled_;
  return answer;
}

Answer Connection::query(const std::string& sql) {
  wait_cancelled_ = false;
  const Deadline until = deadline();
  if (PQsendQuery(connection_, sql.c_str()) == 0) return lost("sending failed");
  return finish(until);
}

Answer Connection::prepare(const std::string& sql, Deadline until) {
  if (prepared_.size() >= kPreparedMax) {
    if (PQsendQuery(connection_, "DEALLOCATE ALL") == 0) return lost("sending failed");
    Answer answer = finish(until);
    if (answer.kind != Answer::Kind::kDone) return answer;
    prepared_.clear();
  }
  const std::string name = fmt::format("s{}", prepared_.size());
  if (PQsendPrepare(connection_, name.c_str(), sql.c_str(), 0, nullptr) == 0) {
    return lost("sending failed");
  }
  Answer answer = finish(until);
  if (answer.kind == Answer::Kind::kDone) prepared_.emplace(sql, name);
  return answer;
}

Answer Connection::execute(const std::string& sql, const std::vector<std::string>& parameters) {
  wait_cancelled_ = false;
  const Deadline until = deadline();
  auto prepared = prepared_.find(sql);
  if (prepared == prepared_.end()) {
    Answer answer = prepare(sql, until);
    if (answer.kind != Answer::Kind::kDone) return answer;
    prepared = prepared_.find(sql);
  }
  std::vector<const char*> values;
  std::vector<int> lengths;
  const std::vector<int> formats(parameters.size(), 1);
  for (const std::string& parameter : parameters) {
    values.push_back(parameter.data());
    lengths.push_back(static_cast<int>(parameter.size()));
  }
  if (PQsendQueryPrepared(connection_, prepared->second.c_str(), static_cast<int>(values.size()),
                          values.data(), lengths.data(), formats.data(), 1) == 0) {
    return lost("sending failed");
  }
  return finish(until);
}

Answer Connection::copy_in(const std::string& sql, std::string_view data) {
  Answer begun = query(sql);
  if (begun.kind != Answer::Kind::kDone) return begun;
  // A long copy is no silence: each piece has its own time.
  for (size_t at = 0; at < data.size(); at += kCopyPieceBytes) {
    const std::string_view piece = data.substr(at, kCopyPieceBytes);
    int sent = 0;
    while ((sent = PQputCopyData(connection_, piece.data(), static_cast<int>(piece.size()))) == 0) {
      if (!flush(deadline())) return lost("no reply in time");
    }
    if (sent < 0 || !flush(deadline())) return lost("sending failed");
  }
  int ended = 0;
  while ((ended = PQputCopyEnd(connection_, nullptr)) == 0) {
    if (!flush(deadline())) return lost("no reply in time");
  }
  if (ended < 0) return lost("sending failed");
  return finish(deadline());
}

std::string Connection::server_version() const {
  const char* version = PQparameterStatus(connection_, "server_version");
  return version == nullptr ? "of an unknown version" : version;
}

}  // namespace shoal::engine::postgres
