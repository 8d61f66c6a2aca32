// The contract suite on PostgreSQL in three modes: READ COMMITTED and SERIALIZABLE, where threads
// spread over three engines so that they meet in the server, and with a synchronous standby.
#include <fmt/format.h>

#include "engine/contract/contract.h"
#include "engine/postgres/testing/replicated_servers.h"
#include "engine/postgres/testing/spread_engine.h"
#include "engine/postgres/testing/volume.h"

namespace shoal::engine::postgres {
namespace {

// Each mode has one volume, emptied for each case: making one syncs dozens of files.
class ModeVolume {
 public:
  explicit ModeVolume(const TestServer& server, std::string more = "")
      : server_(server), volume_(server, std::move(more)) {}
  std::unique_ptr<PostgresEngine> open() { return volume_.open(); }
  void empty() { server_.sql(fmt::format("DELETE FROM \"{}\".kv", volume_.prefix())); }

 private:
  const TestServer& server_;
  Volume volume_;
};

class ModeSubject final : public Subject {
 public:
  ModeSubject(ModeVolume& volume, int engines) {
    volume.empty();
    std::vector<std::unique_ptr<PostgresEngine>> all;
    for (int i = 0; i < engines; ++i) all.push_back(volume.open());
    engine_ = make_spread_engine(std::move(all));
  }
  KvEngine& engine() override { return *engine_; }

 private:
  std::unique_ptr<KvEngine> engine_;
};

// Servers and volumes are made by the first case that needs them and end with the program.

[[maybe_unused]] const bool read_committed = register_contract("PostgresReadCommittedContract", [] {
  static ModeVolume volume(TestServer::shared());
  return std::make_unique<ModeSubject>(volume, 3);
});

[[maybe_unused]] const bool serializable = register_contract("PostgresSerializableContract", [] {
  static ModeVolume volume(TestServer::shared(),
                           "&options=-c%20default_transaction_isolation%3Dserializable");
  return std::make_unique<ModeSubject>(volume, 3);
});

[[maybe_unused]] const bool replicated = register_contract("PostgresReplicatedContract", [] {
  static ModeVolume volume(ReplicatedServers::shared().primary());
  return std::make_unique<ModeSubject>(volume, 1);
});

}  // namespace
}  // namespace shoal::engine::postgres
