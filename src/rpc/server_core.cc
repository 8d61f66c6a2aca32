#include <algorithm>
#include <utility>

#include "base/log.h"
#include "rpc/server_connection_internal.h"
#include "rpc/server_core_internal.h"

namespace shoal::rpc {
namespace {

constexpr std::chrono::seconds kPatience{1};         // with a handshake when others wait
constexpr std::chrono::milliseconds kLookAgain{50};  // at how old the oldest one is
constexpr int kLinesPerTick = 10;                    // whoever floods us shall not flood the log

}  // namespace

// Waits for room while all handshakes are young: after a fail-over hundreds of clients come at
// once, and who drops the ones that have just begun finishes none.
std::shared_ptr<ServerConnection> ServerCore::make_room() {
  while (!stopping_ && counts_.unauthenticated >= options.limits.unauthenticated_max) {
    const auto oldest = std::find_if(entries_.begin(), entries_.end(), [](const auto& entry) {
      return !entry.second.authenticated && !entry.second.leaving;
    });
    if (oldest->second.connection->age() >= kPatience) {
      oldest->second.leaving = true;
      --counts_.unauthenticated;
      return oldest->second.connection;
    }
    changed_.wait_for(mutex_, kLookAgain);
  }
  return nullptr;
}

std::shared_ptr<ServerConnection> ServerCore::admit(const std::shared_ptr<ServerCore>& self,
                                                    std::unique_ptr<Connection> connection) {
  std::shared_ptr<ServerConnection> oldest;
  std::shared_ptr<ServerConnection> made;
  {
    MutexLock lock(mutex_);
    oldest = make_room();
    const uint64_t number = ++counts_.accepted;
    if (stopping_ || counts_.connections >= options.limits.connections_max) {
      ++counts_.refused;
    } else {
      made = std::make_shared<ServerConnection>(self, std::move(connection), number);
      entries_[number].connection = made;
      ++counts_.unauthenticated;
    }
  }
  if (oldest != nullptr) oldest->stop();
  return made;
}

bool ServerCore::authenticated(uint64_t number) {
  MutexLock lock(mutex_);
  Entry& entry = entries_.at(number);
  if (stopping_ || entry.leaving || counts_.connections >= options.limits.connections_max) {
    ++counts_.refused;
    return false;
  }
  entry.authenticated = true;
  --counts_.unauthenticated;
  ++counts_.connections;
  changed_.notify_all();
  return true;
}

void ServerCore::left(uint64_t number) {
  std::shared_ptr<ServerConnection> gone;
  MutexLock lock(mutex_);
  const auto it = entries_.find(number);
  if (it->second.authenticated) --counts_.connections;
  if (!it->second.authenticated && !it->second.leaving) --counts_.unauthenticated;
  gone = std::move(it->second.connection);
  entries_.erase(it);
  changed_.notify_all();
}

void ServerCore::refused() {
  MutexLock lock(mutex_);
  ++counts_.refused;
}

void ServerCore::called() {
  MutexLock lock(mutex_);
  ++counts_.calls;
}

std::vector<std::shared_ptr<ServerConnection>> ServerCore::all() const {
  MutexLock lock(mutex_);
  std::vector<std::shared_ptr<ServerConnection>> connections;
  connections.reserve(entries_.size());
  for (const auto& [number, entry] : entries_) connections.push_back(entry.connection);
  return connections;
}

void ServerCore::stop_admitting() {
  MutexLock lock(mutex_);
  stopping_ = true;
  changed_.notify_all();
}

void ServerCore::wait_until_all_left(std::chrono::nanoseconds at_most) {
  const std::chrono::nanoseconds end = seams.clock.since_boot() + at_most;
  MutexLock lock(mutex_);
  while (!entries_.empty()) {
    const std::chrono::nanoseconds left = end - seams.clock.since_boot();
    if (left.count() <= 0 || !changed_.wait_for(mutex_, left)) return;
  }
}

RpcServer::Counts ServerCore::counts() const {
  MutexLock lock(mutex_);
  return counts_;
}

void ServerCore::log_peer(std::string_view line) {
  {
    MutexLock lock(mutex_);
    if (lines_ >= kLinesPerTick) {
      ++lines_left_out_;
      return;
    }
    ++lines_;
  }
  log(LogLevel::kWarn, "rpc: a connection was refused: {}", line);
}

void ServerCore::tick() {
  uint64_t left_out = 0;
  {
    MutexLock lock(mutex_);
    lines_ = 0;
    left_out = std::exchange(lines_left_out_, 0);
  }
  if (left_out > 0) log(LogLevel::kWarn, "rpc: {} more connections were refused", left_out);
  for (const auto& connection : all()) connection->tick();
}

}  // namespace shoal::rpc
