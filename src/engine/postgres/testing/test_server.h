// A PostgreSQL server of this program's own: data and Unix socket in a scratch folder, no TCP port.
// It is stopped and the folder removed however the program ends, SIGKILL included. As root it runs
// as the user `postgres`, because PostgreSQL refuses to be root.
//
// Settings are those of production where they matter (fsync is on); the superuser is `shoal`, and
// so is the database.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>

namespace shoal::engine::postgres {

class TestServer {
 public:
  TestServer();
  // A streaming copy of `primary`, named "standby" there. Not yet synchronous.
  explicit TestServer(TestServer& primary);
  ~TestServer();
  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;

  // Started by the first caller, ends with the program.
  static TestServer& shared();

  void start();
  void crash();  // stops it at once, as SIGQUIT does
  void promote();

  const std::string& socket_folder() const { return folder_; }
  // postgres://shoal@/shoal?host=…&prefix=… with `more` appended.
  std::string url(std::string_view prefix, std::string_view more = "") const;

  // As the superuser; the first column of the first row, "" when there is none. Fails the test on
  // an error.
  std::string sql(const std::string& text, const std::string& database = "shoal") const;
  // ALTER SYSTEM, reloaded; returns when sessions see it. `value` empty: back to what it was.
  void set(const std::string& setting, const std::string& value);

 private:
  void make_folder();
  void guard();
  std::string program(std::string_view name) const;  // as the server's user, quoted for a shell
  void run(const std::string& command) const;        // aborts the program when it fails

  std::string folder_;
  std::FILE* guard_ = nullptr;
};

// A superuser's session, for transactions that stay open.
class SideSession {
 public:
  explicit SideSession(const TestServer& server);
  ~SideSession();
  SideSession(const SideSession&) = delete;
  SideSession& operator=(const SideSession&) = delete;
  std::string sql(const std::string& text);

 private:
  void* connection_;
};

// Tries for half a minute until `query` answers `wanted`; fails the test otherwise.
void wait_for_answer(const TestServer& server, const std::string& query, std::string_view wanted);

// A prefix that no other test of this program uses.
std::string fresh_prefix();

}  // namespace shoal::engine::postgres
