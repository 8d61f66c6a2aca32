// The handshake: before the first frame both sides agree on a version, prove to each other that
// they know the token of a volume, and learn each other's limits.
//
//   client                                server
//   hello      versions, volume, nonce →
//                                       ← challenge  version, nonce      (whatever the volume)
//   proof      mac                     →
//                                       ← welcome    limits, mac         or  refused  errno, text
//
// A mac is HMAC-SHA256, keyed by the token, over a label of who proves, the TLS session's binding,
// and every byte of the messages before it. So the token never travels; a recorded handshake is
// worthless (both nonces are fresh); nobody in between can change versions, names or limits; and
// a man in the middle of two TLS sessions cannot pass proofs on. The client proves first: who does
// not know a token gets nothing computed from it. A wrong token, an unknown volume and one that the
// peer may not see get the same bytes.
//
// Without TLS the handshake authenticates the peer, not what follows: then the network must be
// trusted, or the address be a Unix socket.
//
// A message is "SHOALRPC" · type 1 · lowest version 1 · highest version 1 · 0 · body length 4 · a
// protobuf body of at most kHandshakeBytesMax (handshake.proto). This layout holds for all versions
// to come.
//
// Thread-safe: no state. The drivers block on the connection: the caller bounds their time by
// shutting it down.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"
#include "rpc/frame.h"
#include "sys/net.h"
#include "sys/random.h"

namespace shoal::rpc {

inline constexpr size_t kHandshakeHeaderBytes = 16;
inline constexpr uint32_t kHandshakeBytesMax = 4 << 10;
inline constexpr size_t kVolumeNameBytesMax = 255;
inline constexpr size_t kDescriptionBytesMax = 255;
inline constexpr size_t kNonceBytes = 32;
inline constexpr size_t kMacBytes = 32;
inline constexpr size_t kTokenBytesMin =
    16;  // a shorter one could be guessed from a proof, offline
inline constexpr size_t kTokenBytesMax = 4096;

struct VersionRange {
  uint8_t min = kVersionMin;
  uint8_t max = kVersionMax;
  bool operator==(const VersionRange&) const = default;
};

// What a client may have under way.
struct RequestLimits {
  uint32_t requests_max = 256;            // unanswered requests
  uint64_t request_bytes_max = 16 << 20;  // of their bodies; ≥ kBodyBytesMax, so one always fits
  uint32_t idle_ms_max = 60'000;          // who says nothing for so long is dropped
  bool operator==(const RequestLimits&) const = default;
};

// --- messages ---

struct Hello {
  VersionRange versions;
  std::string volume;  // name or uuid: 1 … 255 bytes, no control characters
  std::string nonce;
  std::string description;  // for logs: host, mount point, process; no control characters
  uint32_t notifications_max = 0;
  bool operator==(const Hello&) const = default;
};
struct Challenge {
  uint8_t version = 0;
  std::string nonce;
  bool operator==(const Challenge&) const = default;
};
struct Proof {
  std::string mac;
  bool operator==(const Proof&) const = default;
};
struct Welcome {
  RequestLimits limits;
  std::string limits_bytes;  // as sent, for the mac
  std::string mac;
  bool operator==(const Welcome&) const = default;
};
struct Refused {
  VersionRange versions;  // the server's
  int code = 0;
  std::string text;
  bool operator==(const Refused&) const = default;
};

enum class HandshakeType : uint8_t {
  kHello = 1,
  kChallenge = 2,
  kProof = 3,
  kWelcome = 4,
  kRefused = 5
};

// Header and body. REQUIRES fields within their limits.
std::string encode(const Hello& hello);
std::string encode(const Challenge& challenge);
std::string encode(const Proof& proof, uint8_t version);
std::string encode(const Welcome& welcome, uint8_t version);
std::string encode(const Refused& refused);
std::string encode_limits(const RequestLimits& limits);  // Welcome::limits_bytes

struct HandshakeHeader {
  HandshakeType type = HandshakeType::kHello;
  VersionRange versions;
  uint32_t body_length = 0;
};
// EPROTO: not our protocol, a type that does not exist, or a body of more than kHandshakeBytesMax.
Result<HandshakeHeader> decode_handshake_header(ByteView bytes);
// The body of `header`; EPROTO when it is malformed or of another type.
Result<Hello> decode_hello(const HandshakeHeader& header, std::string_view body);
Result<Challenge> decode_challenge(const HandshakeHeader& header, std::string_view body);
Result<Proof> decode_proof(const HandshakeHeader& header, std::string_view body);
Result<Welcome> decode_welcome(const HandshakeHeader& header, std::string_view body);
Result<Refused> decode_refused(const HandshakeHeader& header, std::string_view body);

// EINVAL, saying what to do, unless `token` has a length that may be used.
Status check_token(std::string_view token);

// --- drivers ---

struct Agreed {
  uint8_t version = 0;
  RequestLimits limits;
};
struct ClientCredentials {
  std::string volume;
  std::string token;
  std::string description;
};
// `binding`: of the TLS session (TlsConnection::binding), empty without. Errors: EACCES refused;
// EPROTONOSUPPORT no common version; EPROTO not a server of ours, or one that does not know the
// token; what the connection says.
Result<Agreed> client_handshake(Connection& connection, const ClientCredentials& credentials,
                                VersionRange versions, uint32_t notifications_max,
                                std::string_view binding, Random& random);

struct Applicant {
  std::string volume;
  std::string description;
  PeerIdentity process;     // of a Unix peer
  std::string certificate;  // subject of its verified TLS certificate; empty without one
};
// The token of the volume, or why not. Every error is answered alike, but EAGAIN: "I cannot tell
// now", which must not depend on the volume. May block; called on the connection's thread.
using Authenticate = std::function<Result<std::string>(const Applicant&)>;

struct Accepted {
  uint8_t version = 0;
  uint32_t notifications_max = 0;
  Applicant applicant;
};
// `applicant` holds what is known of the peer already. An error is why the peer got nothing; it has
// been told what it may know.
Result<Accepted> server_handshake(Connection& connection, Applicant applicant,
                                  VersionRange versions, const RequestLimits& limits,
                                  const Authenticate& authenticate, std::string_view binding,
                                  Random& random);

}  // namespace shoal::rpc
