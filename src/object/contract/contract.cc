#include "object/contract/contract.h"

#include "object/contract/cases.h"
#include "sys/random.h"

namespace shoal::object {

std::vector<ContractCase> contract_cases() {
  std::vector<ContractCase> all;
  for (auto* group : {contract_internal::object_cases, contract_internal::list_cases,
                      contract_internal::multipart_cases, contract_internal::call_cases}) {
    for (const ContractCase& test : group()) all.push_back(test);
  }
  return all;
}

std::vector<ContractParameter> contract_parameters(
    std::function<std::unique_ptr<ContractBucket>()> make) {
  std::vector<ContractParameter> parameters;
  for (const ContractCase& test : contract_cases()) parameters.push_back({test, make});
  return parameters;
}

std::string contract_test_name(const testing::TestParamInfo<ContractParameter>& info) {
  return info.param.test.name;
}

void run_contract_case(const ContractParameter& parameter) {
  std::unique_ptr<ContractBucket> bucket = parameter.make();
  ASSERT_NE(bucket, nullptr);
  // Live buckets survive a run, so the prefix must be new each time; nothing in a case depends on
  // its value.
  SystemRandom random;
  parameter.test.body(*bucket, fmt::format("contract-{:016x}/", random.u64()));
}

namespace contract_internal {

std::string pattern(size_t bytes, uint64_t seed) {
  std::string out(bytes, '\0');
  uint64_t state = seed * 0x9e3779b97f4a7c15ull + 1;
  for (char& c : out) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    c = static_cast<char>(state >> 56);
  }
  return out;
}

std::vector<std::string> odd_keys(const ContractBucket& bucket, const std::string& prefix) {
  std::vector<std::string> keys;
  for (const char* tail :
       {"a b", "a+b", "100%", "%41", "a%2Fb", "ümläut-€-日本", "quote'\"", "a&b=c?d#e",
        "semi;colon,at@", "~tilde*()!", "<xml>&amp;", "a.obj", "a.obj.obj", ".hidden", ".tmp-1-1",
        "trailing.", "tab\there", "x\x01y"}) {
    keys.push_back(prefix + tail);
  }
  // The longest key, in components that a file name can hold.
  std::string longest = prefix;
  while (longest.size() < bucket.key_bytes_max())
    longest += longest.size() % 200 == 199 ? '/' : '%';
  keys.push_back(longest.substr(0, bucket.key_bytes_max() - 1) + "%");
  if (bucket.is_tree()) return keys;
  keys.push_back(prefix + std::string(300, 'L'));
  keys.push_back(prefix + std::string(bucket.key_bytes_max() - prefix.size(), '%'));
  for (const char* tail : {"../x", "a//b", "back\\slash", "./y", "slash/", "/lead", "..", "."})
    keys.push_back(prefix + tail);
  return keys;
}

}  // namespace contract_internal
}  // namespace shoal::object
