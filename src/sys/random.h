// Randomness as a parameter. What must be unguessable or never recur (uuids, nonces, lineages)
// comes from SystemRandom; tests pass a SeededRandom and print its seed.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/ids.h"

namespace shoal {

class Random {
 public:
  virtual ~Random() = default;
  virtual void fill(MutableBytes bytes) = 0;  // thread-safe

  uint64_t u64();
  uint64_t below(uint64_t limit);  // 0 … limit-1; REQUIRES limit > 0
  Uuid uuid();                     // version 4
};

// getrandom(2).
class SystemRandom final : public Random {
 public:
  void fill(MutableBytes bytes) override;
};

}  // namespace shoal
