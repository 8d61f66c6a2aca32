// Encoding of integers and strings into bytes: big-endian fixed width (keys, where order must mean
// something), little-endian fixed width (disk formats), LEB128 varints and zigzag (values).
//
// Encoder appends to a std::string. Decoder reads from bytes that may be hostile: it never reads
// past the end, and once anything was missing or malformed `ok()` is false, every later read yields
// 0 or "", and `finish()` is an error. So decoders read all fields first and check once.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"

namespace shoal {

class Encoder {
 public:
  explicit Encoder(std::string& out) : out_(out) {}

  void u8(uint8_t v) { out_.push_back(static_cast<char>(v)); }
  void be16(uint16_t v) { fixed(__builtin_bswap16(v)); }
  void be32(uint32_t v) { fixed(__builtin_bswap32(v)); }
  void be64(uint64_t v) { fixed(__builtin_bswap64(v)); }
  void le16(uint16_t v) { fixed(v); }
  void le32(uint32_t v) { fixed(v); }
  void le64(uint64_t v) { fixed(v); }
  void varint(uint64_t v) {
    while (v >= 0x80) {
      u8(static_cast<uint8_t>(v) | 0x80);
      v >>= 7;
    }
    u8(static_cast<uint8_t>(v));
  }
  void zigzag(int64_t v) {
    varint((static_cast<uint64_t>(v) << 1) ^ static_cast<uint64_t>(v >> 63));
  }
  void raw(std::string_view v) { out_.append(v); }
  void string(std::string_view v) {  // varint length, then the bytes
    varint(v.size());
    raw(v);
  }

 private:
  template <typename T>
  void fixed(T v) {
    static_assert(std::endian::native == std::endian::little);
    out_.append(reinterpret_cast<const char*>(&v), sizeof v);
  }
  std::string& out_;
};

class Decoder {
 public:
  explicit Decoder(std::string_view in) : in_(in) {}
  explicit Decoder(ByteView in) : in_(as_text(in)) {}

  bool ok() const { return ok_; }
  size_t remaining() const { return in_.size(); }
  std::string_view rest() const { return in_; }

  uint8_t u8() { return fixed<uint8_t>(); }
  uint16_t be16() { return __builtin_bswap16(fixed<uint16_t>()); }
  uint32_t be32() { return __builtin_bswap32(fixed<uint32_t>()); }
  uint64_t be64() { return __builtin_bswap64(fixed<uint64_t>()); }
  uint16_t le16() { return fixed<uint16_t>(); }
  uint32_t le32() { return fixed<uint32_t>(); }
  uint64_t le64() { return fixed<uint64_t>(); }
  uint64_t varint() {
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const uint8_t b = u8();
      if (shift == 63 && b > 1) break;  // would not fit 64 bits
      v |= static_cast<uint64_t>(b & 0x7f) << shift;
      if ((b & 0x80) == 0) return v;
    }
    return fail();
  }
  int64_t zigzag() {
    const uint64_t v = varint();
    return static_cast<int64_t>(v >> 1) ^ -static_cast<int64_t>(v & 1);
  }
  std::string_view raw(size_t n) {
    if (n > in_.size()) {
      fail();
      return {};
    }
    std::string_view v = in_.substr(0, n);
    in_.remove_prefix(n);
    return v;
  }
  std::string_view string() { return raw(varint()); }

  // EBADMSG naming `what` when anything was missing or malformed, or (finish) when bytes are left
  // over.
  Status status(std::string_view what) const;
  Status finish(std::string_view what) const;
  // For decoders that find a value out of range.
  uint64_t fail() {
    ok_ = false;
    in_ = {};
    return 0;
  }

 private:
  template <typename T>
  T fixed() {
    T v = 0;
    if (in_.size() < sizeof v) return static_cast<T>(fail());
    std::memcpy(&v, in_.data(), sizeof v);
    in_.remove_prefix(sizeof v);
    return v;
  }
  std::string_view in_;
  bool ok_ = true;
};

}  // namespace shoal
