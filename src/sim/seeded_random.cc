#include "sim/seeded_random.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>

namespace shoal::sim {

namespace {
uint64_t splitmix64(uint64_t& state) {
  uint64_t z = (state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}
}  // namespace

SeededRandom::SeededRandom(uint64_t seed) : seed_(seed) {
  for (uint64_t& word : state_) word = splitmix64(seed);
}

uint64_t SeededRandom::next() {
  const uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  const uint64_t shifted = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= shifted;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

void SeededRandom::fill(MutableBytes bytes) {
  MutexLock lock(mutex_);
  while (!bytes.empty()) {
    const uint64_t word = next();
    const size_t n = std::min(bytes.size(), sizeof word);
    std::memcpy(bytes.data(), &word, n);
    bytes = bytes.subspan(n);
  }
}

uint64_t seed_or(uint64_t otherwise) {
  const char* text = std::getenv("SHOAL_SEED");
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 0);
}

}  // namespace shoal::sim
