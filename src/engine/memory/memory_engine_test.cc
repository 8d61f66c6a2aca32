#include "engine/memory/memory_engine.h"

#include "engine/contract/contract.h"

namespace shoal::engine {
namespace {

class MemorySubject final : public Subject {
 public:
  KvEngine& engine() override { return *engine_; }

 private:
  const std::unique_ptr<KvEngine> engine_ = make_memory_engine();
};

[[maybe_unused]] const bool registered =
    register_contract("MemoryEngineContract", [] { return std::make_unique<MemorySubject>(); });

}  // namespace
}  // namespace shoal::engine
