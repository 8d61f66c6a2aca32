#include "rpc/message.h"

#include <array>

#include "base/coding.h"

namespace shoal::rpc {

Status send_message(Connection& connection, std::string_view body,
                    std::chrono::milliseconds timeout) {
  if (body.size() > kMessageBytesMax) {
    return error(EMSGSIZE, "a message of {} bytes; at most {} are allowed", body.size(),
                 kMessageBytesMax);
  }
  std::string frame;
  frame.reserve(body.size() + 4);
  Encoder out(frame);
  out.le32(static_cast<uint32_t>(body.size()));
  out.raw(body);
  return connection.write_all(as_bytes(frame), timeout);
}

Result<std::string> receive_message(Connection& connection, std::chrono::milliseconds timeout) {
  std::array<std::byte, 4> head{};
  TRY(connection.read_all(head, timeout));
  const uint32_t length = Decoder(ByteView(head)).le32();
  if (length > kMessageBytesMax) {
    return error(EMSGSIZE, "the peer announces a message of {} bytes; at most {} are allowed",
                 length, kMessageBytesMax);
  }
  std::string body(length, '\0');
  if (length > 0) TRY(connection.read_all(as_mutable_bytes(body), timeout));
  return body;
}

}  // namespace shoal::rpc
