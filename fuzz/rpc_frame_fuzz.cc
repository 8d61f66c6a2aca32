// Frame headers as a peer might send them. Whatever is accepted has exactly one encoding: the bytes
// that came. The CRC is put right first, or mutations would end there.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "base/check.h"
#include "base/crc32c.h"
#include "rpc/frame.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace shoal;
  using namespace shoal::rpc;
  std::string bytes(reinterpret_cast<const char*>(data), size);
  (void)decode_frame_header(as_bytes(bytes), kVersionMax).code();
  if (bytes.size() < kFrameHeaderBytes) return 0;
  const std::string body = bytes.substr(kFrameHeaderBytes);
  bytes.resize(kFrameHeaderBytes);
  const uint32_t crc = crc32c(as_bytes(bytes).subspan(4));
  std::memcpy(bytes.data(), &crc, sizeof crc);
  const Result<FrameHeader> header = decode_frame_header(as_bytes(bytes), kVersionMax);
  if (!header.ok()) {
    (void)header.code();
    return 0;
  }
  CHECK(header->body_length <= kBodyBytesMax);
  const auto again = encode_frame_header(*header);
  CHECK(std::string_view(again.data(), again.size()) == bytes);
  (void)check_body(*header, body).code();
  return 0;
}
