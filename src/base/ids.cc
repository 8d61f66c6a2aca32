#include "base/ids.h"

#include "base/bytes.h"

namespace shoal {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Reads up to 16 hex digits; false on anything else.
bool parse_hex(std::string_view text, uint64_t* value) {
  *value = 0;
  for (char c : text) {
    const int digit = hex_digit(c);
    if (digit < 0) return false;
    *value = *value << 4 | static_cast<uint64_t>(digit);
  }
  return !text.empty() && text.size() <= 16;
}

}  // namespace

std::string Uuid::to_string() const {
  const std::string hex = to_hex(std::as_bytes(std::span(bytes)));
  return fmt::format("{}-{}-{}-{}-{}", hex.substr(0, 8), hex.substr(8, 4), hex.substr(12, 4),
                     hex.substr(16, 4), hex.substr(20));
}

Result<Uuid> Uuid::parse(std::string_view text) {
  Uuid id;
  size_t nibble = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '-' && (i == 8 || i == 13 || i == 18 || i == 23)) continue;
    const int digit = hex_digit(text[i]);
    if (digit < 0 || nibble >= 32) return shoal::error(EINVAL, "'{}' is not a uuid", text);
    id.bytes[nibble / 2] = static_cast<uint8_t>(id.bytes[nibble / 2] << 4 | digit);
    ++nibble;
  }
  if (nibble != 32) return shoal::error(EINVAL, "'{}' is not a uuid", text);
  return id;
}

std::string SegmentId::to_string() const { return fmt::format("{:016x}{:016x}", nonce, sequence); }

Result<SegmentId> SegmentId::parse(std::string_view text) {
  SegmentId id;
  if (text.size() != 32 || !parse_hex(text.substr(0, 16), &id.nonce) ||
      !parse_hex(text.substr(16), &id.sequence)) {
    return shoal::error(EINVAL, "'{}' is not a segment id (32 hex digits)", text);
  }
  return id;
}

}  // namespace shoal
