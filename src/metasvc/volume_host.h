// VolumeHost: one volume of a meta server: stands by until the election gives it the volume, opens
// it with the next epoch, serves it, and gives it up when somebody else has it or the engine broke.
//
// Thread-safe. One thread of its own, which waits for the engine.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "metasvc/election.h"
#include "metasvc/service.h"
#include "rpc/server.h"
#include "sys/clock.h"
#include "sys/executor.h"
#include "sys/random.h"

namespace shoal::metasvc {

struct HostedEngine {
  std::unique_ptr<engine::KvEngine> engine;
  // Before the volume is opened with `epoch`: ends what older epochs may still have under way
  // (design §5.4). May be empty.
  std::function<Status(uint64_t epoch)> fence;
};

struct HostOptions {
  std::string name;  // for logs until the volume's own is known
  // EBUSY: another process has it. Called again and again.
  std::function<Result<HostedEngine>()> open_engine;
  ElectionOptions election;
  ServiceOptions service;
};

struct HostStatus {
  enum class State { kUnreachable, kStandby, kOwner } state = State::kUnreachable;
  std::string name, engine, owner_address, trouble;
  uint64_t epoch = 0;
  size_t sessions = 0;
};

class VolumeHost {
 public:
  struct Seams {  // all outlive it
    const Clock& clock;
    Random& random;
    Executor& executor;         // of the owner's background work
    Executor& commit_executor;  // sends groups of commits; nothing else waits in it
  };
  static std::unique_ptr<VolumeHost> start(const Seams& seams, HostOptions options);
  // As stop().
  virtual ~VolumeHost() = default;

  // The volume's name once its engine was reached; "" before.
  virtual std::string volume() const = 0;
  // The token of its mounts. ENOENT while the engine was not reached.
  virtual Result<std::string> token() const = 0;
  virtual HostStatus status() const = 0;
  // Of the owner; EREMOTE when another server is it.
  virtual Result<std::vector<VolumeService::SessionStatus>> sessions() const = 0;
  virtual Status evict(SessionId session) = 0;
  // Executes a request on this thread, or fails it with kNotTheOwner.
  virtual void call(const std::shared_ptr<rpc::Call>& call) = 0;
  // Gives the volume up, so that a standby need not wait. Idempotent.
  virtual void stop() = 0;
};

}  // namespace shoal::metasvc
