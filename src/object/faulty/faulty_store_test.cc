#include "object/faulty/faulty_store.h"

#include "object/contract/contract.h"
#include "object/memory/memory_store.h"

namespace shoal::object {
namespace {

class QuietBucket final : public ContractBucket {
 public:
  ObjectStore& store() override { return *store_; }

 private:
  ThreadPool pool_{"memory-store", 4};
  std::unique_ptr<ObjectStore> memory_ = make_memory_store(pool_);
  std::unique_ptr<ObjectStore> store_ =
      make_faulty_store(*memory_, [](Call, const std::string&, uint64_t) { return Fault::kNone; });
};

TEST_P(ContractTest, holds) { run_contract_case(GetParam()); }
INSTANTIATE_TEST_SUITE_P(FaultyWithoutFaults, ContractTest,
                         testing::ValuesIn(contract_parameters([] {
                           return std::make_unique<QuietBucket>();
                         })),
                         contract_test_name);

class FaultyStoreTest : public testing::Test {
 protected:
  ThreadPool pool{"memory-store", 2};
  std::unique_ptr<ObjectStore> memory = make_memory_store(pool);
  std::atomic<Fault> fault{Fault::kNone};
  std::unique_ptr<ObjectStore> store = make_faulty_store(
      *memory, [this](Call, const std::string&, uint64_t) { return fault.load(); });
};

TEST_F(FaultyStoreTest, an_error_before_has_no_effect_and_one_after_has) {
  fault = Fault::kErrorBefore;
  EXPECT_EQ(put_and_wait(*store, "k", as_bytes("x")).code(), EIO);
  EXPECT_EQ(head_and_wait(*memory, "k").code(), ENOENT);
  fault = Fault::kErrorAfter;
  EXPECT_EQ(put_and_wait(*store, "k", as_bytes("x")).code(), EIO);
  EXPECT_EQ(head_and_wait(*memory, "k").code(), 0);
  EXPECT_EQ(remove_and_wait(*store, "k").code(), EIO);
  EXPECT_EQ(head_and_wait(*memory, "k").code(), ENOENT);
}

TEST_F(FaultyStoreTest, timeouts_and_lost_objects_and_spoiled_bytes) {
  put_and_wait(*store, "k", as_bytes("0123456789")).value();
  fault = Fault::kTimeout;
  EXPECT_EQ(list_and_wait(*store, "").code(), ETIMEDOUT);
  fault = Fault::kNotFound;
  EXPECT_EQ(get_and_wait(*store, "k", 0, 10).code(), ENOENT);
  EXPECT_EQ(list_and_wait(*store, "").code(), 0);
  fault = Fault::kShort;
  EXPECT_EQ(get_and_wait(*store, "k", 0, 10).value(), "01234");
  fault = Fault::kCorrupt;
  const std::string corrupt = get_and_wait(*store, "k", 0, 10).value();
  EXPECT_EQ(corrupt.size(), 10u);
  EXPECT_NE(corrupt, "0123456789");
}

TEST_F(FaultyStoreTest, refused_calls_are_not_counted_as_requests) {
  fault = Fault::kErrorBefore;
  EXPECT_EQ(put_and_wait(*store, "k", as_bytes("x")).code(), EIO);
  EXPECT_EQ(store->counts().head, 0u);
  EXPECT_EQ(store->counts().put, 0u);
}

TEST_F(FaultyStoreTest, calls_are_numbered_over_all_kinds) {
  std::vector<uint64_t> numbers;
  auto numbered = make_faulty_store(*memory, [&](Call, const std::string&, uint64_t n) {
    numbers.push_back(n);
    return Fault::kNone;
  });
  put_and_wait(*numbered, "k", as_bytes("x")).value();
  head_and_wait(*numbered, "k").value();
  list_and_wait(*numbered, "").value();
  EXPECT_EQ(numbers, (std::vector<uint64_t>{0, 1, 2}));
}

}  // namespace
}  // namespace shoal::object
