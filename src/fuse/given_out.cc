#include "fuse/given_out.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace shoal::fuse {

// The count goes up before the look: whoever makes the volume shared either is seen here, or sees
// the count.
bool GivenOut::begin() {
  if (client_.shared()) return false;
  ++running_;
  if (!client_.shared()) return true;
  end();
  return false;
}

void GivenOut::end() {
  if (--running_ > 0 || !client_.shared()) return;
  MutexLock lock(mutex_);
  none_running_.notify_all();
}

bool GivenOut::keep_node(uint64_t node) {
  Shard& at = shard(node);
  MutexLock lock(at.mutex);
  const auto found = at.lookups.find(node);
  if (found != at.lookups.end()) {
    ++found->second;
    return true;
  }
  if (nodes_ >= kNodesMax) return false;
  ++nodes_;
  at.lookups.emplace(node, 1);
  return true;
}

bool GivenOut::knows_node(uint64_t node) {
  if (node == FUSE_ROOT_ID) return true;
  Shard& at = shard(node);
  MutexLock lock(at.mutex);
  return at.lookups.contains(node);
}

bool GivenOut::keep_name(uint64_t directory, std::string_view name) {
  if (names_spared_ || name.empty()) return true;
  Shard& at = shard(directory);
  MutexLock lock(at.mutex);
  std::unordered_set<std::string>& names = at.names[directory];
  if (names.contains(std::string(name))) return true;
  if (names_ >= kNamesMax) return false;
  ++names_;
  names.emplace(name);
  return true;
}

CacheTimes GivenOut::Answer::entry(uint64_t directory, std::string_view name, uint64_t node) const {
  if (!long_) return out_.shared_;
  CacheTimes times = out_.alone_;
  if (!out_.keep_node(node)) times.attributes = out_.shared_.attributes;
  if (!out_.keep_name(directory, name)) times.entries = out_.shared_.entries;
  return times;
}

CacheTimes GivenOut::Answer::negative(uint64_t directory, std::string_view name) const {
  return long_ && out_.keep_name(directory, name) ? out_.alone_ : out_.shared_;
}

CacheTimes GivenOut::Answer::attributes(uint64_t node) const {
  return long_ && out_.knows_node(node) ? out_.alone_ : out_.shared_;
}

void GivenOut::removed(uint64_t directory, std::string_view name) {
  if (names_spared_) return;
  Shard& at = shard(directory);
  MutexLock lock(at.mutex);
  const auto names = at.names.find(directory);
  if (names == at.names.end()) return;
  names_ -= names->second.erase(std::string(name));
  if (names->second.empty()) at.names.erase(names);
}

bool GivenOut::Answer::renamed(uint64_t directory, std::string_view name) const {
  return !long_ || out_.keep_name(directory, name);
}

void GivenOut::forgotten(uint64_t node, uint64_t lookups) {
  Shard& at = shard(node);
  MutexLock lock(at.mutex);
  const auto found = at.lookups.find(node);
  if (found == at.lookups.end()) return;
  found->second -= std::min(found->second, lookups);
  if (found->second > 0) return;
  at.lookups.erase(found);
  --nodes_;
  const auto names = at.names.find(node);
  if (names == at.names.end()) return;
  names_ -= names->second.size();
  at.names.erase(names);
}

GivenOut::Taken GivenOut::take() {
  CHECK(client_.shared());
  {
    MutexLock lock(mutex_);
    while (running_ > 0) none_running_.wait(mutex_);
  }
  Taken taken;
  taken.nodes.push_back(FUSE_ROOT_ID);
  for (Shard& at : shards_) {
    MutexLock lock(at.mutex);
    for (const auto& [node, lookups] : at.lookups) taken.nodes.push_back(node);
    for (auto& [directory, names] : at.names) {
      for (const std::string& name : names) taken.names.emplace_back(directory, name);
    }
    at.lookups.clear();
    at.names.clear();
  }
  nodes_ = names_ = 0;
  return taken;
}

}  // namespace shoal::fuse
