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

}  // namespace shoal::format
