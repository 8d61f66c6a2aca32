#include <openssl/evp.h>

#include <bit>

#include "base/check.h"
#include "base/coding.h"
#include "cache/block_cache.h"

namespace shoal::cache {
namespace {

// Mixes 64 bits so that each depends on all: variant 13 of D. Stafford, "Better bit mixing" (2011),
// as used by splitmix64 (Steele, Lea, Flood 2014). Bijective.
uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

}  // namespace

// Both are part of the cache's format: golden in the test.

// Two lanes that feed each other. Nobody chooses the ids of segments, so spreading is enough.
ChunkKey segment_block_key(const SegmentId& id, uint64_t block) {
  uint64_t high = 0x9e3779b97f4a7c15ull;  // golden ratio
  uint64_t low = 0x243f6a8885a308d3ull;   // pi
  for (const uint64_t word : {id.nonce, id.sequence, block}) {
    high = mix(high ^ word) + std::rotl(low, 23);
    low = mix(low + std::rotl(word, 32) * 0xd6e8feb86659fd93ull) ^ std::rotl(high, 41);
  }
  return {mix(high + low), mix(low ^ std::rotl(high, 17))};
}

// The first half of the SHA-256 of its parts with their lengths: who writes to an imported bucket
// chooses the names in it, and must not be able to pick one whose key is that of somebody else's
// object.
ChunkKey object_block_key(std::string_view source, std::string_view key, std::string_view etag,
                          uint64_t block) {
  std::string parts;
  Encoder encoder(parts);
  encoder.string(source);
  encoder.string(key);
  encoder.string(etag);
  encoder.le64(block);
  unsigned char digest[32];
  CHECK(EVP_Digest(parts.data(), parts.size(), digest, nullptr, EVP_sha256(), nullptr) == 1);
  Decoder decoder(std::string_view(reinterpret_cast<const char*>(digest), sizeof digest));
  const uint64_t high = decoder.le64();
  return {high, decoder.le64()};
}

}  // namespace shoal::cache
