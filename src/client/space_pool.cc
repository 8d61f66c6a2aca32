#include "client/space_pool.h"

#include <algorithm>

namespace shoal::client {

bool SpacePool::try_take(uint64_t bytes) {
  taken_ += bytes;  // before it leaves `available_`: settle() must not find both without it
  uint64_t available = available_.load();
  while (available >= bytes) {
    if (available_.compare_exchange_weak(available, available - bytes)) return true;
  }
  taken_ -= bytes;
  return false;
}

Status SpacePool::take(uint64_t bytes) {
  if (try_take(bytes)) return {};
  MutexLock lock(growing_);
  while (!try_take(bytes)) {
    const uint64_t missing = bytes - std::min(bytes, available_.load());
    meta::Request request;
    request.session = session_;
    TRY_ASSIGN(const uint64_t granted,
               metadata_.space_grant(request, std::max(missing, kStepBytes)));
    if (granted == 0) return error(ENOSPC, "no space for {} more bytes", missing);
    available_ += granted;
  }
  return {};
}

void SpacePool::give_back(uint64_t bytes) {
  available_ += bytes;
  taken_ -= bytes;
  if (available_.load() > 4 * kStepBytes)
    return_to_owner(available_.exchange(0));  // let others have it
}

void SpacePool::settle() {
  MutexLock lock(growing_);
  const uint64_t rest = available_.exchange(0);
  if (taken_.load() == 0) return return_to_owner(~uint64_t{0});
  available_ += rest;
}

void SpacePool::return_to_owner(uint64_t bytes) {
  if (bytes == 0) return;
  meta::Request request;
  request.session = session_;
  metadata_.space_return(request, bytes);
}

}  // namespace shoal::client
