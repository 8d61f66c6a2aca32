// Latches: keeps commits that touch one key apart, as far as they have to be.
//
// A key belongs to one of kStripes latches by its hash. A batch holds all its latches from before
// it looks at the stamps until its write is visible. Three modes: writers exclude all; checks
// share; merges share, because they commute. A check and a merge exclude each other, for the merge
// takes the stamp away that the check is about.
//
// No deadlock: latches are taken in ascending order, each batch takes its own once. A waiting
// writer keeps later sharers out, so it is not starved.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/engine.h"
#include "sys/mutex.h"

namespace shoal::engine {

class Latches {
 public:
  static constexpr size_t kStripes = 1024;
  enum class Mode : uint8_t { kWrite, kCheck, kMerge };

  Latches();

  // The latches of one batch, released by the destructor.
  class Held {
   public:
    Held(Held&&) = default;
    Held& operator=(Held&&) = delete;
    ~Held();

   private:
    friend class Latches;
    struct Taken {
      uint16_t stripe;
      Mode mode;
    };
    explicit Held(Latches& latches) : latches_(latches) {}
    Latches& latches_;
    std::vector<Taken> taken_;
  };

  // Blocks until no batch in the way is left.
  Held hold(const std::vector<Write>& writes);
  // Every latch, for work that no commit may overlap.
  Held hold_all();

 private:
  class Latch {
   public:
    void acquire(Mode mode) EXCLUDES(mutex_);
    void release() EXCLUDES(mutex_);

   private:
    bool free_for(Mode mode) const REQUIRES(mutex_);
    Mutex mutex_;
    CondVar changed_;
    Mode mode_ GUARDED_BY(mutex_) = Mode::kWrite;  // of the holders
    uint32_t holders_ GUARDED_BY(mutex_) = 0;
    uint32_t waiting_ GUARDED_BY(mutex_) = 0;
    uint32_t waiting_writers_ GUARDED_BY(mutex_) = 0;
  };

  const std::unique_ptr<std::array<Latch, kStripes>> stripes_;
};

}  // namespace shoal::engine
