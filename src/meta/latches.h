// Latches: who may change an inode (or a segment's B record) right now. Held for one operation,
// commit included, so that what the owner's caches say and what the engine holds change as one.
//
// An operation names all it needs at once; they are taken in one order, so two operations never
// wait for each other in a circle. Striped: different keys share a stripe with probability 1/4096,
// which costs time, never correctness. A thread holds at most one Latches of a table (a second one
// could deadlock with itself).
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <vector>

#include "sys/mutex.h"

namespace shoal::meta {

class LatchTable {
 public:
  static constexpr size_t kStripes = 4096;
  SharedMutex& stripe(size_t index) { return stripes_[index]; }
  static size_t stripe_of(uint64_t key) { return (key * 0x9e3779b97f4a7c15ull) >> 52; }

 private:
  std::array<SharedMutex, kStripes> stripes_;
};

struct Want {
  uint64_t key = 0;  // 0: nothing
  bool exclusive = true;
};
inline Want exclusive(uint64_t key) { return {key, true}; }
inline Want shared(uint64_t key) { return {key, false}; }

// Taken by the constructor, dropped by the destructor (or unlock()).
class Latches {
 public:
  Latches(LatchTable& table, std::initializer_list<Want> wants);
  Latches(LatchTable& table, const std::vector<Want>& wants);
  ~Latches() { unlock(); }
  Latches(const Latches&) = delete;
  Latches& operator=(const Latches&) = delete;
  void unlock() NO_THREAD_SAFETY_ANALYSIS;

 private:
  struct Held {
    uint16_t stripe;
    bool exclusive;
  };
  void add(const Want& want);
  void take() NO_THREAD_SAFETY_ANALYSIS;
  Held* begin() { return many_.empty() ? few_.data() : many_.data(); }

  LatchTable& table_;
  std::array<Held, 8> few_;
  std::vector<Held> many_;  // instead of few_ when there are more
  size_t count_ = 0;
};

}  // namespace shoal::meta
