// The contract suite against a real S3 server. SHOAL_TEST_BUCKET is the bucket URL, e.g.
// s3://contract/some/prefix?endpoint=http://127.0.0.1:8333; keys come from AWS_ACCESS_KEY_ID and
// AWS_SECRET_ACCESS_KEY. SHOAL_TEST_NO_IF_NONE_MATCH=1 for servers without conditional writes,
// SHOAL_TEST_TREE=1 for servers that keep keys as files (SeaweedFS; ContractBucket::is_tree). No
// URL is a failure, not a skip.
#include <gtest/gtest.h>

#include <cstdlib>

#include "object/contract/contract.h"
#include "object/s3/s3_store.h"

namespace shoal::object {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

class LiveBucket final : public ContractBucket {
 public:
  explicit LiveBucket(BucketUrl url) : url_(std::move(url)) { open(); }
  ObjectStore& store() override { return *store_; }
  bool reopen() override {
    store_.reset();
    open();
    return true;
  }
  bool has_if_none_match() const override {
    return variable("SHOAL_TEST_NO_IF_NONE_MATCH").empty();
  }
  bool is_tree() const override { return !variable("SHOAL_TEST_TREE").empty(); }
  size_t key_bytes_max() const override {
    return kObjectKeyBytesMax - (url_.prefix.empty() ? 0 : url_.prefix.size() + 1);
  }

 private:
  void open() {
    Credentials keys{variable("AWS_ACCESS_KEY_ID"),
                     variable("AWS_SECRET_ACCESS_KEY"),
                     variable("AWS_SESSION_TOKEN"),
                     {}};
    store_ = open_s3_store(url_, make_static_credentials(keys), clock_, random_).value();
  }

  const BucketUrl url_;
  SystemClock clock_;
  SystemRandom random_;
  std::unique_ptr<ObjectStore> store_;
};

std::unique_ptr<ContractBucket> make_live_bucket() {
  const Result<BucketUrl> url = BucketUrl::parse(variable("SHOAL_TEST_BUCKET"));
  if (!url.ok()) {
    ADD_FAILURE() << "SHOAL_TEST_BUCKET must be the URL of a bucket on a running server: "
                  << url.error().text();
    return nullptr;
  }
  return std::make_unique<LiveBucket>(*url);
}

TEST_P(ContractTest, holds) { run_contract_case(GetParam()); }
INSTANTIATE_TEST_SUITE_P(S3Live, ContractTest,
                         testing::ValuesIn(contract_parameters(make_live_bucket)),
                         contract_test_name);

}  // namespace
}  // namespace shoal::object
