#include "format/election.h"

#include "base/coding.h"

namespace shoal::format {
namespace {

constexpr uint8_t kFormat = 1;

Status decode_format(Decoder& in, std::string_view what) {
  const uint8_t format = in.u8();
  if (format > kFormat) {
    return error(ENOTSUP, "{} record of format {}: made by a newer shoal; use that one", what,
                 format);
  }
  if (format == 0) in.fail();
  return in.status(what);
}

}  // namespace

std::string encode_election(const Election& election) {
  std::string value;
  Encoder out(value);
  out.u8(kFormat);
  out.raw(
      {reinterpret_cast<const char*>(election.owner.bytes.data()), election.owner.bytes.size()});
  out.string(election.address);
  out.varint(election.count);
  out.u8(election.released ? 1 : 0);
  return value;
}

Result<Election> decode_election(std::string_view value) {
  Decoder in(value);
  TRY(decode_format(in, "election"));
  Election election;
  const std::string_view bytes = in.raw(election.owner.bytes.size());
  if (in.ok())
    std::copy(bytes.begin(), bytes.end(), reinterpret_cast<char*>(election.owner.bytes.data()));
  election.address = in.string();
  election.count = in.varint();
  const uint8_t released = in.u8();
  if (released > 1) in.fail();
  election.released = released == 1;
  TRY(in.finish("election"));
  return election;
}

std::string encode_access_token(const AccessToken& token) {
  std::string value;
  Encoder out(value);
  out.u8(kFormat);
  out.string(token.token);
  return value;
}

Result<AccessToken> decode_access_token(std::string_view value) {
  Decoder in(value);
  TRY(decode_format(in, "token"));
  AccessToken token;
  token.token = in.string();
  TRY(in.finish("token"));
  return token;
}

}  // namespace shoal::format
