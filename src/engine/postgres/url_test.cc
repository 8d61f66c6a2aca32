#include "engine/postgres/url.h"

#include <gtest/gtest.h>

#include <map>

namespace shoal::engine::postgres {
namespace {

std::map<std::string, std::string> parameters(const Target& target) {
  return {target.parameters.begin(), target.parameters.end()};
}

TEST(PostgresUrl, says_where_the_database_is_and_shows_no_password) {
  const Target target =
      parse_url("postgres://ann:s3cr3t@db1:5433/meta?prefix=vol_1&sslmode=require").value();
  auto has = parameters(target);
  EXPECT_EQ(has["user"], "ann");
  EXPECT_EQ(has["password"], "s3cr3t");
  EXPECT_EQ(has["host"], "db1");
  EXPECT_EQ(has["port"], "5433");
  EXPECT_EQ(has["dbname"], "meta");
  EXPECT_EQ(has["sslmode"], "require");
  EXPECT_FALSE(has.contains("prefix"));
  EXPECT_EQ(target.prefix, "vol_1");
  EXPECT_EQ(target.shown, "PostgreSQL at db1:5433, database meta");
}

TEST(PostgresUrl, the_prefix_has_a_default_and_may_stand_anywhere) {
  EXPECT_EQ(parse_url("postgres://h/d").value().prefix, "shoal");
  EXPECT_EQ(parse_url("postgresql://h/d?sslmode=disable").value().prefix, "shoal");
  const Target target = parse_url("postgres://h/d?connect_timeout=3&prefix=x&port=7").value();
  EXPECT_EQ(target.prefix, "x");
  EXPECT_EQ(parameters(target)["connect_timeout"], "3");
  EXPECT_EQ(parameters(target)["port"], "7");
}

TEST(PostgresUrl, a_socket_folder_and_several_hosts_are_taken) {
  EXPECT_EQ(parameters(parse_url("postgres:///d?host=/run/pg").value())["host"], "/run/pg");
  EXPECT_EQ(parameters(parse_url("postgres://%2Frun%2Fpg/d").value())["host"], "/run/pg");
  auto two = parameters(parse_url("postgres://a:1,b:2/d").value());
  EXPECT_EQ(two["host"], "a,b");
  EXPECT_EQ(two["port"], "1,2");
  EXPECT_EQ(two["target_session_attrs"], "read-write");
}

TEST(PostgresUrl, a_dead_server_is_noticed_in_seconds_unless_the_url_says_otherwise) {
  EXPECT_EQ(parameters(parse_url("postgres://h/d").value())["connect_timeout"], "10");
  EXPECT_EQ(parameters(parse_url("postgres://h/d?tcp_user_timeout=1").value())["tcp_user_timeout"],
            "1");
}

TEST(PostgresUrl, what_is_wrong_is_said_without_the_password) {
  const char* const wrong[] = {
      "mysql://h/d",
      "postgres://h",
      "postgres://h/",
      "postgres://h/d?prefix=",
      "postgres://h/d?prefix",
      "postgres://h/d?prefix=Upper",
      "postgres://h/d?prefix=a-b",
      "postgres://h/d?prefix=a\"b",
      "postgres://h/d?prefix=pg_x",
      "postgres://h/d?prefix=public",
      "postgres://h/d?prefix=a123456789012345678901234567890123456789z",
      "postgres://h/d?colour=red",
      "postgres://h/d?sslmode",
      "postgres://ann:s3cr3t%@h/d",
      "postgres://ann:s3cr3t%zz@h/d",
      "postgres://ann:x?s3cr3t=1@h/d",
      "postgres://ann:s3cr3t@[::1/d",
  };
  for (const char* url : wrong) {
    const Result<Target> target = parse_url(url);
    ASSERT_FALSE(target.ok()) << url;
    EXPECT_EQ(target.code(), EINVAL) << url;
    EXPECT_EQ(target.error().text().find("s3cr3t"), std::string::npos) << target.error().text();
    EXPECT_EQ(target.error().text().find('\n'), std::string::npos);
  }
  EXPECT_NE(parse_url("postgres://h/d?colour=red").error().text().find("colour"),
            std::string::npos);
}

}  // namespace
}  // namespace shoal::engine::postgres
