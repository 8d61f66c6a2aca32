// What the owner tells sessions unasked: that they are not alone any more, and which files they are
// not alone to write. Memory only: a session that comes back opens what it holds again.
#include <algorithm>

#include "meta/owner_impl.h"

namespace shoal::meta {

void Owner::session_events(SessionId session, std::function<void(const SessionEvent&)> hear) {
  Hear told;
  {
    MutexLock lock(sessions_mutex_);
    const auto found = sessions_.find(session);
    if (found == sessions_.end()) return;  // it has ended
    found->second =
        hear ? std::make_shared<const std::function<void(const SessionEvent&)>>(std::move(hear))
             : nullptr;
    if (sessions_.size() > 1) told = found->second;
  }
  if (told != nullptr) (*told)({SessionEvent::Kind::kShared, 0});
}

void Owner::session_began(SessionId session) {
  std::vector<Hear> others;
  {
    MutexLock lock(sessions_mutex_);
    for (const auto& [id, hear] : sessions_) {
      if (hear != nullptr) others.push_back(hear);
    }
    sessions_.try_emplace(session);
  }
  for (const Hear& hear : others) (*hear)({SessionEvent::Kind::kShared, 0});
}

void Owner::session_ended(SessionId session) {
  MutexLock lock(sessions_mutex_);
  sessions_.erase(session);
}

bool Owner::tell_writers(SessionId by, Ino ino, bool opened) {
  const std::vector<SessionId> writers = opens_.writers(ino);
  if (writers.size() < 2) return false;
  if (!opened) return true;
  std::vector<Hear> others;
  {
    MutexLock lock(sessions_mutex_);
    for (const SessionId writer : writers) {
      const auto found = writer == by ? sessions_.end() : sessions_.find(writer);
      if (found != sessions_.end() && found->second != nullptr) others.push_back(found->second);
    }
  }
  for (const Hear& hear : others) (*hear)({SessionEvent::Kind::kWrittenBySeveral, ino});
  return true;
}

}  // namespace shoal::meta
