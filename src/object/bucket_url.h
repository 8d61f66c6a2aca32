// BUCKET-URL as users type it.
//   file:///dir
//   s3://bucket/prefix?endpoint=http://127.0.0.1:8333&region=us-east-1&style=path|virtual&ca=/path.pem
//   memory:///            (tests)
#pragma once

#include <map>
#include <string>

#include "base/error.h"

namespace shoal::object {

struct BucketUrl {
  enum class Kind { kFile, kS3, kMemory };
  Kind kind = Kind::kFile;
  std::string folder;      // kFile: absolute path
  std::string bucket;      // kS3
  std::string prefix;      // kS3: without slashes at its ends; may be empty
  std::string endpoint;    // kS3: "http(s)://host[:port]"; empty: AWS for the region
  std::string region;      // kS3: default "us-east-1"
  bool path_style = true;  // kS3 with an endpoint; AWS itself is virtual-style unless style=path
  std::string ca_file;

  // EINVAL naming the part that is wrong and the form expected. Credentials inside the URL are
  // refused.
  static Result<BucketUrl> parse(std::string_view text);
  std::string to_string() const;  // canonical; parse(to_string()) is equal
};

}  // namespace shoal::object
