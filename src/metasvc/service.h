// VolumeService: the owner of one volume, for sessions that reach it over rpc (design §5.3).
//
// A session outlives its connections: it is opened by a call, lives as long as calls with its
// number come (a heartbeat at least), and ends when it says so or was silent for a whole TTL; then
// its locks are free and what it held open is released. What changes anything is executed exactly
// once (I7), whatever is repeated. A reply leaves when what it tells is durable.
//
// Thread-safe.
#pragma once

#include <cerrno>
#include <chrono>
#include <functional>
#include <memory>

#include "meta/grouping.h"
#include "meta/owner.h"
#include "rpc/server.h"
#include "sys/clock.h"

namespace shoal::metasvc {

// What a call gets whose volume another server owns, or nobody yet, or whose owner lost it before
// the call's effects were durable: ask again, the others too. Programs never see it.
inline constexpr int kNotTheOwner = EREMOTE;
// A new owner found the session, but does not know what it has open: SessionReturn, then the same
// again.
inline constexpr int kReturnFirst = EL2NSYNC;

class JobDispatch;

struct ServiceOptions {
  std::chrono::milliseconds session_ttl{60'000};
  // A new owner serves nobody until the sessions it found have returned, or for so long.
  std::chrono::milliseconds return_wait{5'000};
  uint32_t slots_max = 64;         // of a session
  uint32_t lock_waits_max = 4096;  // of a session: more are refused (ENOLCK)
  JobDispatch* jobs = nullptr;     // outlives the service; null: jobs are refused (ENOSYS)
};

class VolumeService {
 public:
  // `owner` works on `group`; `notes` are what earlier owners' services answered, as
  // meta::group_commits found them. Without a group (null) replies do not wait for anything, and
  // exactly-once ends with this process. All outlive the service; so does the rpc server whose
  // calls it gets, until it was stopped.
  static std::unique_ptr<VolumeService> make(meta::OwnerHandle& owner, engine::GroupCommit* group,
                                             const Clock& clock,
                                             std::vector<meta::Grouped::Note> notes,
                                             ServiceOptions options);
  virtual ~VolumeService() = default;

  // A request of this volume. Executes it on this thread; answers now or later.
  virtual void call(const std::shared_ptr<rpc::Call>& call) = 0;
  // Ends sessions that were silent for too long. To be called about every second, but not while the
  // engine cannot be reached: then nobody was heard of whose request waits for it.
  virtual void tick() = 0;
  // It could not be: every session's time begins anew.
  virtual void engine_was_away() = 0;
  struct SessionStatus {
    SessionId id = 0;
    std::string host, description;
    std::chrono::milliseconds silent{0};
    bool returned = true;  // false: a new owner has not heard of it yet
  };
  virtual std::vector<SessionStatus> sessions() const = 0;
  // Ends it as if it had been silent for its whole TTL. ENOENT.
  virtual Status evict(SessionId session) = 0;
};

}  // namespace shoal::metasvc
