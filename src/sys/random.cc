#include "sys/random.h"

#include <sys/random.h>

#include "base/check.h"

namespace shoal {

uint64_t Random::u64() {
  uint64_t v = 0;
  fill(std::as_writable_bytes(std::span(&v, 1)));
  return v;
}

uint64_t Random::below(uint64_t limit) {
  __extension__ using Wide = unsigned __int128;
  CHECK(limit > 0);
  return static_cast<uint64_t>((static_cast<Wide>(u64()) * limit) >> 64);
}

Uuid Random::uuid() {
  Uuid id;
  fill(std::as_writable_bytes(std::span(id.bytes)));
  id.bytes[6] = static_cast<uint8_t>((id.bytes[6] & 0x0f) | 0x40);
  id.bytes[8] = static_cast<uint8_t>((id.bytes[8] & 0x3f) | 0x80);
  return id;
}

void SystemRandom::fill(MutableBytes bytes) {
  while (!bytes.empty()) {
    const ssize_t n = getrandom(bytes.data(), bytes.size(), 0);
    CHECK(n > 0);
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
}

}  // namespace shoal
