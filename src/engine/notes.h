// Notes: what operations answered, kept in the keys of the groups that committed them (`N n`),
// until nobody can ask again. A value holds at most kEngineValueBytesMax, so a group may need
// several keys: parts.
//
// NotesAlive is not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace shoal::engine {

inline constexpr size_t kNoteBytesMax = 48 << 10;         // of one note
inline constexpr size_t kGroupNotesBytesMax = 384 << 10;  // of one group, when another one joins

// Values of the parts, at least one. REQUIRES every note ≤ kNoteBytesMax.
std::vector<std::string> pack_notes(const std::vector<std::string>& notes);
// Of one part. EBADMSG.
Result<std::vector<std::string>> unpack_notes(std::string_view value);

// Which groups have notes that somebody may ask for, and which keys may go.
class NotesAlive {
 public:
  void add(uint64_t group, size_t notes, uint32_t parts);
  void forget(uint64_t group);  // one note of it
  // (group, parts) of those before `newest` whose last note was forgotten, each once; a bounded
  // number at a time.
  std::vector<std::pair<uint64_t, uint32_t>> take_dead(uint64_t newest);

 private:
  struct Kept {
    size_t alive = 0;
    uint32_t parts = 0;
  };
  std::map<uint64_t, Kept> kept_;
  std::set<uint64_t> dead_;
};

}  // namespace shoal::engine
