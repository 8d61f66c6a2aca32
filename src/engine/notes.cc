#include "engine/notes.h"

#include "base/check.h"
#include "base/coding.h"
#include "base/limits.h"

namespace shoal::engine {
namespace {

constexpr size_t kLengthBytesMax = 10;
constexpr size_t kDeadMax = 256;  // keys that one group removes

}  // namespace

std::vector<std::string> pack_notes(const std::vector<std::string>& notes) {
  std::vector<std::string> parts(1);
  for (const std::string& note : notes) {
    CHECK(note.size() <= kNoteBytesMax);
    if (parts.back().size() + note.size() + kLengthBytesMax > kEngineValueBytesMax)
      parts.emplace_back();
    Encoder out(parts.back());
    out.string(note);
  }
  return parts;
}

Result<std::vector<std::string>> unpack_notes(std::string_view value) {
  std::vector<std::string> notes;
  Decoder in(value);
  while (in.ok() && in.remaining() > 0) notes.emplace_back(in.string());
  TRY(in.finish("notes of a group"));
  return notes;
}

void NotesAlive::add(uint64_t group, size_t notes, uint32_t parts) {
  kept_[group] = {notes, parts};
  if (notes == 0) dead_.insert(group);
}

void NotesAlive::forget(uint64_t group) {
  const auto at = kept_.find(group);
  if (at == kept_.end() || at->second.alive == 0) return;
  if (--at->second.alive == 0) dead_.insert(group);
}

std::vector<std::pair<uint64_t, uint32_t>> NotesAlive::take_dead(uint64_t newest) {
  std::vector<std::pair<uint64_t, uint32_t>> dead;
  while (!dead_.empty() && *dead_.begin() < newest && dead.size() < kDeadMax) {
    const auto at = kept_.find(*dead_.begin());
    dead.emplace_back(at->first, at->second.parts);
    kept_.erase(at);
    dead_.erase(dead_.begin());
  }
  return dead;
}

}  // namespace shoal::engine
