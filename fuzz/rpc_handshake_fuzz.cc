// Handshake messages as a peer might send them. Whatever is accepted keeps its limits, and comes
// back as it was from its own encoding.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "rpc/handshake.h"

namespace shoal::rpc {
namespace {

template <typename Message, typename Decode, typename Encode>
void try_as(const HandshakeHeader& header, std::string_view body, Decode decode, Encode encode) {
  const Result<Message> message = decode(header, body);
  if (!message.ok()) {
    (void)message.code();
    return;
  }
  const std::string again = encode(*message);
  CHECK(again.size() <= kHandshakeHeaderBytes + kHandshakeBytesMax);
  const std::string_view view = again;
  const auto head =
      decode_handshake_header(as_bytes(view.substr(0, kHandshakeHeaderBytes))).value();
  CHECK(decode(head, view.substr(kHandshakeHeaderBytes)).value() == *message);
}

void run(std::string_view input) {
  const auto header = decode_handshake_header(as_bytes(input.substr(0, kHandshakeHeaderBytes)));
  if (!header.ok()) {
    (void)header.code();
    return;
  }
  CHECK(header->body_length <= kHandshakeBytesMax);
  HandshakeHeader fitting = *header;  // most mutations would end at the length
  const std::string_view body = input.substr(kHandshakeHeaderBytes);
  fitting.body_length = static_cast<uint32_t>(body.size());
  if (fitting.body_length > kHandshakeBytesMax) return;
  const uint8_t version = header->versions.min;
  try_as<Hello>(fitting, body, decode_hello, [](const Hello& m) { return encode(m); });
  try_as<Challenge>(fitting, body, decode_challenge, [](const Challenge& m) { return encode(m); });
  try_as<Proof>(fitting, body, decode_proof, [&](const Proof& m) { return encode(m, version); });
  try_as<Welcome>(fitting, body, decode_welcome,
                  [&](const Welcome& m) { return encode(m, version); });
  try_as<Refused>(fitting, body, decode_refused, [](const Refused& m) { return encode(m); });
}

}  // namespace
}  // namespace shoal::rpc

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  shoal::rpc::run({reinterpret_cast<const char*>(data), size});
  return 0;
}
