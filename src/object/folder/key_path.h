// Object keys as paths: any key has exactly one path, any path at most one key.
//
// A key is cut at its slashes; every component but the last is a directory, the last a file with
// ".obj" behind it, so that the objects `a` and `a/b` do not fight for one name. In a component
//   %  and bytes below 0x20 and 0x7f          are written %XX (upper-case hex)
//   a leading '.' (thus also `.` and `..`)    %2E: names with a leading dot are the store's own
//   the dot of a ".obj" at the end            %2E: a directory never looks like an object
//   nothing at all (`a//b`, a leading slash)  %
//   more than kNameBytesMax - 15 bytes        cut into directories that end in "%+" ("goes on
//                                             below") and a rest
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace shoal::object {

// Relative, without a leading slash.
std::string key_to_path(std::string_view key);

struct DecodedName {
  enum class Kind {
    kObject,        // text ends a key
    kFolder,        // text + "/" begins keys
    kContinuation,  // text begins keys
  };
  Kind kind;
  std::string text;
};

// What a directory entry stands for; nothing for names that key_to_path never makes.
std::optional<DecodedName> decode_name(std::string_view name);

}  // namespace shoal::object
