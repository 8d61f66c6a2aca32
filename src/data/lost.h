// What nobody can read now: bytes of files in segments that are staged at stores which do not
// answer, or that were given up (`shoal lost`). Reads the metadata; changes nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "engine/engine.h"
#include "format/volume.h"

namespace shoal::data {

struct LostStore {
  format::StoreRecord store;
  std::string why;
  uint64_t segments = 0;
  uint64_t bytes = 0;  // of files
};

struct LostFile {
  Ino ino = 0;
  uint64_t bytes = 0;
  std::vector<std::pair<uint64_t, uint64_t>> ranges;  // offset, length; ascending, not touching
};

struct LostReport {
  std::vector<LostStore> stores;
  std::vector<LostFile> files;  // ascending by inode
  bool more = false;            // files than kLostFilesMax
  uint64_t bytes = 0;
};
inline constexpr size_t kLostFilesMax = 100'000;

struct LostCheck {
  // Whether the segment can be had from the store now; the error says why it does not answer, and
  // it is asked no more.
  std::function<Result<bool>(const format::StoreRecord&, const SegmentId&)> has;
};
Result<LostReport> find_lost(engine::KvEngine& engine, const LostCheck& check);

}  // namespace shoal::data
