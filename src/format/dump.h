// A dump: a volume's metadata as one stream of bytes, for `shoal dump` and `shoal load`
// (docs/format.md). Parts one behind the other, each with its CRC: a header, chunks of keys in
// ascending order, a footer. Pure functions over bytes; who reads and writes streams is meta/.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "format/volume.h"

namespace shoal::format {

inline constexpr std::string_view kDumpMagic = "SHOALDMP";
inline constexpr size_t kDumpPartHeaderBytes = 20;
inline constexpr size_t kDumpBodyBytesMax = 1 << 20;
// A chunk's items as an engine's batch counts them: one batch takes them with room to spare.
inline constexpr size_t kDumpChunkPlainBytesMax = 512 << 10;
inline constexpr size_t kDumpDigestBytes = 32;  // SHA-256

enum class DumpPart : uint8_t { kHeader = 1, kChunk = 2, kFooter = 3 };

struct DumpPartHeader {
  DumpPart part = DumpPart::kHeader;
  uint32_t body_bytes = 0;
  uint64_t number = 0;  // of the part in the dump: 0 is the header
};

// `seed` ties a part to its dump: 0 for the header, dump_seed() for what follows.
uint32_t dump_seed(const Uuid& dump);
std::string encode_dump_part(const DumpPartHeader& header, uint32_t seed, std::string_view body);
// From kDumpPartHeaderBytes bytes. ENOTSUP when a newer shoal wrote it; EBADMSG when it is none.
// What it says is only true when check_dump_part() agrees.
Result<DumpPartHeader> decode_dump_part_header(std::string_view bytes);
// EBADMSG unless header and body have the header's CRC.
Status check_dump_part(std::string_view header, std::string_view body, uint32_t seed);

struct DumpHeader {
  Uuid id;  // of this dump
  Time made;
  Volume volume;  // `F`, the dump's own open included
};
std::string encode_dump_header(const DumpHeader& header);
Result<DumpHeader> decode_dump_header(std::string_view body);

// Puts keys into a chunk's body. REQUIRES ascending keys.
class DumpChunk {
 public:
  void add(std::string_view key, Stamp stamp, std::string_view value);
  bool empty() const { return body_.empty(); }
  size_t plain_bytes() const { return plain_bytes_; }  // what the items take in an engine's batch
  std::string take();                                  // the body; empty again afterwards

 private:
  std::string body_;
  std::string last_;
  size_t plain_bytes_ = 0;
};
struct DumpItem {
  std::string key;
  Stamp stamp = 0;
  std::string value;
};
// EBADMSG unless the body is whole items with ascending keys.
Result<std::vector<DumpItem>> decode_dump_chunk(std::string_view body);

struct DumpTotals {
  uint64_t keys = 0;
  uint64_t bytes = 0;                                // of keys and values
  std::vector<std::pair<char, uint64_t>> by_letter;  // ascending; letters that occur
  std::array<uint8_t, kDumpDigestBytes> digest{};    // over all items, see docs/format.md
  bool operator==(const DumpTotals&) const = default;
};
struct DumpFooter {
  uint64_t chunks = 0;
  DumpTotals totals;
};
std::string encode_dump_footer(const DumpFooter& footer);
Result<DumpFooter> decode_dump_footer(std::string_view body);

// `M`: how far a load has come. F appears when it is gone.
struct LoadRecord {
  Uuid dump;
  Uuid volume;
  std::string name;
  uint64_t chunks = 0;  // that are in the engine
};
std::string encode_load(const LoadRecord& load);
Result<LoadRecord> decode_load(std::string_view value);

}  // namespace shoal::format
