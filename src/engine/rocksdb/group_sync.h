// GroupSync: one sync for all who wait for one (group commit).
//
// A call returns when a sync that began after the call has ended, with that sync's result. At most
// one sync runs at a time; those who arrive meanwhile share the next one. The first failure is the
// answer to every later call, because after a failed fsync nobody can know what the disk has.
// Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "base/error.h"
#include "sys/mutex.h"

namespace shoal::engine {

class GroupSync {
 public:
  explicit GroupSync(std::function<Status()> sync) : sync_(std::move(sync)) {}
  Status run() EXCLUDES(mutex_);
  // Calls that wait for a sync of somebody else at this moment; for tests and metrics.
  uint64_t waiting() EXCLUDES(mutex_);

 private:
  const std::function<Status()> sync_;
  Mutex mutex_;
  CondVar ended_;
  uint64_t begun_ GUARDED_BY(mutex_) = 0;
  uint64_t done_ GUARDED_BY(mutex_) = 0;
  uint64_t waiting_ GUARDED_BY(mutex_) = 0;
  std::optional<Error> failure_ GUARDED_BY(mutex_);
};

}  // namespace shoal::engine
