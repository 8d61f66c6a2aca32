// RocksDB without its sleeps: it waits a second after a failed flush or compaction, and that is
// what power and fault tests are full of. For the tests of this folder.
#pragma once

#include <rocksdb/env.h>
#include <rocksdb/system_clock.h>

#include <algorithm>
#include <memory>

#include "engine/rocksdb/database.h"
#include "engine/rocksdb/local_env.h"

namespace shoal::engine {

class HastyClock final : public rocksdb::SystemClockWrapper {
 public:
  using SystemClockWrapper::SystemClockWrapper;
  const char* Name() const override { return "HastyClock"; }
  void SleepForMicroseconds(int micros) override {
    target_->SleepForMicroseconds(std::min(micros, 1'000));
  }
};

class HastyEnv final : public rocksdb::EnvWrapper {
 public:
  explicit HastyEnv(std::unique_ptr<rocksdb::Env> target) : EnvWrapper(std::move(target)) {
    system_clock_ = std::make_shared<HastyClock>(system_clock_);
  }
  const char* Name() const override { return "HastyEnv"; }
};

inline Result<std::unique_ptr<KvEngine>> open_hastily(LocalFs& fs, const RocksdbOptions& options) {
  return open_rocksdb_on(fs, "/state/db", options,
                         std::make_unique<HastyEnv>(make_rocksdb_env(fs)));
}

}  // namespace shoal::engine
