#include "object/memory/memory_store.h"

#include "object/contract/contract.h"

namespace shoal::object {
namespace {

class MemoryBucket final : public ContractBucket {
 public:
  ObjectStore& store() override { return *store_; }

 private:
  ThreadPool pool_{"memory-store", 4};
  std::unique_ptr<ObjectStore> store_ = make_memory_store(pool_);
};

TEST_P(ContractTest, holds) { run_contract_case(GetParam()); }
INSTANTIATE_TEST_SUITE_P(Memory, ContractTest, testing::ValuesIn(contract_parameters([] {
                           return std::make_unique<MemoryBucket>();
                         })),
                         contract_test_name);

// Keeps tasks until asked.
class HeldExecutor final : public Executor {
 public:
  void post(Task task) override { tasks.push_back(std::move(task)); }
  void post_after(std::chrono::nanoseconds, Task task) override {
    tasks.push_back(std::move(task));
  }
  std::vector<Task> tasks;
};

TEST(MemoryStore, destruction_cancels_what_has_not_started) {
  HeldExecutor executor;
  std::unique_ptr<ObjectStore> store = make_memory_store(executor);
  int code = 0;
  store->put("k", {as_bytes("x")}, {}, [&](Result<std::string> result) { code = result.code(); });
  EXPECT_EQ(code, 0) << "never inside the call";
  store.reset();
  EXPECT_EQ(code, ECANCELED);
  for (const Executor::Task& task : executor.tasks) task();  // late tasks find nothing to do
}

}  // namespace
}  // namespace shoal::object
