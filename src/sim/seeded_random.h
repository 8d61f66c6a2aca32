// Random numbers that a seed decides: the same seed gives the same bytes on every machine. Tests
// print the seed. The generator is xoshiro256** (Blackman and Vigna, "Scrambled linear pseudorandom
// number generators", 2018), its state filled by splitmix64. Thread-safe; with several threads
// their order decides who gets what.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "sys/mutex.h"
#include "sys/random.h"

namespace shoal::sim {

class SeededRandom final : public Random {
 public:
  explicit SeededRandom(uint64_t seed);
  void fill(MutableBytes bytes) override;
  uint64_t seed() const { return seed_; }
  bool chance(unsigned percent) { return below(100) < percent; }

 private:
  uint64_t next() REQUIRES(mutex_);

  const uint64_t seed_;
  Mutex mutex_;
  std::array<uint64_t, 4> state_ GUARDED_BY(mutex_);
};

// The number in the environment variable SHOAL_SEED, else `otherwise`: how a test is run again with
// a seed it printed.
uint64_t seed_or(uint64_t otherwise);

}  // namespace shoal::sim
