#include "engine/postgres/testing/test_server.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <libpq-fe.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/check.h"
#include "sys/clock.h"

namespace shoal::engine::postgres {
namespace {

constexpr std::string_view kConfiguration = R"(
listen_addresses = ''
max_connections = 200
shared_buffers = '32MB'
max_wal_senders = 8
wal_keep_size = '64MB'
deadlock_timeout = '20ms'
lc_messages = 'C'
)";

// Debian has a folder for each version.
std::string binaries() {
  if (const char* folder = std::getenv("SHOAL_POSTGRES_BIN")) return folder;
  for (int version = 30; version >= 15; --version) {
    const std::string folder = fmt::format("/usr/lib/postgresql/{}/bin", version);
    if (std::filesystem::exists(folder + "/initdb")) return folder;
  }
  std::fprintf(stderr, "no PostgreSQL server here: run tools/install-deps.sh --tests\n");
  std::abort();
}

std::string as_server_user() {
  return ::getuid() == 0 ? "setpriv --reuid=postgres --regid=postgres --clear-groups " : "";
}

class Reply {
 public:
  explicit Reply(PGresult* result) : result_(result) {}
  ~Reply() { PQclear(result_); }
  Reply(const Reply&) = delete;
  Reply& operator=(const Reply&) = delete;
  bool ok() const {
    const ExecStatusType status = PQresultStatus(result_);
    return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
  }
  std::string first() const {
    return PQntuples(result_) > 0 && PQnfields(result_) > 0 ? PQgetvalue(result_, 0, 0) : "";
  }
  std::string error() const { return PQresultErrorMessage(result_); }

 private:
  PGresult* const result_;
};

std::string answer_of(PGconn* connection, const std::string& text) {
  const Reply result(PQexec(connection, text.c_str()));
  EXPECT_TRUE(result.ok()) << text << ": " << result.error() << PQerrorMessage(connection);
  return result.ok() ? result.first() : "";
}

PGconn* connect(const TestServer& server, const std::string& database) {
  const std::string info =
      fmt::format("host={} user=shoal dbname={} application_name=test connect_timeout=20",
                  server.socket_folder(), database);
  PGconn* const connection = PQconnectdb(info.c_str());
  EXPECT_EQ(PQstatus(connection), CONNECTION_OK) << PQerrorMessage(connection);
  return connection;
}

}  // namespace

TestServer::TestServer() {
  make_folder();
  run(fmt::format("{} -D {}/data -U shoal --auth=trust -E UTF8 --locale=C --no-sync",
                  program("initdb"), folder_));
  std::ofstream(folder_ + "/data/postgresql.conf", std::ios::app)
      << kConfiguration << fmt::format("unix_socket_directories = '{}'\n", folder_);
  // The role of the tests of passwords, before the lines that trust everybody.
  const std::string hba = folder_ + "/data/pg_hba.conf";
  std::string trusting;
  std::getline(std::ifstream(hba), trusting, '\0');
  std::ofstream(hba) << "local all locked scram-sha-256\n" << trusting;
  guard();
  start();
  sql("CREATE DATABASE shoal", "postgres");
}

TestServer::TestServer(TestServer& primary) {
  make_folder();
  run(
      fmt::format("{} -h {} -U shoal -D {}/data -X stream -c fast --no-sync -R -d "
                  "'application_name=standby'",
                  program("pg_basebackup"), primary.folder_, folder_));
  std::ofstream(folder_ + "/data/postgresql.conf", std::ios::app)
      << fmt::format("unix_socket_directories = '{}'\n", folder_);
  // What -R wrote lacks the name.
  std::ofstream(folder_ + "/data/postgresql.auto.conf", std::ios::app) << fmt::format(
      "primary_conninfo = 'host={} user=shoal application_name=standby'\n", primary.folder_);
  guard();
  start();
}

TestServer::~TestServer() {
  crash();
  std::filesystem::remove_all(folder_);
  ::pclose(guard_);
}

