// Private to the contract suite: its groups of cases.
#pragma once

#include "object/contract/contract.h"

namespace shoal::object::contract_internal {

std::vector<ContractCase> object_cases();     // put, get, head, remove
std::vector<ContractCase> list_cases();       // list
std::vector<ContractCase> multipart_cases();  // upload_*
std::vector<ContractCase> call_cases();       // callbacks, probe, concurrency

// Bytes that differ at every offset and for every seed.
std::string pattern(size_t bytes, uint64_t seed = 1);
// Keys that have broken somebody's client: blanks, %, +, Unicode, empty and dot components, the
// longest.
std::vector<std::string> odd_keys(const ContractBucket& bucket, const std::string& prefix);

}  // namespace shoal::object::contract_internal
