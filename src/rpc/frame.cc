#include "rpc/frame.h"

#include <cstring>
#include <string>

#include "base/check.h"
#include "base/coding.h"
#include "base/crc32c.h"

namespace shoal::rpc {
namespace {

struct KindRules {
  uint32_t body_max;
  uint16_t method_max;
  bool request_id;
  bool identity;
  uint32_t value_min;
  uint32_t value_max;
};

const KindRules* rules_of(FrameKind kind) {
  constexpr uint16_t kAnyMethod = 0xffff;
  constexpr uint32_t kAny = 0xffffffff;
  static constexpr KindRules kRules[] = {
      {kBodyBytesMax, kAnyMethod, true, true, 0, kAny},               // request
      {kBodyBytesMax, 0, true, false, 0, 0},                          // reply
      {kTextBytesMax, kErrorNotExecuted, true, false, 1, kErrnoMax},  // error
      {0, 0, true, false, 0, 0},                                      // cancel
      {kBodyBytesMax, kAnyMethod, false, false, 0, 0},                // notify
      {0, 0, false, false, 1, kAny},                                  // credit
      {0, 0, false, false, 0, 0},                                     // ping
      {0, 0, false, false, 0, 0},                                     // pong
      {kTextBytesMax, 0, false, false, 1, kErrnoMax},                 // goodbye
  };
  const auto number = static_cast<size_t>(kind);
  if (number < 1 || number > std::size(kRules)) return nullptr;
  return &kRules[number - 1];
}

// What is wrong with the header, or nullptr.
const char* fault_of(const FrameHeader& header) {
  const KindRules* rules = rules_of(header.kind);
  if (rules == nullptr) return "unknown kind";
  if (header.body_length > rules->body_max) return "body too long for its kind";
  if (header.body_length == 0 && header.body_crc != 0) return "CRC of no body";
  if (header.method > rules->method_max) return "method where none belongs";
  if ((header.request_id != 0) != rules->request_id) return "request id missing or out of place";
  if (!rules->identity && header.identity != Identity{}) return "identity where none belongs";
  if (header.value < rules->value_min || header.value > rules->value_max)
    return "value out of range";
  return nullptr;
}

}  // namespace

FrameHeader with_body(FrameHeader header, std::string_view body) {
  header.body_length = static_cast<uint32_t>(body.size());
  header.body_crc = crc32c(as_bytes(body));
  return header;
}

std::array<char, kFrameHeaderBytes> encode_frame_header(const FrameHeader& header) {
  CHECK(fault_of(header) == nullptr);
  std::string fields;
  fields.reserve(kFrameHeaderBytes);
  Encoder out(fields);
  out.le32(0);
  out.u8(header.version);
  out.u8(static_cast<uint8_t>(header.kind));
  out.le16(header.method);
  out.le32(header.body_length);
  out.le32(header.body_crc);
  out.le64(header.request_id);
  out.le64(header.identity.session);
  out.le64(header.identity.sequence);
  out.le32(header.identity.slot);
  out.le32(header.value);
  CHECK(fields.size() == kFrameHeaderBytes);
  std::array<char, kFrameHeaderBytes> bytes;
  std::memcpy(bytes.data(), fields.data(), kFrameHeaderBytes);
  const uint32_t crc = crc32c(as_bytes(std::string_view(fields).substr(4)));
  std::memcpy(bytes.data(), &crc, sizeof crc);
  return bytes;
}

Result<FrameHeader> decode_frame_header(ByteView bytes, uint8_t version) {
  if (bytes.size() != kFrameHeaderBytes)
    return error(EBADMSG, "a frame header of {} bytes", bytes.size());
  Decoder in(bytes);
  const uint32_t crc = in.le32();
  if (crc != crc32c(bytes.subspan(4))) return error(EBADMSG, "a frame header with a wrong CRC");
  FrameHeader header;
  header.version = in.u8();
  header.kind = static_cast<FrameKind>(in.u8());
  header.method = in.le16();
  header.body_length = in.le32();
  header.body_crc = in.le32();
  header.request_id = in.le64();
  header.identity.session = in.le64();
  header.identity.sequence = in.le64();
  header.identity.slot = in.le32();
  header.value = in.le32();
  if (header.version != version)
    return error(EBADMSG, "a frame of version {} where {} was agreed on", header.version, version);
  if (const char* fault = fault_of(header); fault != nullptr)
    return error(EBADMSG, "a frame of kind {}: {}", static_cast<int>(header.kind), fault);
  return header;
}

Status check_body(const FrameHeader& header, std::string_view body) {
  if (body.size() != header.body_length || crc32c(as_bytes(body)) != header.body_crc)
    return error(EBADMSG, "a frame body of {} bytes with a wrong CRC", body.size());
  return {};
}

}  // namespace shoal::rpc
