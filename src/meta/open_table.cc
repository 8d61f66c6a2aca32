#include "meta/open_table.h"

#include <algorithm>

namespace shoal::meta {
namespace {

template <typename Holders>
auto find_holder(Holders& holders, SessionId session) {
  return std::find_if(holders.begin(), holders.end(),
                      [&](const auto& holder) { return holder.session == session; });
}

}  // namespace

void OpenTable::add(Ino ino, SessionId session, bool write) {
  Shard& s = shard(ino);
  MutexLock lock(s.mutex);
  Open& open = s.opens[ino];
  auto it = find_holder(open.holders, session);
  if (it == open.holders.end()) {
    open.holders.push_back({session, 1, write ? 1u : 0u, 0});
  } else {
    ++it->count;
    it->writes += write ? 1 : 0;
  }
}

constexpr uint64_t kAll = ~uint64_t{0};

bool OpenTable::drop_count(Shard& s, Ino ino, SessionId session, uint64_t opens, uint64_t writes) {
  const auto open = s.opens.find(ino);
  if (open == s.opens.end()) return false;
  auto it = find_holder(open->second.holders, session);
  if (it == open->second.holders.end()) return false;
  if (it->count == 0)  // its session never returned to this owner
    return opens == kAll && it->orphan != 0;
  it->count -= std::min(it->count, opens);
  it->writes = std::min(it->writes - std::min(it->writes, writes), it->count);
  if (it->count > 0) return false;
  if (it->orphan != 0) return true;
  open->second.holders.erase(it);
  if (open->second.holders.empty()) s.opens.erase(open);
  return false;
}

bool OpenTable::drop(Ino ino, SessionId session, bool write) {
  Shard& s = shard(ino);
  MutexLock lock(s.mutex);
  return drop_count(s, ino, session, 1, write ? 1 : 0);
}

bool OpenTable::drop_all(Ino ino, SessionId session) {
  Shard& s = shard(ino);
  MutexLock lock(s.mutex);
  return drop_count(s, ino, session, kAll, kAll);
}

std::vector<OpenTable::Holder> OpenTable::holders(Ino ino) const {
  const Shard& s = shard(ino);
  MutexLock lock(s.mutex);
  const auto open = s.opens.find(ino);
  return open == s.opens.end() ? std::vector<Holder>{} : open->second.holders;
}

bool OpenTable::is_open(Ino ino) const {
  const Shard& s = shard(ino);
  MutexLock lock(s.mutex);
  return s.opens.contains(ino);
}

std::vector<SessionId> OpenTable::writers(Ino ino) const {
  std::vector<SessionId> sessions;
  const Shard& s = shard(ino);
  MutexLock lock(s.mutex);
  const auto open = s.opens.find(ino);
  if (open == s.opens.end()) return sessions;
  for (const Holder& holder : open->second.holders) {
    if (holder.writes > 0) sessions.push_back(holder.session);
  }
  return sessions;
}

bool OpenTable::set_orphan(Ino ino, SessionId session, Stamp stamp) {
  Shard& s = shard(ino);
  MutexLock lock(s.mutex);
  Open& open = s.opens[ino];
  auto it = find_holder(open.holders, session);
  if (it == open.holders.end()) {
    open.holders.push_back({session, 0, 0, stamp});
    return false;
  }
  it->orphan = stamp;
  return it->count > 0;
}

void OpenTable::set_linkable(Ino ino, bool linkable) {
  Shard& s = shard(ino);
  MutexLock lock(s.mutex);
  const auto open = s.opens.find(ino);
  if (open != s.opens.end()) open->second.linkable = linkable;
}

bool OpenTable::linkable(Ino ino) const {
  const Shard& s = shard(ino);
  MutexLock lock(s.mutex);
  const auto open = s.opens.find(ino);
  return open != s.opens.end() && open->second.linkable;
}

void OpenTable::orphan_done(Ino ino, SessionId session) {
  Shard& s = shard(ino);
  MutexLock lock(s.mutex);
  const auto open = s.opens.find(ino);
  if (open == s.opens.end()) return;
  auto it = find_holder(open->second.holders, session);
  if (it == open->second.holders.end() || it->count > 0) return;
  open->second.holders.erase(it);
  if (open->second.holders.empty()) s.opens.erase(open);
}

std::vector<Ino> OpenTable::of_session(SessionId session) const {
  std::vector<Ino> inos;
  for (const Shard& s : shards_) {
    MutexLock lock(s.mutex);
    for (const auto& [ino, open] : s.opens) {
      if (find_holder(open.holders, session) != open.holders.end()) inos.push_back(ino);
    }
  }
  return inos;
}

}  // namespace shoal::meta
