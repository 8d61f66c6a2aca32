// The contract suite: what every ObjectStore promises (object_store.h), as tests that run over each
// implementation.
//
//   INSTANTIATE_TEST_SUITE_P(Memory, ContractTest, contract_parameters([] { return
//   std::make_unique<MemoryBucket>(); }),
//                            contract_test_name);
//
// Tests only. Keys are below a prefix of their own per test, so a bucket may be shared and need not
// be empty.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "object/object_store.h"

namespace shoal::object {

// A store and what it stands on.
class ContractBucket {
 public:
  virtual ~ContractBucket() = default;
  virtual ObjectStore& store() = 0;
  // Opens a second client of the same bucket and drops the first; false where the bucket lives in
  // its client.
  virtual bool reopen() { return false; }
  virtual bool has_if_none_match() const { return true; }
  // The server keeps keys as files in directories and shows it: components of more than 255 bytes
  // are refused, a backslash becomes a slash, a directory's keys are listed where its name sorts,
  // and starting after a key skips the keys below it. Shoal's own keys meet none of this; the suite
  // leaves out just these keys.
  virtual bool is_tree() const { return false; }
  virtual size_t key_bytes_max() const {
    return kObjectKeyBytesMax;
  }  // less where the bucket's URL has a prefix
};

struct ContractCase {
  const char* name;  // the promise
  void (*body)(ContractBucket& bucket, const std::string& prefix);
};

struct ContractParameter {
  ContractCase test;
  std::function<std::unique_ptr<ContractBucket>()> make;
};

// Every case of the suite.
std::vector<ContractCase> contract_cases();

class ContractTest : public testing::TestWithParam<ContractParameter> {};

std::vector<ContractParameter> contract_parameters(
    std::function<std::unique_ptr<ContractBucket>()> make);
std::string contract_test_name(const testing::TestParamInfo<ContractParameter>& info);

// Runs the case of the current parameter; the body of the one TEST_P of each instantiating program.
void run_contract_case(const ContractParameter& parameter);

}  // namespace shoal::object
