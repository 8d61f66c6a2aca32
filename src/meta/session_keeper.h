// SessionKeeper: what an owner does for sessions that outlive it: those of mounts in other
// processes. Their records, the files that they hold without a name, and their locks stay in the
// engine; what else they have open they tell the next owner when they return. Thread-safe.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/ids.h"

namespace shoal::meta {

struct HeldOpen {
  Ino ino = 0;
  uint64_t reads = 0;   // opens not yet released, of those without write
  uint64_t writes = 0;  // … and with it
};

struct KeptSession {
  SessionId id = 0;
  std::string host, description;
};

class SessionKeeper {
 public:
  virtual ~SessionKeeper() = default;
  // As Metadata::session_open, for a session that outlives this owner.
  virtual Result<SessionId> open_kept_session(const std::string& host,
                                              const std::string& description) = 0;
  // Those that earlier owners left.
  virtual std::vector<KeptSession> kept_sessions() = 0;
  // One of them is back and holds these open.
  virtual void session_returned(SessionId session, const std::vector<HeldOpen>& opens) = 0;
};

}  // namespace shoal::meta
