// Checks of arguments that all stores share.
#pragma once

#include <string>
#include <vector>

#include "object/object_store.h"

namespace shoal::object {

// EINVAL for an empty key and for one whose full form (`prefix_bytes` more) passes
// kObjectKeyBytesMax.
Status check_key(const std::string& key, size_t prefix_bytes = 0);
Status check_keys(const std::vector<std::string>& keys,
                  size_t prefix_bytes = 0);  // and more than 1,000
Status check_limit(const ListOptions& options);
// EINVAL unless there is a part and the numbers ascend within 1 … 10,000.
Status check_parts(const std::vector<UploadedPart>& parts);

}  // namespace shoal::object
