// The frame: the unit of what two processes send each other once they have shaken hands
// (handshake.h). A fixed header, then up to kBodyBytesMax bytes that this folder does not
// interpret.
//
// Header, 48 bytes, integers little-endian (docs/format.md, "On the wire"):
//
//    0  4  CRC-32C of bytes 4 … 47
//    4  1  version (the one that the handshake agreed on)
//    5  1  kind
//    6  2  method                     request, notify; error: 1 = no handler saw the request
//    8  4  body length
//   12  4  CRC-32C of the body
//   16  8  request id                 request, and what refers to it: reply, error, cancel
//   24  8  session                    request: its identity for exactly-once (I7)
//   32  8  sequence
//   40  4  slot
//   44  4  value                      request: milliseconds left, 0 = no deadline; error, goodbye:
//                                     errno; credit: how many
//
// Two CRCs: the header's is checked before its length is believed. What a kind does not use is
// zero, and a decoder refuses anything else, so every frame has exactly one encoding.
//
// Pure functions over bytes that may be hostile.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"
#include "base/ids.h"

namespace shoal::rpc {

inline constexpr uint8_t kVersionMin = 1;  // what this program speaks
inline constexpr uint8_t kVersionMax = 1;
inline constexpr size_t kFrameHeaderBytes = 48;
inline constexpr uint32_t kBodyBytesMax = 4 << 20;  // of a request, a reply or a notification
inline constexpr uint32_t kTextBytesMax = 4 << 10;  // of an error or a goodbye
inline constexpr int kErrnoMax = 511;               // FUSE takes no greater one

enum class FrameKind : uint8_t {
  kRequest = 1,
  kReply = 2,   // the body is the answer
  kError = 3,   // the body is text
  kCancel = 4,  // its sender does not wait for the request any more; it is answered all the same
  kNotify = 5,  // server to client, unasked, never answered
  kCredit = 6,  // the receiver may send so many more notifications
  kPing = 7,    // answered by a pong at once
  kPong = 8,
  kGoodbye = 9,  // sends no more requests, or takes no more; the body is text
};

// Who sent a request for which time: a session has slots, each carries one request at a time with
// ascending sequences; a retry has the identity of the first try. All zero: need not be exactly
// once.
struct Identity {
  SessionId session = 0;
  uint64_t sequence = 0;
  uint32_t slot = 0;
  bool operator==(const Identity&) const = default;
};

struct FrameHeader {
  uint8_t version = kVersionMax;
  FrameKind kind = FrameKind::kPing;
  uint16_t method = 0;
  uint32_t body_length = 0;
  uint32_t body_crc = 0;
  uint64_t request_id = 0;
  Identity identity;
  uint32_t value = 0;
  bool operator==(const FrameHeader&) const = default;
};

// `method` of an error frame.
inline constexpr uint16_t kErrorAnswered = 0;  // the handler's answer
inline constexpr uint16_t kErrorNotExecuted =
    1;  // no handler saw the request: it has had no effect

// `header` with length and CRC of `body`. REQUIRES body ≤ the kind's limit.
FrameHeader with_body(FrameHeader header, std::string_view body);
// REQUIRES a header that decode_frame_header would accept.
std::array<char, kFrameHeaderBytes> encode_frame_header(const FrameHeader& header);
// EBADMSG: damaged, or not what a peer of `version` may send.
Result<FrameHeader> decode_frame_header(ByteView bytes, uint8_t version);
// EBADMSG unless `body` is what the header speaks of.
Status check_body(const FrameHeader& header, std::string_view body);

}  // namespace shoal::rpc
