// A primary that acknowledges nothing before its standby has it.
#pragma once

#include "engine/postgres/testing/test_server.h"

namespace shoal::engine::postgres {

class ReplicatedServers {
 public:
  ReplicatedServers() : standby_(primary_) {
    wait_for_answer(primary_, "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'",
                    "1");
    primary_.set("synchronous_standby_names", "standby");
    wait_for_answer(primary_, "SELECT max(sync_state) FROM pg_stat_replication", "sync");
  }
  // Started by the first caller, ends with the program. For who leaves it as it was.
  static ReplicatedServers& shared() {
    static ReplicatedServers servers;
    return servers;
  }
  TestServer& primary() { return primary_; }
  TestServer& standby() { return standby_; }

 private:
  TestServer primary_;
  TestServer standby_;
};

}  // namespace shoal::engine::postgres
