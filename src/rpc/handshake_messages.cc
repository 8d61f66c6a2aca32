// Messages of the handshake: our header, protobuf bodies.
#include "base/check.h"
#include "base/coding.h"
#include "rpc/handshake.h"
#include "rpc/handshake.pb.h"

namespace shoal::rpc {
namespace {

constexpr std::string_view kMagic = "SHOALRPC";

bool printable(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return false;
  }
  return true;
}

template <typename Body>
std::string framed(HandshakeType type, VersionRange versions, const Body& body) {
  std::string bytes;
  Encoder out(bytes);
  out.raw(kMagic);
  out.u8(static_cast<uint8_t>(type));
  out.u8(versions.min);
  out.u8(versions.max);
  out.u8(0);
  const std::string text = body.SerializeAsString();
  CHECK(text.size() <= kHandshakeBytesMax);
  out.le32(static_cast<uint32_t>(text.size()));
  out.raw(text);
  return bytes;
}

template <typename Body>
Status parse(Body& body, const HandshakeHeader& header, HandshakeType type,
             std::string_view bytes) {
  if (header.type != type) {
    return error(EPROTO, "a handshake message of type {} where {} was expected",
                 static_cast<int>(header.type), static_cast<int>(type));
  }
  if (bytes.size() != header.body_length ||
      !body.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return error(EPROTO, "a malformed handshake message of type {}", static_cast<int>(type));
  }
  return {};
}

Error out_of_range(std::string_view what) {
  return error(EPROTO, "a handshake message with a {} that is out of range", what);
}

}  // namespace

std::string encode(const Hello& hello) {
  wire::Hello body;
  body.set_volume(hello.volume);
  body.set_nonce(hello.nonce);
  body.set_description(hello.description);
  body.set_notifications_max(hello.notifications_max);
  return framed(HandshakeType::kHello, hello.versions, body);
}

std::string encode(const Challenge& challenge) {
  wire::Challenge body;
  body.set_nonce(challenge.nonce);
  return framed(HandshakeType::kChallenge, {challenge.version, challenge.version}, body);
}

std::string encode(const Proof& proof, uint8_t version) {
  wire::Proof body;
  body.set_mac(proof.mac);
  return framed(HandshakeType::kProof, {version, version}, body);
}

std::string encode_limits(const RequestLimits& limits) {
  wire::Limits body;
  body.set_requests_max(limits.requests_max);
  body.set_request_bytes_max(limits.request_bytes_max);
  body.set_idle_ms_max(limits.idle_ms_max);
  return body.SerializeAsString();
}

std::string encode(const Welcome& welcome, uint8_t version) {
  wire::Welcome body;
  body.set_limits(welcome.limits_bytes);
  body.set_mac(welcome.mac);
  return framed(HandshakeType::kWelcome, {version, version}, body);
}

std::string encode(const Refused& refused) {
  wire::Refused body;
  body.set_code(static_cast<uint32_t>(refused.code));
  body.set_text(refused.text);
  return framed(HandshakeType::kRefused, refused.versions, body);
}

Result<HandshakeHeader> decode_handshake_header(ByteView bytes) {
  Decoder in(bytes);
  const std::string_view magic = in.raw(kMagic.size());
  HandshakeHeader header;
  const uint8_t type = in.u8();
  header.versions.min = in.u8();
  header.versions.max = in.u8();
  const uint8_t reserved = in.u8();
  header.body_length = in.le32();
  if (bytes.size() != kHandshakeHeaderBytes || magic != kMagic)
    return error(EPROTO, "the peer does not speak Shoal's protocol");
  header.type = static_cast<HandshakeType>(type);
  const bool known = header.type >= HandshakeType::kHello && header.type <= HandshakeType::kRefused;
  if (!known || reserved != 0 || header.versions.min > header.versions.max)
    return error(EPROTO, "a malformed handshake message");
  if (header.body_length > kHandshakeBytesMax) {
    return error(EPROTO,
                 "the peer announces a handshake message of {} bytes; at most {} are allowed",
                 header.body_length, kHandshakeBytesMax);
  }
  return header;
}

Result<Hello> decode_hello(const HandshakeHeader& header, std::string_view bytes) {
  wire::Hello body;
  TRY(parse(body, header, HandshakeType::kHello, bytes));
  Hello hello;
  hello.versions = header.versions;
  hello.volume = body.volume();
  hello.nonce = body.nonce();
  hello.description = body.description();
  hello.notifications_max = body.notifications_max();
  if (hello.volume.empty() || hello.volume.size() > kVolumeNameBytesMax || !printable(hello.volume))
    return out_of_range("volume");
  if (hello.nonce.size() != kNonceBytes) return out_of_range("nonce");
  if (hello.description.size() > kDescriptionBytesMax || !printable(hello.description))
    return out_of_range("description");
  return hello;
}

Result<Challenge> decode_challenge(const HandshakeHeader& header, std::string_view bytes) {
  wire::Challenge body;
  TRY(parse(body, header, HandshakeType::kChallenge, bytes));
  if (header.versions.min != header.versions.max) return out_of_range("version");
  if (body.nonce().size() != kNonceBytes) return out_of_range("nonce");
  return Challenge{header.versions.min, body.nonce()};
}

Result<Proof> decode_proof(const HandshakeHeader& header, std::string_view bytes) {
  wire::Proof body;
  TRY(parse(body, header, HandshakeType::kProof, bytes));
  if (body.mac().size() != kMacBytes) return out_of_range("mac");
  return Proof{body.mac()};
}

Result<Welcome> decode_welcome(const HandshakeHeader& header, std::string_view bytes) {
  wire::Welcome body;
  TRY(parse(body, header, HandshakeType::kWelcome, bytes));
  if (body.mac().size() != kMacBytes) return out_of_range("mac");
  wire::Limits limits;
  if (!limits.ParseFromString(body.limits()) || limits.requests_max() == 0 ||
      limits.request_bytes_max() < kBodyBytesMax || limits.idle_ms_max() == 0)
    return out_of_range("limit");
  Welcome welcome;
  welcome.limits = {limits.requests_max(), limits.request_bytes_max(), limits.idle_ms_max()};
  welcome.limits_bytes = body.limits();
  welcome.mac = body.mac();
  return welcome;
}

Result<Refused> decode_refused(const HandshakeHeader& header, std::string_view bytes) {
  wire::Refused body;
  TRY(parse(body, header, HandshakeType::kRefused, bytes));
  if (body.code() < 1 || body.code() > static_cast<uint32_t>(kErrnoMax))
    return out_of_range("errno");
  if (!printable(body.text())) return out_of_range("text");
  return Refused{header.versions, static_cast<int>(body.code()), body.text()};
}

}  // namespace shoal::rpc
