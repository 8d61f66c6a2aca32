// The contract suite on RocksDB: once as it is, once with memtables so small that everything goes
// through tables.
#include "engine/contract/contract.h"
#include "engine/rocksdb/rocksdb_engine.h"
#include "sim/scratch_folder.h"

namespace shoal::engine {
namespace {

class RocksdbSubject final : public Subject {
 public:
  explicit RocksdbSubject(RocksdbOptions options)
      : engine_(open_rocksdb(folder_.fs(), folder_.path("db"), options).value()) {}
  KvEngine& engine() override { return *engine_; }

 private:
  sim::ScratchFolder folder_;
  const std::unique_ptr<KvEngine> engine_;
};

[[maybe_unused]] const bool registered = register_contract("RocksdbEngineContract", [] {
  return std::make_unique<RocksdbSubject>(RocksdbOptions{.create_if_missing = true});
});

[[maybe_unused]] const bool registered_small =
    register_contract("RocksdbSmallMemtablesContract", [] {
      return std::make_unique<RocksdbSubject>(RocksdbOptions{
          .create_if_missing = true, .block_cache_bytes = 1 << 20, .write_buffer_bytes = 0});
    });

}  // namespace
}  // namespace shoal::engine
