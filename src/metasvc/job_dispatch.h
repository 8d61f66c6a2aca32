// Executes what jobs ask of the owner of a volume: its Maintenance, and reads of its engine.
//
// Thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "engine/engine.h"
#include "meta/maintenance.h"
#include "rpc/frame.h"
#include "sys/mutex.h"

namespace shoal::metasvc {

class JobDispatch {
 public:
  // Both outlive it.
  JobDispatch(meta::Maintenance& owner, engine::KvEngine& below)
      : maintenance(owner), engine(below) {}

  static bool knows(uint16_t method);
  static bool changes_anything(uint16_t method);
  // As metasvc::dispatch.
  Result<std::string> dispatch(uint16_t method, const rpc::Identity& identity,
                               std::string_view body);

  // --- for the methods ---
  static constexpr size_t kMomentsMax = 4;  // one more ends the oldest
  uint64_t open_moment();
  void close_moment(uint64_t moment);
  // Null for 0; ESTALE when it has ended.
  Result<std::shared_ptr<engine::ReadToken>> token(uint64_t moment);

  meta::Maintenance& maintenance;
  engine::KvEngine& engine;

 private:
  Mutex mutex_;
  uint64_t drawn_ GUARDED_BY(mutex_) = 0;
  std::map<uint64_t, std::shared_ptr<engine::ReadToken>> moments_ GUARDED_BY(mutex_);
};

}  // namespace shoal::metasvc
