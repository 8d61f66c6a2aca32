// The contract suite of the engine seam: every promise of engine/engine.h as a test, run over any
// engine.
//
//   const bool registered = shoal::engine::register_contract("RocksdbEngineContract",
//   make_fresh_subject);
//
// at namespace scope of a *_test.cc registers all tests with GTest under that suite name. Each test
// gets a fresh subject, that is an engine without any key in it. Random tests print their seed;
// SHOAL_SEED=n repeats one.
#pragma once

#include <functional>
#include <memory>

#include "engine/engine.h"

namespace shoal::engine {

// Owns one empty engine and whatever it stands on (a folder, a database, fakes).
class Subject {
 public:
  virtual ~Subject() = default;
  virtual KvEngine& engine() = 0;
};

// Always true, so that it can initialize a variable.
bool register_contract(const char* suite, std::function<std::unique_ptr<Subject>()> make);

}  // namespace shoal::engine
