#include "data/sequential_streams.h"

#include <algorithm>

#include "base/limits.h"

namespace shoal::data {

uint64_t SequentialStreams::note(Ino ino, uint64_t generation, uint64_t offset, uint64_t length) {
  const bool small = length <= kFrameBytesMax;
  if (small && known_.load() == 0) return 0;
  MutexLock lock(mutex_);
  auto at = streams_.find(ino);
  if (at == streams_.end()) {
    if (small) return 0;
    if (streams_.size() >= kStreamsMax) forget_oldest();
    at = streams_.emplace(ino, Stream{}).first;
    known_ = streams_.size();
  }
  Stream& stream = at->second;
  if (stream.generation != generation || stream.end != offset) stream.run = 0;
  const uint64_t before = stream.run;
  stream = {generation, offset + length, before + length, ++calls_};
  return before;
}

void SequentialStreams::forget_oldest() {
  streams_.erase(
      std::min_element(streams_.begin(), streams_.end(),
                       [](const auto& a, const auto& b) { return a.second.used < b.second.used; }));
}

}  // namespace shoal::data
