#include "meta/latches.h"

#include <algorithm>

namespace shoal::meta {

Latches::Latches(LatchTable& table, std::initializer_list<Want> wants) : table_(table) {
  if (wants.size() > few_.size()) many_.reserve(wants.size());
  for (const Want& want : wants) add(want);
  take();
}

Latches::Latches(LatchTable& table, const std::vector<Want>& wants) : table_(table) {
  if (wants.size() > few_.size()) many_.reserve(wants.size());
  for (const Want& want : wants) add(want);
  take();
}

void Latches::add(const Want& want) {
  if (want.key == 0) return;
  const Held held{static_cast<uint16_t>(LatchTable::stripe_of(want.key)), want.exclusive};
  if (many_.capacity() > 0) {
    many_.push_back(held);
  } else {
    few_[count_] = held;
  }
  ++count_;
}

void Latches::take() {
  Held* const held = begin();
  std::sort(held, held + count_, [](const Held& a, const Held& b) {
    return a.stripe != b.stripe ? a.stripe < b.stripe : a.exclusive > b.exclusive;
  });
  Held* const end = std::unique(held, held + count_,
                                [](const Held& a, const Held& b) { return a.stripe == b.stripe; });
  count_ = static_cast<size_t>(end - held);
  for (size_t i = 0; i < count_; ++i) {
    SharedMutex& mutex = table_.stripe(held[i].stripe);
    if (held[i].exclusive) {
      mutex.lock();
    } else {
      mutex.lock_shared();
    }
  }
}

void Latches::unlock() {
  Held* const held = begin();
  for (size_t i = count_; i-- > 0;) {
    SharedMutex& mutex = table_.stripe(held[i].stripe);
    if (held[i].exclusive) {
      mutex.unlock();
    } else {
      mutex.unlock_shared();
    }
  }
  count_ = 0;
}

}  // namespace shoal::meta
