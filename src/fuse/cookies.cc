#include "fuse/cookies.h"

#include <algorithm>

namespace shoal::fuse {
namespace {

constexpr unsigned kIndexBits = 8;
static_assert(CookieTable::kRunNames < (1u << kIndexBits));

// Run ids begin at 1, so cookies of names begin at 256, behind the three constants.
uint64_t cookie_of(uint64_t run, size_t index) { return run << kIndexBits | index; }
uint64_t run_of(uint64_t cookie) { return cookie >> kIndexBits; }
size_t index_of(uint64_t cookie) { return cookie & ((1u << kIndexBits) - 1); }

uint32_t hash_of(std::string_view name) {
  const uint64_t hash = std::hash<std::string_view>()(name);
  return static_cast<uint32_t>(hash ^ hash >> 32);
}

}  // namespace

CookieTable::Run* CookieTable::run(uint64_t id) {
  if (id < first_id_ || id - first_id_ >= runs_.size()) return nullptr;
  return &runs_[id - first_id_];
}

Result<std::string> CookieTable::resume(uint64_t cookie, const List& list) {
  if (cookie <= kCookieDotDot) return std::string();
  const size_t index = index_of(cookie);
  Run run_now;
  {
    MutexLock lock(mutex_);
    for (const Recent& recent : recent_) {
      if (recent.cookie == cookie) return recent.name;
    }
    const Run* const found = run(run_of(cookie));
    if (found == nullptr || index >= found->hashes.size()) {
      return error(ESTALE, "directory position {:#x} is unknown", cookie);
    }
    if (index + 1 == found->hashes.size()) return found->last;
    run_now = *found;
  }
  std::string behind = run_now.start;
  std::string after = run_now.start;
  while (true) {
    TRY_ASSIGN(const Names page, list(after, 2 * kRunNames));
    for (const std::string& name : page.names) {
      if (name > run_now.last) return behind;
      const auto found = std::find(run_now.hashes.begin(), run_now.hashes.end(), hash_of(name));
      if (found == run_now.hashes.end()) continue;  // made later
      if (static_cast<size_t>(found - run_now.hashes.begin()) > index) return behind;
      behind = name;
    }
    if (!page.more || page.names.empty()) return behind;
    after = page.names.back();
  }
}

uint64_t CookieTable::new_run(std::string_view start, std::string_view name, uint32_t hash) {
  runs_.push_back({std::string(start), std::string(name), {hash}});
  ++recorded_;
  const uint64_t id = first_id_ + runs_.size() - 1;
  by_start_[std::string(start)] = id;
  if (recorded_ > kNamesMax) drop_oldest();
  return cookie_of(id, 0);
}

void CookieTable::drop_oldest() {
  const Run& oldest = runs_.front();
  const auto found = by_start_.find(oldest.start);
  if (found != by_start_.end() && found->second == first_id_) by_start_.erase(found);
  recorded_ -= oldest.hashes.size();
  runs_.pop_front();
  ++first_id_;
}

uint64_t CookieTable::assign_one(uint64_t previous, std::string_view previous_name,
                                 std::string_view name) {
  const uint32_t hash = hash_of(name);
  Run* const current = previous > kCookieDotDot ? run(run_of(previous)) : nullptr;
  const size_t next = current == nullptr ? 0 : index_of(previous) + 1;
  if (current != nullptr && next < current->hashes.size()) {  // listed before, by whomever
    if (current->hashes[next] == hash) return cookie_of(run_of(previous), next);
    return new_run(previous_name, name, hash);  // the directory changed here
  }
  if (const auto found = by_start_.find(std::string(previous_name)); found != by_start_.end()) {
    if (run(found->second)->hashes.front() == hash) return cookie_of(found->second, 0);
  }
  if (current == nullptr || next == kRunNames ||
      std::find(current->hashes.begin(), current->hashes.end(), hash) != current->hashes.end()) {
    return new_run(previous_name, name, hash);
  }
  if (current->hashes.capacity() == current->hashes.size() && next >= 8) {
    current->hashes.reserve(kRunNames);  // a long directory: no slack beyond
  }
  current->hashes.push_back(hash);
  current->last = name;
  ++recorded_;
  return cookie_of(run_of(previous), next);
}

std::vector<uint64_t> CookieTable::assign(uint64_t previous, std::string_view previous_name,
                                          const std::vector<std::string_view>& names) {
  std::vector<uint64_t> cookies;
  cookies.reserve(names.size());
  MutexLock lock(mutex_);
  if (previous <= kCookieDotDot) pass_ = 0;
  pass_ += names.size();
  longest_pass_ = std::max(longest_pass_, pass_);
  for (const std::string_view name : names) {
    previous = assign_one(previous, previous_name, name);
    previous_name = name;
    cookies.push_back(previous);
  }
  if (!names.empty()) {
    if (recent_.size() < kRecent) {
      recent_.push_back({previous, std::string(previous_name)});
    } else {
      recent_[recent_next_] = {previous, std::string(previous_name)};
      recent_next_ = (recent_next_ + 1) % kRecent;
    }
  }
  return cookies;
}

void CookieTable::trim() {
  constexpr size_t kSlackNames = 4096;
  MutexLock lock(mutex_);
  if (recorded_ <= 4 * longest_pass_ + kSlackNames) return;
  first_id_ += runs_.size();  // ids are not used twice: an old cookie is ESTALE, never another name
  runs_.clear();
  by_start_.clear();
  recent_.clear();
  recent_next_ = 0;
  recorded_ = pass_ = longest_pass_ = 0;
}

size_t CookieTable::recorded_names() const {
  MutexLock lock(mutex_);
  return recorded_;
}

void CookieTables::opened(Ino ino) {
  MutexLock lock(mutex_);
  Directory& directory = directories_[ino];
  ++directory.handles;
  directory.forgotten = false;
}

void CookieTables::closed(Ino ino) {
  MutexLock lock(mutex_);
  const auto found = directories_.find(ino);
  if (found == directories_.end() || found->second.handles == 0) return;  // a peer's mistake
  if (--found->second.handles > 0) return;
  if (found->second.forgotten || found->second.table->recorded_names() == 0) {
    directories_.erase(found);
  } else {
    found->second.table->trim();
  }
}

void CookieTables::forgotten(Ino ino) {
  MutexLock lock(mutex_);
  const auto found = directories_.find(ino);
  if (found == directories_.end()) return;
  if (found->second.handles == 0) {
    directories_.erase(found);
  } else {
    found->second.forgotten = true;
  }
}

std::shared_ptr<CookieTable> CookieTables::table(Ino ino) {
  MutexLock lock(mutex_);
  return directories_[ino].table;
}

size_t CookieTables::size() const {
  MutexLock lock(mutex_);
  return directories_.size();
}

}  // namespace shoal::fuse
