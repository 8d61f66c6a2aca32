#include "engine/rocksdb/log_end.h"

#include <algorithm>
#include <optional>

#include "base/coding.h"

namespace shoal::engine {
namespace {

constexpr size_t kBlockBytesOfLog = 32 << 10;
constexpr size_t kHeaderBytes = 7;

// The offset of a header of zeros within one block.
std::optional<size_t> zero_header(std::string_view block) {
  size_t at = 0;
  while (block.size() - at >= kHeaderBytes) {
    Decoder header(block.substr(at, kHeaderBytes));
    const uint32_t checksum = header.le32();
    const uint16_t length = header.le16();
    const uint8_t type = header.u8();
    if (checksum == 0 && length == 0 && type == 0) return at;
    at += std::min(kHeaderBytes + length, block.size() - at);
  }
  return std::nullopt;
}

}  // namespace

Result<uint64_t> log_end(File& log) {
  std::string block(kBlockBytesOfLog, '\0');
  for (uint64_t offset = 0;; offset += kBlockBytesOfLog) {
    TRY_ASSIGN(const size_t got, log.read_at(offset, as_mutable_bytes(block)));
    if (const auto at = zero_header(std::string_view(block).substr(0, got)); at.has_value()) {
      return offset + *at;
    }
    if (got < kBlockBytesOfLog) return offset + got;
  }
}

}  // namespace shoal::engine
