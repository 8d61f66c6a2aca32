// DurabilityClasses: what fsync waits for, per directory (design §6.2). The setting is the extended
// attribute kDurabilityXattr of a directory ("local" or "object"); the nearest ancestor that has
// one decides, else the volume.
//
// Answers are cached per directory; forget() when a setting or a directory's place changed.
// Thread-safe.
#pragma once

#include <atomic>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "format/volume.h"
#include "meta/metadata.h"
#include "sys/mutex.h"

namespace shoal::client {

inline constexpr std::string_view kDurabilityXattr = "trusted.shoal.durability";

class DurabilityClasses {
 public:
  DurabilityClasses(meta::Metadata& metadata, const std::atomic<SessionId>& session,
                    format::Durability of_volume)
      : metadata_(metadata), session_(session), of_volume_(of_volume) {}

  format::Durability of_directory(Ino directory);
  // The same, and where it was set (0: it is the volume's), for people.
  struct Found {
    format::Durability durability = format::Durability::kLocal;
    Ino set_on = 0;
  };
  Found find(Ino directory);
  void forget();

 private:
  static constexpr size_t kEntriesMax = 1 << 16;
  static constexpr int kDepthMax = 4096;

  meta::Metadata& metadata_;
  const std::atomic<SessionId>& session_;
  const format::Durability of_volume_;
  SharedMutex mutex_;
  uint64_t forgotten_ GUARDED_BY(mutex_) =
      0;  // counts forget(): an answer found across one is not kept
  std::unordered_map<Ino, Found> cached_ GUARDED_BY(mutex_);
};

}  // namespace shoal::client
