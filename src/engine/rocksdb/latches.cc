#include "engine/rocksdb/latches.h"

#include <algorithm>
#include <functional>
#include <string_view>

namespace shoal::engine {
namespace {

Latches::Mode mode_of(Write::Kind kind) {
  switch (kind) {
    case Write::Kind::kCheck:
      return Latches::Mode::kCheck;
    case Write::Kind::kMergeAdd:
    case Write::Kind::kMergeMax:
      return Latches::Mode::kMerge;
    case Write::Kind::kInsert:
    case Write::Kind::kUpdate:
    case Write::Kind::kErase:
    case Write::Kind::kPut:
    case Write::Kind::kRemove:
      break;
  }
  return Latches::Mode::kWrite;
}

}  // namespace

Latches::Latches() : stripes_(std::make_unique<std::array<Latch, kStripes>>()) {}

bool Latches::Latch::free_for(Mode mode) const {
  if (holders_ == 0) return true;
  return mode != Mode::kWrite && mode == mode_ && waiting_writers_ == 0;
}

void Latches::Latch::acquire(Mode mode) {
  MutexLock lock(mutex_);
  if (!free_for(mode)) {
    ++waiting_;
    if (mode == Mode::kWrite) ++waiting_writers_;
    while (!free_for(mode)) changed_.wait(mutex_);
    if (mode == Mode::kWrite) --waiting_writers_;
    --waiting_;
  }
  mode_ = mode;
  ++holders_;
}

void Latches::Latch::release() {
  MutexLock lock(mutex_);
  --holders_;
  if (holders_ == 0 && waiting_ > 0) changed_.notify_all();
}

Latches::Held Latches::hold(const std::vector<Write>& writes) {
  Held held(*this);
  held.taken_.reserve(writes.size());
  for (const Write& write : writes) {
    const size_t hash = std::hash<std::string_view>()(write.key);
    held.taken_.push_back({static_cast<uint16_t>(hash % kStripes), mode_of(write.kind)});
  }
  std::sort(held.taken_.begin(), held.taken_.end(),
            [](const auto& a, const auto& b) { return a.stripe < b.stripe; });
  // Keys that share a stripe share its latch, in the mode that is right for all of them.
  size_t kept = 0;
  for (const Held::Taken& next : held.taken_) {
    if (kept > 0 && held.taken_[kept - 1].stripe == next.stripe) {
      if (held.taken_[kept - 1].mode != next.mode) held.taken_[kept - 1].mode = Mode::kWrite;
    } else {
      held.taken_[kept++] = next;
    }
  }
  held.taken_.resize(kept);
  for (const Held::Taken& latch : held.taken_) (*stripes_)[latch.stripe].acquire(latch.mode);
  return held;
}

Latches::Held Latches::hold_all() {
  Held held(*this);
  held.taken_.reserve(kStripes);
  for (size_t stripe = 0; stripe < kStripes; ++stripe) {
    (*stripes_)[stripe].acquire(Mode::kWrite);
    held.taken_.push_back({static_cast<uint16_t>(stripe), Mode::kWrite});
  }
  return held;
}

Latches::Held::~Held() {
  for (auto latch = taken_.rbegin(); latch != taken_.rend(); ++latch) {
    (*latches_.stripes_)[latch->stripe].release();
  }
}

}  // namespace shoal::engine
