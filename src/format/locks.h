// K: the locks that sessions of other processes hold on one inode, so that the next owner knows
// them (design §5.3). Starts with a format byte; a greater one than we know is ENOTSUP.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/ids.h"

namespace shoal::format {

struct HeldLock {
  SessionId session = 0;
  uint8_t kind = 0;  // as meta::LockKind
  bool write = false;
  uint64_t start = 0, end = 0;  // inclusive
  uint64_t owner = 0, handle = 0;
  uint32_t pid = 0;
};
std::string encode_locks(const std::vector<HeldLock>& locks);
Result<std::vector<HeldLock>> decode_locks(std::string_view value);

}  // namespace shoal::format
