// Who proves what to whom, and when the server says no.
#include "rpc/handshake.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>

#include "base/check.h"
#include "base/coding.h"

namespace shoal::rpc {
namespace {

constexpr std::chrono::milliseconds kNoTimeout{0};  // the caller shuts the connection down instead
constexpr std::string_view kClientLabel = "shoal rpc handshake: client";
constexpr std::string_view kServerLabel = "shoal rpc handshake: server";

struct Message {
  HandshakeHeader header;
  std::string bytes;  // header and body, as the macs cover them
  std::string_view body() const { return std::string_view(bytes).substr(kHandshakeHeaderBytes); }
};

Result<Message> receive(Connection& connection) {
  Message message;
  message.bytes.resize(kHandshakeHeaderBytes);
  TRY(connection.read_all(as_mutable_bytes(message.bytes), kNoTimeout));
  TRY_ASSIGN(message.header, decode_handshake_header(as_bytes(message.bytes)));
  message.bytes.resize(kHandshakeHeaderBytes + message.header.body_length);
  if (message.header.body_length > 0) {
    TRY(connection.read_all(as_mutable_bytes(message.bytes).subspan(kHandshakeHeaderBytes),
                            kNoTimeout));
  }
  return message;
}

Status send(Connection& connection, std::string_view bytes) {
  return connection.write_all(as_bytes(bytes), kNoTimeout);
}

// Parts are length-prefixed, so that no two sequences of parts give the same bytes.
Result<std::string> mac_of(std::string_view token, std::initializer_list<std::string_view> parts) {
  std::string text;
  Encoder out(text);
  for (const std::string_view part : parts) out.string(part);
  std::array<unsigned char, EVP_MAX_MD_SIZE> mac{};
  unsigned int length = 0;
  const unsigned char* done =
      ::HMAC(EVP_sha256(), token.data(), static_cast<int>(token.size()),
             reinterpret_cast<const unsigned char*>(text.data()), text.size(), mac.data(), &length);
  if (done == nullptr || length != kMacBytes)
    return error(EIO, "HMAC-SHA256 failed in the OpenSSL library");
  return std::string(reinterpret_cast<const char*>(mac.data()), kMacBytes);
}

bool same_mac(std::string_view a, std::string_view b) {  // in a time that tells nothing
  return a.size() == b.size() && ::CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string fresh_nonce(Random& random) {
  std::string nonce(kNonceBytes, '\0');
  random.fill(as_mutable_bytes(nonce));
  return nonce;
}

Error refusal(const Refused& refused, std::string_view volume, VersionRange ours) {
  if (refused.code == EPROTONOSUPPORT) {
    return error(EPROTONOSUPPORT,
                 "the server speaks protocol versions {} to {}, this program {} to {}; upgrade the "
                 "older one",
                 refused.versions.min, refused.versions.max, ours.min, ours.max);
  }
  return error(refused.code, "volume '{}': {}", volume, refused.text);
}

// The error is returned; the peer gets `code` and `text` and may be gone.
Error refuse(Connection& connection, VersionRange versions, int code, std::string text, Error why) {
  send(connection, encode(Refused{versions, code, std::move(text)}))
      .ignore("the peer may be gone; it gets nothing either way");
  return why;
}

// One text for a wrong token, an unknown volume and one that the peer may not see.
Error refuse_access(Connection& connection, VersionRange versions, Error why) {
  return refuse(connection, versions, EACCES, "no access: check the volume's name and the token",
                std::move(why));
}

}  // namespace

Status check_token(std::string_view token) {
  if (token.size() >= kTokenBytesMin && token.size() <= kTokenBytesMax) return {};
  return error(EINVAL,
               "the token has {} bytes; {} to {} are needed, make one with: openssl rand -hex 32",
               token.size(), kTokenBytesMin, kTokenBytesMax);
}

Result<Agreed> client_handshake(Connection& connection, const ClientCredentials& credentials,
                                VersionRange versions, uint32_t notifications_max,
                                std::string_view binding, Random& random) {
  TRY(check_token(credentials.token));
  const std::string hello = encode(Hello{versions, credentials.volume, fresh_nonce(random),
                                         credentials.description, notifications_max});
  TRY(send(connection, hello));

  TRY_ASSIGN(const Message first, receive(connection));
  if (first.header.type == HandshakeType::kRefused) {
    TRY_ASSIGN(const Refused refused, decode_refused(first.header, first.body()));
    return refusal(refused, credentials.volume, versions);
  }
  TRY_ASSIGN(const Challenge challenge, decode_challenge(first.header, first.body()));
  if (challenge.version < versions.min || challenge.version > versions.max)
    return error(EPROTO, "the server chose protocol version {}, which was not offered",
                 challenge.version);
  TRY_ASSIGN(const std::string mac,
             mac_of(credentials.token, {kClientLabel, binding, hello, first.bytes}));
  const std::string proof = encode(Proof{mac}, challenge.version);
  TRY(send(connection, proof));

  TRY_ASSIGN(const Message second, receive(connection));
  if (second.header.type == HandshakeType::kRefused) {
    TRY_ASSIGN(const Refused refused, decode_refused(second.header, second.body()));
    return refusal(refused, credentials.volume, versions);
  }
  TRY_ASSIGN(const Welcome welcome, decode_welcome(second.header, second.body()));
  TRY_ASSIGN(const std::string expected,
             mac_of(credentials.token,
                    {kServerLabel, binding, hello, first.bytes, proof, welcome.limits_bytes}));
  if (!same_mac(welcome.mac, expected)) {
    return error(EPROTO, "volume '{}': the server does not know the token; is the address right?",
                 credentials.volume);
  }
  return Agreed{challenge.version, welcome.limits};
}

Result<Accepted> server_handshake(Connection& connection, Applicant applicant,
                                  VersionRange versions, const RequestLimits& limits,
                                  const Authenticate& authenticate, std::string_view binding,
                                  Random& random) {
  TRY_ASSIGN(const Message first, receive(connection));
  TRY_ASSIGN(const Hello hello, decode_hello(first.header, first.body()));
  const uint8_t version = std::min(hello.versions.max, versions.max);
  if (version < std::max(hello.versions.min, versions.min)) {
    return refuse(
        connection, versions, EPROTONOSUPPORT, "no common protocol version",
        error(EPROTONOSUPPORT, "{} speaks protocol versions {} to {}, this server {} to {}",
              hello.description, hello.versions.min, hello.versions.max, versions.min,
              versions.max));
  }
  const std::string challenge = encode(Challenge{version, fresh_nonce(random)});
  TRY(send(connection, challenge));

  TRY_ASSIGN(const Message second, receive(connection));
  TRY_ASSIGN(const Proof proof, decode_proof(second.header, second.body()));
  applicant.volume = hello.volume;
  applicant.description = hello.description;
  Result<std::string> token = authenticate(applicant);
  if (token.code() == EAGAIN) {
    return refuse(connection, versions, EAGAIN, "the server cannot check tokens now; try again",
                  std::move(token).error());
  }
  if (token.ok()) {
    if (Status usable = check_token(*token); !usable.ok()) token = std::move(usable).error();
  }
  // Without a token the same work is done with a random one.
  TRY_ASSIGN(const std::string expected, mac_of(token.ok() ? *token : fresh_nonce(random),
                                                {kClientLabel, binding, first.bytes, challenge}));
  const bool proven = same_mac(proof.mac, expected);
  if (!token.ok())
    return refuse_access(connection, versions, token.error().in("volume '" + hello.volume + "'"));
  if (!proven) {
    return refuse_access(
        connection, versions,
        error(EACCES, "volume '{}': {} has a wrong token", hello.volume, hello.description));
  }
  Welcome welcome;
  welcome.limits_bytes = encode_limits(limits);
  TRY_ASSIGN(welcome.mac, mac_of(*token, {kServerLabel, binding, first.bytes, challenge,
                                          second.bytes, welcome.limits_bytes}));
  TRY(send(connection, encode(welcome, version)));
  return Accepted{version, hello.notifications_max, std::move(applicant)};
}

}  // namespace shoal::rpc
