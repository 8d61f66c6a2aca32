// The S3 client against a server that keeps the rules: the contract suite.
#include "object/s3/s3_store.h"

#include "object/contract/contract.h"
#include "object/s3/testing/fake_s3.h"

namespace shoal::object {
namespace {

class FakeBucket final : public ContractBucket {
 public:
  FakeBucket() { open(); }
  ~FakeBucket() override { EXPECT_EQ(server_.bad_signatures(), 0); }
  ObjectStore& store() override { return *store_; }
  bool reopen() override {
    store_.reset();
    open();
    return true;
  }
  size_t key_bytes_max() const override { return kObjectKeyBytesMax - 8; }

 private:
  void open() {
    const BucketUrl url =
        BucketUrl::parse("s3://bkt/pre fix?endpoint=" + server_.endpoint()).value();
    store_ = open_s3_store(
                 url, make_static_credentials({server_.access_key(), server_.secret_key(), "", {}}),
                 clock_, random_)
                 .value();
  }

  FakeS3 server_;
  SystemClock clock_;
  SystemRandom random_;
  std::unique_ptr<ObjectStore> store_;
};

TEST_P(ContractTest, holds) { run_contract_case(GetParam()); }
INSTANTIATE_TEST_SUITE_P(S3, ContractTest, testing::ValuesIn(contract_parameters([] {
                           return std::make_unique<FakeBucket>();
                         })),
                         contract_test_name);

}  // namespace
}  // namespace shoal::object
