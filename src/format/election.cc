#include "format/election.h"

#include "format/fields_internal.h"

namespace shoal::format {
std::string encode_election(const Election& election) {
  std::string value;
  Encoder out(value);
  out.u8(kRecordFormat);
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
  election.owner = decode_uuid(in);
  election.address = in.string();
  election.count = in.varint();
  election.released = decode_bool(in);
  TRY(in.finish("election"));
  return election;
}

std::string encode_access_token(const AccessToken& token) {
  std::string value;
  Encoder out(value);
  out.u8(kRecordFormat);
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
