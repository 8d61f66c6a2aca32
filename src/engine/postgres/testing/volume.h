// A volume of its own for one test on the shared server, dropped at the end.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "engine/postgres/postgres_engine.h"
#include "engine/postgres/testing/test_server.h"
#include "sys/clock.h"

namespace shoal::engine::postgres {

class Volume {
 public:
  explicit Volume(const TestServer& server = TestServer::shared(), std::string more = "")
      : server_(server), more_(std::move(more)) {
    open({.create_if_missing = true});
  }
  ~Volume() { destroy_postgres(url(), clock_).value(); }
  Volume(const Volume&) = delete;
  Volume& operator=(const Volume&) = delete;

  // One engine more; each has its own connections, as another process would.
  std::unique_ptr<PostgresEngine> open(PostgresOptions options = {}) {
    return open_postgres(url(), options, clock_).value();
  }
  std::string url() const { return server_.url(prefix_, more_); }
  const std::string& prefix() const { return prefix_; }
  const SystemClock& clock() const { return clock_; }

 private:
  const TestServer& server_;
  const std::string more_;
  const std::string prefix_ = fresh_prefix();
  SystemClock clock_;
};

}  // namespace shoal::engine::postgres