TestServer& TestServer::shared() {
  static TestServer server;
  return server;
}

void TestServer::make_folder() {
  std::string name = testing::TempDir() + "shoal-pg.XXXXXX";
  CHECK(::mkdtemp(name.data()) != nullptr);
  folder_ = name;
  if (::getuid() == 0) run(fmt::format("chown postgres {}", folder_));
}

// Sleeps until this program's end of the pipe closes. A session of its own, so that whoever kills
// this program's children does not kill it.
void TestServer::guard() {
  const std::string command = fmt::format(
      "exec setsid --fork sh -c 'cat; cd /; {} -D {}/data -m immediate stop; rm -rf {}' "
      ">{}/guard.log 2>&1",
      program("pg_ctl"), folder_, folder_, folder_);
  guard_ = ::popen(command.c_str(), "we");
  CHECK(guard_ != nullptr);
}

std::string TestServer::program(std::string_view name) const {
  return fmt::format("{}{}/{}", as_server_user(), binaries(), name);
}

void TestServer::run(const std::string& command) const {
  const std::string log = folder_ + "/commands.log";
  const std::string whole = fmt::format("cd / && ( {} ) >>{} 2>&1 </dev/null", command, log);
  if (std::system(whole.c_str()) == 0) return;
  std::string text;
  std::getline(std::ifstream(log), text, '\0');
  std::string server_text;
  std::getline(std::ifstream(folder_ + "/server.log"), server_text, '\0');
  std::fprintf(stderr, "%s failed:\n%s%s", command.c_str(), text.c_str(), server_text.c_str());
  std::abort();
}

void TestServer::start() {
  run(fmt::format("{} -D {}/data -w -t 60 -l {}/server.log start", program("pg_ctl"), folder_,
                  folder_));
}

void TestServer::crash() {
  run(fmt::format("{} -D {}/data -w -t 60 -m immediate stop || [ ! -e {}/data/postmaster.pid ]",
                  program("pg_ctl"), folder_, folder_));
}

void TestServer::promote() {
  run(fmt::format("{} -D {}/data -w -t 60 promote", program("pg_ctl"), folder_));
}

std::string TestServer::url(std::string_view prefix, std::string_view more) const {
  return fmt::format("postgres://shoal@/shoal?host={}&prefix={}{}", folder_, prefix, more);
}

std::string TestServer::sql(const std::string& text, const std::string& database) const {
  PGconn* const connection = connect(*this, database);
  std::string answer = answer_of(connection, text);
  PQfinish(connection);
  return answer;
}

void TestServer::set(const std::string& setting, const std::string& value) {
  sql(value.empty() ? fmt::format("ALTER SYSTEM RESET {}", setting)
                    : fmt::format("ALTER SYSTEM SET {} = '{}'", setting, value));
  const std::string before = sql("SELECT pg_conf_load_time()");
  sql("SELECT pg_reload_conf()");
  wait_for_answer(*this, fmt::format("SELECT pg_conf_load_time() <> '{}'", before), "t");
}

SideSession::SideSession(const TestServer& server) : connection_(connect(server, "shoal")) {}
SideSession::~SideSession() { PQfinish(static_cast<PGconn*>(connection_)); }
std::string SideSession::sql(const std::string& text) {
  return answer_of(static_cast<PGconn*>(connection_), text);
}

void wait_for_answer(const TestServer& server, const std::string& query, std::string_view wanted) {
  const SystemClock clock;
  const auto until = clock.since_boot() + std::chrono::seconds(30);
  SideSession session(server);
  std::string answer;
  while (clock.since_boot() < until) {
    answer = session.sql(query);
    if (answer == wanted) return;
    session.sql("SELECT pg_sleep(0.005)");
  }
  ADD_FAILURE() << query << " answers " << answer << " and not " << wanted;
}

std::string fresh_prefix() {
  static std::atomic<int> count = 0;
  return fmt::format("t{}", ++count);
}

}  // namespace shoal::engine::postgres
