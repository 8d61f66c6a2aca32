// The contract suite on PostgreSQL in three modes: READ COMMITTED and SERIALIZABLE, where threads
// spread over three engines so that they meet in the server, and with a synchronous standby.
#include "engine/contract/contract.h"
#include "engine/postgres/testing/replicated_servers.h"
#include "engine/postgres/testing/spread_engine.h"
#include "engine/postgres/testing/volume.h"

namespace shoal::engine::postgres {
namespace {

constexpr int kEngines = 3;

class SpreadSubject final : public Subject {
 public:
  explicit SpreadSubject(const std::string& more) : volume_(TestServer::shared(), more) {
    std::vector<std::unique_ptr<PostgresEngine>> engines;
    for (int i = 0; i < kEngines; ++i) engines.push_back(volume_.open());
    engine_ = make_spread_engine(std::move(engines));
  }
  KvEngine& engine() override { return *engine_; }

 private:
  Volume volume_;
  std::unique_ptr<KvEngine> engine_;
};

// Started by the first caller, ends with the program.
const TestServer& replicated_primary() {
  static ReplicatedServers servers;
  return servers.primary();
}

class ReplicatedSubject final : public Subject {
 public:
  KvEngine& engine() override { return *engine_; }

 private:
  Volume volume_{replicated_primary()};
  const std::unique_ptr<KvEngine> engine_ = volume_.open();
};

[[maybe_unused]] const bool read_committed = register_contract(
    "PostgresReadCommittedContract", [] { return std::make_unique<SpreadSubject>(""); });

[[maybe_unused]] const bool serializable = register_contract("PostgresSerializableContract", [] {
  return std::make_unique<SpreadSubject>(
      "&options=-c%20default_transaction_isolation%3Dserializable");
});

[[maybe_unused]] const bool replicated = register_contract(
    "PostgresReplicatedContract", [] { return std::make_unique<ReplicatedSubject>(); });

}  // namespace
}  // namespace shoal::engine::postgres
