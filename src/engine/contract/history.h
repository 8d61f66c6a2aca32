// A history of commits whose every prefix can be told from every other, for tests that cut the
// power or fail calls.
//
// Commit number i (from 1) writes: "last" = i; "c<i>" = i; removes "c<i - kKept>"; adds 1 to the
// counter "n"; and every kIngestEvery-th number is an ingest of "g<i>" keys instead. After a crash
// the engine has to hold exactly what some prefix leaves, at least up to the last number that was
// made durable.
#pragma once

#include <cstdint>

#include "engine/engine.h"

namespace shoal::engine {

class History {
 public:
  static constexpr uint64_t kKept = 40;
  static constexpr uint64_t kIngestEvery = 23;

  // Does number attempted() + 1. False when the engine refused or did not know.
  bool advance(KvEngine& engine);
  // False when it failed.
  bool sync(KvEngine& engine);

  uint64_t attempted() const { return attempted_; }
  uint64_t durable() const { return durable_; }
  uint64_t stamp_of(uint64_t number) const;

  // Looks at a reopened engine: expects (GTest) a prefix of at least durable() and at most
  // attempted() commits, and goes on from there. `exact`: nothing may be missing at all.
  void verify(KvEngine& engine, bool exact = false);

 private:
  static bool is_ingest(uint64_t number) { return number % kIngestEvery == 0; }
  uint64_t commits_up_to(uint64_t number) const { return number - number / kIngestEvery; }
  void expect_ingests(KvEngine& engine, uint64_t number);
  uint64_t attempted_ = 0;  // the number of the last commit that was tried
  uint64_t committed_ = 0;  // … that was acknowledged
  uint64_t durable_ = 0;
};

}  // namespace shoal::engine
