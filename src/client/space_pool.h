// SpacePool: the space this mount may still fill, granted by the owner in steps, so that ENOSPC is
// answered at the write and never later (design §6.2). One for the whole client; thread-safe.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/error.h"
#include "meta/metadata.h"
#include "sys/mutex.h"

namespace shoal::client {

class SpacePool {
 public:
  static constexpr uint64_t kStepBytes = 64 << 20;

  // Both outlive it.
  SpacePool(meta::Metadata& metadata, const std::atomic<SessionId>& session)
      : metadata_(metadata), session_(session) {}

  // ENOSPC (or EDQUOT) when the owner grants less; nothing is taken then.
  Status take(uint64_t bytes);
  // Taken bytes that turned out not to be needed: they can be taken again.
  void give_back(uint64_t bytes);
  // Taken bytes that the owner has accounted as the files' own by now.
  void used(uint64_t bytes) { taken_ -= bytes; }
  uint64_t taken() const { return taken_.load(); }
  // While nothing is taken, gives the whole grant back. The owner counts what each commit adds and
  // this pool what each inode's did, so that the two drift apart when one commit both adds and
  // frees; this brings them together again.
  void settle();
  // The grants went with their session.
  void grants_lost() { available_ = 0; }

 private:
  bool try_take(uint64_t bytes);
  void return_to_owner(uint64_t bytes);

  meta::Metadata& metadata_;
  const std::atomic<SessionId>& session_;
  std::atomic<uint64_t> available_ = 0;
  std::atomic<uint64_t> taken_ = 0;
  Mutex growing_;  // one grant at a time; held over the owner's answer, as everybody behind it
                   // waits for the same
};

}  // namespace shoal::client
