// Space: bytes are promised to sessions before they are written, so that an acknowledged write
// never meets ENOSPC.
#include <algorithm>

#include "meta/owner_impl.h"

namespace shoal::meta {

Status Owner::ensure_inodes(uint64_t inodes) {
  const uint64_t max = inodes_max_.load(std::memory_order_relaxed);
  if (max == 0) return {};
  const auto full = [&] { return static_cast<uint64_t>(usage_[kInodes].load()) + inodes > max; };
  if (full()) make_room(0, inodes);
  if (full()) return error(ENOSPC, "the volume holds its {} inodes", max);
  return {};
}

Result<uint64_t> Owner::space_grant(const Request& request, uint64_t want_bytes) {
  TRY(healthy());
  if (want_bytes == 0) return error(EINVAL, "a grant of no bytes");
  for (const bool last_try : {false, true}) {
    const uint64_t capacity = capacity_bytes_.load(std::memory_order_relaxed);
    {
      MutexLock lock(space_mutex_);
      const auto used = static_cast<uint64_t>(std::max<int64_t>(0, usage_[kUsedBytes].load()));
      const uint64_t taken = used + granted_;
      const uint64_t free = capacity == 0 ? want_bytes : capacity > taken ? capacity - taken : 0;
      // Less than asked for only when emptying the trash could not help.
      const uint64_t granted = std::min(free, want_bytes);
      if (granted == want_bytes || (last_try && granted > 0)) {
        grants_[request.session] += granted;
        granted_ += granted;
        return granted;
      }
    }
    if (!last_try) make_room(want_bytes, 0);
  }
  return error(ENOSPC, "the volume holds its {} bytes", capacity_bytes_.load());
}

void Owner::space_return(const Request& request, uint64_t bytes) {
  use_grant(request.session, static_cast<int64_t>(std::min<uint64_t>(bytes, INT64_MAX)));
}

void Owner::use_grant(SessionId session, int64_t bytes) {
  if (bytes <= 0) return;
  MutexLock lock(space_mutex_);
  const auto it = grants_.find(session);
  if (it == grants_.end()) return;
  const uint64_t used = std::min(it->second, static_cast<uint64_t>(bytes));
  it->second -= used;
  granted_ -= used;
  if (it->second == 0) grants_.erase(it);
}

}  // namespace shoal::meta
