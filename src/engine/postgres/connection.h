// One session on a PostgreSQL server, spoken to without blocking for ever. Not thread-safe: whoever
// has it, has it alone (pool.h).
//
// What an answer means for a statement that writes, alone in its transaction:
//   kDone     committed and acknowledged; unless `wait_cancelled`
//   kRefused  the server said ERROR: certainly not committed
//   kLost     anything else, a FATAL among it: nobody knows; the connection is of no more use
//
// libpq hands out a result when the statement ran; its transaction commits only then. So an answer
// is complete when the server is ready for the next query, not before. Private to this folder.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "engine/postgres/url.h"
#include "sys/clock.h"

struct pg_conn;  // libpq's PGconn and PGresult, whose headers stay in .cc files
struct pg_result;

namespace shoal::engine::postgres {

// The rows of an answer. REQUIRES indexes in range.
class Rows {
 public:
  Rows() = default;
  explicit Rows(pg_result* result) : result_(result) {}
  size_t size() const;
  bool is_null(size_t row, int column) const;
  std::string_view bytes(size_t row, int column) const;
  // Of a bigint in binary format (execute(), not query()). EBADMSG when it is none.
  Result<int64_t> integer(size_t row, int column) const;
  // Likewise, of a number in [0, limit).
  Result<size_t> index(size_t row, int column, size_t limit) const;

 private:
  struct Free {
    void operator()(pg_result* result) const;
  };
  std::unique_ptr<pg_result, Free> result_;
};

struct Answer {
  enum class Kind { kDone, kRefused, kLost };
  Kind kind = Kind::kDone;
  Rows rows;
  std::string state;            // SQLSTATE of a refusal
  std::string text;             // one line, of a refusal or loss
  bool wait_cancelled = false;  // committed here, perhaps not on the synchronous standby
};

class Connection {
 public:
  // Blocks for the connect_timeout of `target` at most.
  static Result<std::unique_ptr<Connection>> open(const Target& target,
                                                  std::chrono::milliseconds reply_wait_max,
                                                  const Clock& clock);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // False when the server closed it meanwhile. Asks the socket, not the server.
  bool alive();

  // One prepared statement with parameters in binary format; rows come back likewise. One round
  // trip, two the first time on this connection.
  Answer execute(const std::string& sql, const std::vector<std::string>& parameters);
  // A string of statements in one transaction; rows (of the last) come back as text.
  Answer query(const std::string& sql);
  // COPY … FROM STDIN.
  Answer copy_in(const std::string& sql, std::string_view data);

  // What the session is called on the server; "" until somebody calls it something.
  const std::string& name() const { return name_; }
  void set_name(std::string name) { name_ = std::move(name); }

  std::string server_version() const;

 private:
  Connection(pg_conn* connection, std::chrono::milliseconds reply_wait_max, const Clock& clock);

  using Deadline = std::chrono::nanoseconds;  // of clock_.since_boot()
  Deadline deadline() const { return clock_.since_boot() + reply_wait_max_; }
  bool wait(short events, Deadline until);  // NOLINT(google-runtime-int): poll's type
  bool flush(Deadline until);
  bool receive(Deadline until);
  Answer finish(Deadline until);
  Answer lost(std::string_view why);
  Answer prepare(const std::string& sql, Deadline until);

  static void on_notice(void* self, const pg_result* notice);

  pg_conn* const connection_;
  const std::chrono::milliseconds reply_wait_max_;
  const Clock& clock_;
  std::string name_;
  std::unordered_map<std::string, std::string> prepared_;  // SQL -> its name on the server
  bool wait_cancelled_ = false;                            // since the last statement began
  bool lost_ = false;
};

}  // namespace shoal::engine::postgres
