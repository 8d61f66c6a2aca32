// Fields that several records have. Private to format/.
#pragma once

#include <algorithm>

#include "base/coding.h"
#include "base/ids.h"
#include "base/time.h"

namespace shoal::format {

inline void encode_uuid(Encoder& out, const Uuid& uuid) {
  out.raw({reinterpret_cast<const char*>(uuid.bytes.data()), uuid.bytes.size()});
}

inline Uuid decode_uuid(Decoder& in) {
  Uuid uuid;
  const std::string_view bytes = in.raw(uuid.bytes.size());
  if (in.ok()) std::copy(bytes.begin(), bytes.end(), reinterpret_cast<char*>(uuid.bytes.data()));
  return uuid;
}

inline void encode_time(Encoder& out, const Time& time) {
  out.zigzag(time.seconds);
  out.le32(time.nanoseconds);
}

inline Time decode_time(Decoder& in) {
  Time time;
  time.seconds = in.zigzag();
  time.nanoseconds = in.le32();
  if (time.nanoseconds >= 1'000'000'000) in.fail();
  return time;
}

inline constexpr uint8_t kRecordFormat = 1;

inline bool decode_bool(Decoder& in) {
  const uint8_t v = in.u8();
  if (v > 1) in.fail();
  return v == 1;
}

// Every record starts with it.
inline Status decode_format(Decoder& in, std::string_view what) {
  const uint8_t format = in.u8();
  if (format > kRecordFormat) {
    return error(ENOTSUP, "{} record of format {}: made by a newer shoal; use that one", what,
                 format);
  }
  if (format == 0) in.fail();
  return in.status(what);
}

}  // namespace shoal::format
