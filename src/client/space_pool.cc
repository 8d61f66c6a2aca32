#include "client/space_pool.h"

#include <algorithm>

namespace shoal::client {

bool SpacePool::try_take(uint64_t bytes) {
  uint64_t available = available_.load();
  while (available >= bytes) {
    if (available_.compare_exchange_weak(available, available - bytes)) {
      taken_ += bytes;
      return true;
    }
  }
  return false;
}

Status SpacePool::take(uint64_t bytes) {
  if (try_take(bytes)) return {};
  MutexLock lock(growing_);
  while (!try_take(bytes)) {
    const uint64_t missing = bytes - std::min(bytes, available_.load());
    meta::Request request;
    request.session = session_;
    TRY_ASSIGN(const uint64_t granted, metadata_.space_grant(request, std::max(missing, kStepBytes)));
    if (granted == 0) return error(ENOSPC, "no space for {} more bytes", missing);
    available_ += granted;
  }
  return {};
}

void SpacePool::give_back(uint64_t bytes) {
  taken_ -= bytes;
  available_ += bytes;
  if (available_.load() > 4 * kStepBytes) return_rest();  // let others have it
}

void SpacePool::return_rest() {
  const uint64_t bytes = available_.exchange(0);
  if (bytes == 0) return;
  meta::Request request;
  request.session = session_;
  metadata_.space_return(request, bytes);
}

}  // namespace shoal::client
