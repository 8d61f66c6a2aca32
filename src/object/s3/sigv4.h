// AWS Signature Version 4 for S3, header form.
// Source: AWS documentation, "Create a signed AWS API request" and "Signature Calculations for the
// Authorization Header". S3's own rule: the path is encoded once and never normalised (`//` and
// `..` stay).
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/time.h"

namespace shoal::object {

using Fields = std::vector<std::pair<std::string, std::string>>;  // name, value

inline constexpr std::string_view kUnsignedPayload = "UNSIGNED-PAYLOAD";

// Percent-encodes all but A-Z a-z 0-9 - . _ ~; '/' stays when `keep_slash`.
std::string uri_encode(std::string_view text, bool keep_slash);
// "a=1&b=": names and values encoded, sorted by encoded name, then value. Also what is sent.
std::string encoded_query(const Fields& query);

std::string sha256_hex(const std::vector<ByteView>& spans);
std::string md5_base64(std::string_view text);
std::string amz_date(Time now);  // "20130524T000000Z"

struct ToSign {
  std::string_view method;
  std::string_view path;   // encoded, with the leading slash, exactly as sent
  std::string_view query;  // encoded_query()
  Fields headers;  // lower-case names, all of them signed; host and x-amz-date must be among them
  std::string_view payload_hash;  // hex, or kUnsignedPayload
};

std::string canonical_request(ToSign request);

// Keeps the key of the day, so that a request costs two hashes. Not thread-safe.
class Signer {
 public:
  Signer(std::string region, std::string service)
      : region_(std::move(region)), service_(std::move(service)) {}
  // The value of the Authorization header. `date` is amz_date() of the moment in the x-amz-date
  // header.
  std::string authorization(const ToSign& request, std::string_view date,
                            const std::string& access_key, const std::string& secret_key);

 private:
  const std::string region_;
  const std::string service_;
  std::string key_day_;
  std::string key_secret_;
  std::string key_;
};

}  // namespace shoal::object
