// What the numbers of an operation mean as bytes, lengths and offsets: mostly small and
// overlapping.
#pragma once

#include <cstdint>
#include <string>

namespace shoal::model {

inline constexpr uint64_t kFileBytesMaxHere = 400'000;

inline std::string pattern(uint32_t seed, size_t bytes) {
  std::string text(bytes, '\0');
  uint32_t state = seed * 2654435761u + 1;
  for (size_t i = 0; i < bytes; ++i) {
    if (i % 64 == 0) state = state * 1664525u + 1013904223u;
    text[i] = static_cast<char>('A' + (state >> 24) % 58 + i % 5);
  }
  return text;
}

inline size_t length_of(uint32_t n) {
  if (n % 50 == 0) return 66'000 + n % 70'000;  // more than a frame
  if (n % 10 == 0) return 1 + n % 20'000;
  return 1 + n % 3'000;
}

inline uint64_t offset_of(uint32_t n) { return n % 40 == 0 ? n % 250'000 : n % 12'000; }

}  // namespace shoal::model
