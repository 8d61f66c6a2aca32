// The XML that S3 speaks. Everything parsed here comes from a server: whatever is malformed is
// EBADMSG.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "object/object_store.h"

namespace shoal::object {

struct S3Error {  // empty code: the body was no S3 error
  std::string code;
  std::string message;
  std::string region;  // of the bucket, in redirects
};
S3Error parse_error_xml(std::string_view body);

struct ListXml {
  std::vector<ObjectInfo> objects;
  std::vector<std::string> common_prefixes;
  bool truncated = false;
  std::string next_token;
};
// A list v2 page; keys are decoded when the page says that they are encoded.
Result<ListXml> parse_list_xml(std::string_view body);

Result<std::string> parse_upload_id_xml(std::string_view body);

// CompleteMultipartUpload may answer 200 and say in the body that it failed: then error.code is
// set.
struct CompleteXml {
  std::string etag;
  S3Error error;
};
Result<CompleteXml> parse_complete_xml(std::string_view body);

struct DeleteFailure {
  std::string key;
  S3Error error;
};
Result<std::vector<DeleteFailure>> parse_delete_xml(std::string_view body);

// False for keys that XML 1.0 cannot hold: control characters, invalid UTF-8.
bool fits_xml(std::string_view key);
std::string delete_xml(const std::vector<std::string>& keys);  // REQUIRES fits_xml() of all
std::string complete_xml(const std::vector<UploadedPart>& parts);

// "2026-11-25T01:02:03.004Z"; 0 when it is no such text.
Time parse_iso_time(std::string_view text);

}  // namespace shoal::object
