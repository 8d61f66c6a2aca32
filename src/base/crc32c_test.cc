#include "base/crc32c.h"

#include <gtest/gtest.h>

#include <string>

namespace shoal {
namespace {

// By the definition, bit by bit.
uint32_t plain(std::string_view bytes, uint32_t seed = 0) {
  uint32_t c = ~seed;
  for (const char byte : bytes) {
    c ^= static_cast<unsigned char>(byte);
    for (int k = 0; k < 8; ++k) c = (c >> 1) ^ ((c & 1) != 0 ? 0x82f63b78u : 0);
  }
  return ~c;
}

TEST(Crc32c, known_answers) {
  EXPECT_EQ(crc32c(as_bytes("123456789")), 0xe3069283u);  // RFC 3720
  EXPECT_EQ(crc32c(as_bytes(std::string(32, '\0'))), 0x8a9136aau);
  EXPECT_EQ(crc32c(as_bytes("56789"), crc32c(as_bytes("1234"))), 0xe3069283u);
}

TEST(Crc32c, any_length_at_any_place_is_as_by_definition) {
  std::string bytes(20'000, '\0');
  uint32_t noise = 12345;
  for (char& byte : bytes) {
    noise = noise * 1664525 + 1013904223;
    byte = static_cast<char>(noise >> 24);
  }
  const std::string_view all = bytes;
  const size_t lengths[] = {0,    1,    7,    8,    9,    167,  503,  504,  505,   1007,  1008,
                            4079, 4080, 4081, 4096, 4584, 8159, 8160, 8192, 12240, 16384, 19'000};
  for (const size_t length : lengths) {
    for (const size_t at : {size_t{0}, size_t{1}, size_t{5}, size_t{8}, size_t{999}}) {
      const std::string_view piece = all.substr(at, length);
      ASSERT_EQ(crc32c(as_bytes(piece)), plain(piece)) << at << "+" << length;
      ASSERT_EQ(crc32c(as_bytes(piece), 77), plain(piece, 77)) << at << "+" << length;
    }
  }
}

}  // namespace
}  // namespace shoal
