// A session as the service keeps it. Shared with what answers later. Private to metasvc/.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>

#include "meta/types.h"
#include "rpc/reply_cache.h"
#include "rpc/server.h"
#include "sys/mutex.h"

namespace shoal::metasvc {

struct Session {
  Session(SessionId number, uint32_t slots, std::string from, std::string what)
      : id(number), host(std::move(from)), description(std::move(what)), replies(slots) {}

  const SessionId id;
  const std::string host, description;
  Mutex mutex;
  rpc::ReplyCache replies GUARDED_BY(mutex);
  std::unordered_map<uint32_t, uint64_t> notes GUARDED_BY(mutex);  // slot → its reply's group
  std::set<uint32_t> restored GUARDED_BY(mutex);      // slots whose reply an earlier owner gave
  std::shared_ptr<rpc::Peer> peer GUARDED_BY(mutex);  // its newest connection
  std::chrono::nanoseconds heard GUARDED_BY(mutex){0};
  bool returned GUARDED_BY(mutex) = true;
  struct LockWaiting {
    uint64_t ticket = 0;  // of the owner; 0: not queued yet
    bool asked = false;
    bool cancelled = false;  // its LockCancel came first: requests overtake each other
  };
  std::map<uint64_t, LockWaiting> lock_waits GUARDED_BY(mutex);  // by wait
  // Told to a connection that may not have been there any more: told again to the next one.
  std::map<uint64_t, int> locks_done GUARDED_BY(mutex);
  std::deque<meta::SessionEvent> events GUARDED_BY(mutex);  // likewise: hearing twice does no harm
  bool ended GUARDED_BY(mutex) = false;
};
using SessionPtr = std::shared_ptr<Session>;

}  // namespace shoal::metasvc
