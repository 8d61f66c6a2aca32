// An S3 request before it is signed, and where the bucket is.
#pragma once

#include <string>
#include <vector>

#include "object/bucket_url.h"
#include "object/s3/http_try.h"
#include "object/s3/s3_store.h"
#include "object/s3/sigv4.h"

namespace shoal::object {

enum class OpClass { kRead, kWrite, kList };  // one window each
inline constexpr int kOpClasses = 3;

struct S3Request {
  OpClass op = OpClass::kRead;
  std::string method;
  std::string key;             // whole, prefix included; empty: the bucket itself
  Fields query;                // raw
  Fields headers;              // lower-case names
  std::vector<ByteView> body;  // the caller's bytes …
  std::string text;            // … or ours
  MutableBytes into;
  bool has_target = false;
  int patience = 1;  // the answer may take this many times the stall timeout
};

// Bucket, endpoint and style, resolved.
class BucketAddress {
 public:
  explicit BucketAddress(const BucketUrl& url);

  const std::string& host() const { return host_; }  // as in the Host header
  std::string path(const std::string& key) const;    // encoded
  std::string url(const std::string& path, const std::string& query) const;
  const std::string& region() const { return region_; }
  const std::string& bucket() const { return bucket_; }
  const std::string& ca_file() const { return ca_file_; }
  std::string origin() const { return scheme_ + "://" + host_; }
  bool is_tls() const { return scheme_ == "https"; }
  bool is_loopback() const;

 private:
  std::string scheme_, host_, bucket_, region_, ca_file_;
  bool path_style_ = true;
};

// The request as it goes over the wire at `now`; `sign_payload` hashes the caller's bytes too. Our
// own texts are always signed: they are short.
HttpRequest signed_request(const S3Request& request, const BucketAddress& address, Signer& signer,
                           const Credentials& credentials, Time now, bool sign_payload);

}  // namespace shoal::object
