#include "object/validation.h"

namespace shoal::object {

Status check_key(const std::string& key, size_t prefix_bytes) {
  if (key.empty()) return Error(EINVAL, "an object's key may not be empty");
  if (prefix_bytes + key.size() > kObjectKeyBytesMax) {
    return error(EINVAL,
                 "an object's key has {} bytes with the bucket's prefix; at most {} are allowed",
                 prefix_bytes + key.size(), kObjectKeyBytesMax);
  }
  return {};
}

Status check_keys(const std::vector<std::string>& keys, size_t prefix_bytes) {
  if (keys.size() > 1000)
    return error(EINVAL, "{} keys to remove in one call; at most 1,000 are allowed", keys.size());
  for (const std::string& key : keys) TRY(check_key(key, prefix_bytes));
  return {};
}

Status check_limit(const ListOptions& options) {
  if (options.limit < 1 || options.limit > 1000) {
    return error(EINVAL, "a list of {} keys was asked for; 1 to 1,000 are allowed", options.limit);
  }
  return {};
}

Status check_parts(const std::vector<UploadedPart>& parts) {
  if (parts.empty()) return Error(EINVAL, "a multipart upload needs at least one part");
  int last = 0;
  for (const UploadedPart& part : parts) {
    if (part.number <= last || part.number > 10'000) {
      return error(EINVAL, "part {} after part {}: numbers must ascend from 1 to 10,000",
                   part.number, last);
    }
    last = part.number;
  }
  return {};
}

}  // namespace shoal::object
