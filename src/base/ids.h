// Identifiers that several floors share.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace shoal {

using Ino = uint64_t;    // inode number: 1 is the root, all are < 2^48 (the rest of a nodeid is a
                         // version tag)
using Stamp = uint64_t;  // epoch << 40 | sequence, globally unique within a lineage; 0 = absent
using SessionId = uint64_t;  // one mount's life as the owner sees it; 0 = the owner itself

inline constexpr Ino kRootIno = 1;
inline constexpr Ino kInoMax = (uint64_t{1} << 48) - 1;
inline constexpr unsigned kStampSequenceBits = 40;

// 128 random bits; text form 8-4-4-4-12 hex digits.
struct Uuid {
  std::array<uint8_t, 16> bytes{};
  auto operator<=>(const Uuid&) const = default;
  bool is_zero() const { return *this == Uuid{}; }
  std::string to_string() const;
  static Result<Uuid> parse(std::string_view text);
};

// Names a segment for ever: `nonce` is drawn from the system at every start of a store, `sequence`
// counts from 1.
struct SegmentId {
  uint64_t nonce = 0;
  uint64_t sequence = 0;
  auto operator<=>(const SegmentId&) const = default;
  bool is_zero() const { return nonce == 0 && sequence == 0; }
  std::string to_string() const;  // 32 hex digits
  static Result<SegmentId> parse(std::string_view text);
};

}  // namespace shoal

template <>
struct std::hash<shoal::SegmentId> {
  size_t operator()(const shoal::SegmentId& id) const noexcept {
    return (id.nonce ^ (id.sequence * 0x9e3779b97f4a7c15ull)) * 0xff51afd7ed558ccdull >> 7;
  }
};
template <>
struct std::hash<shoal::Uuid> {
  size_t operator()(const shoal::Uuid& id) const noexcept {
    uint64_t h = 1469598103934665603ull;
    for (uint8_t b : id.bytes) h = (h ^ b) * 1099511628211ull;
    return h;
  }
};
