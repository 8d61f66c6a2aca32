#include "base/crc32c.h"

#include <array>
#include <cstring>
#if defined(__SSE4_2__)
#include <nmmintrin.h>
#endif

namespace shoal {
namespace {

constexpr uint32_t kPolynomial = 0x82f63b78;  // reflected

// The register after one more byte, bit by bit.
constexpr uint32_t step(uint32_t c) {
  for (int k = 0; k < 8; ++k) c = (c >> 1) ^ ((c & 1) != 0 ? kPolynomial : 0);
  return c;
}

#if defined(__SSE4_2__)

// The instruction takes three cycles but one can begin in each, so long input is cut into three
// lanes that run side by side. A lane's register is carried over the bytes of the lanes behind it
// (as if they were zeros, which is linear) by four look-ups.
constexpr size_t kLongLane = 1360, kShortLane = 168;  // bytes, multiples of 8

using ZerosTable = std::array<std::array<uint32_t, 256>, 4>;

constexpr ZerosTable make_zeros_table(size_t bytes) {
  std::array<uint32_t, 32> of_bit{};
  for (int bit = 0; bit < 32; ++bit) {
    uint32_t c = uint32_t{1} << bit;
    for (size_t i = 0; i < bytes; ++i) c = step(c);
    of_bit[bit] = c;
  }
  ZerosTable table{};
  for (int byte = 0; byte < 4; ++byte) {
    for (uint32_t value = 0; value < 256; ++value) {
      for (int bit = 0; bit < 8; ++bit) {
        if ((value >> bit & 1) != 0) table[byte][value] ^= of_bit[byte * 8 + bit];
      }
    }
  }
  return table;
}
constexpr ZerosTable kLongZeros = make_zeros_table(kLongLane);
constexpr ZerosTable kShortZeros = make_zeros_table(kShortLane);

uint32_t over_zeros(const ZerosTable& table, uint64_t c) {
  return table[0][c & 0xff] ^ table[1][c >> 8 & 0xff] ^ table[2][c >> 16 & 0xff] ^
         table[3][c >> 24 & 0xff];
}

uint64_t word_at(const unsigned char* p) {
  uint64_t word;
  std::memcpy(&word, p, 8);
  return word;
}

// Takes three lanes as long as there are so many bytes.
template <size_t kLane>
uint64_t three_lanes(const ZerosTable& table, uint64_t crc, const unsigned char*& p, size_t& n) {
  while (n >= 3 * kLane) {
    uint64_t second = 0, third = 0;
    for (size_t i = 0; i < kLane; i += 8) {
      crc = _mm_crc32_u64(crc, word_at(p + i));
      second = _mm_crc32_u64(second, word_at(p + kLane + i));
      third = _mm_crc32_u64(third, word_at(p + 2 * kLane + i));
    }
    crc = over_zeros(table, crc) ^ second;
    crc = over_zeros(table, crc) ^ third;
    p += 3 * kLane;
    n -= 3 * kLane;
  }
  return crc;
}

#else

constexpr std::array<uint32_t, 256> make_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) table[i] = step(i);
  return table;
}
constexpr std::array<uint32_t, 256> kTable = make_table();

#endif

}  // namespace

uint32_t crc32c(ByteView bytes, uint32_t seed) {
  const auto* p = reinterpret_cast<const unsigned char*>(bytes.data());
  size_t n = bytes.size();
#if defined(__SSE4_2__)
  uint64_t crc = static_cast<uint32_t>(~seed);
  crc = three_lanes<kLongLane>(kLongZeros, crc, p, n);
  crc = three_lanes<kShortLane>(kShortZeros, crc, p, n);
  for (; n >= 8; p += 8, n -= 8) crc = _mm_crc32_u64(crc, word_at(p));
  auto c = static_cast<uint32_t>(crc);
  for (; n > 0; ++p, --n) c = _mm_crc32_u8(c, *p);
#else
  uint32_t c = ~seed;
  for (; n > 0; ++p, --n) c = kTable[(c ^ *p) & 0xff] ^ (c >> 8);
#endif
  return ~c;
}

}  // namespace shoal
