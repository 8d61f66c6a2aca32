// V: who owns the volume for now, of several that could (design §5.3, Ownership). P: the token that
// mounts show to a meta server. Each starts with a format byte; a greater one than we know is
// ENOTSUP.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/ids.h"

namespace shoal::format {

struct Election {
  Uuid owner;             // drawn by a server at its start
  std::string address;    // where it serves mounts: for people, and for mounts that ask a standby
  uint64_t count = 0;     // of the record's writes; from 1
  bool released = false;  // the owner gave it up: nobody needs to wait for its term
};
std::string encode_election(const Election& election);
Result<Election> decode_election(std::string_view value);

struct AccessToken {
  std::string token;
};
std::string encode_access_token(const AccessToken& token);
Result<AccessToken> decode_access_token(std::string_view value);

}  // namespace shoal::format
