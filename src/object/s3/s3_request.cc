#include "object/s3/s3_request.h"

#include <algorithm>

namespace shoal::object {

BucketAddress::BucketAddress(const BucketUrl& url)
    : bucket_(url.bucket), region_(url.region), ca_file_(url.ca_file), path_style_(url.path_style) {
  std::string endpoint = url.endpoint;
  if (endpoint.empty()) {
    endpoint = fmt::format("https://s3.{}.amazonaws.com{}", region_,
                           region_.starts_with("cn-") ? ".cn" : "");
  }
  const size_t scheme_end = endpoint.find("://");
  scheme_ = endpoint.substr(0, scheme_end);
  host_ = endpoint.substr(scheme_end + 3);
  const std::string_view default_port = scheme_ == "https" ? ":443" : ":80";
  if (host_.ends_with(default_port)) host_.resize(host_.size() - default_port.size());
  // A wildcard certificate covers one label only.
  if (is_tls() && bucket_.find('.') != std::string::npos) path_style_ = true;
  if (!path_style_) host_ = bucket_ + "." + host_;
}

std::string BucketAddress::path(const std::string& key) const {
  std::string path = "/";
  if (path_style_) path += bucket_;
  if (key.empty()) return path;
  if (path_style_) path += '/';
  return path + uri_encode(key, true);
}

std::string BucketAddress::url(const std::string& path, const std::string& query) const {
  std::string url = scheme_ + "://" + host_ + path;
  if (!query.empty()) url += "?" + query;
  return url;
}

bool BucketAddress::is_loopback() const {
  return host_.starts_with("127.") || host_.starts_with("localhost") || host_.starts_with("[::1]");
}

HttpRequest signed_request(const S3Request& request, const BucketAddress& address, Signer& signer,
                           const Credentials& credentials, Time now, bool sign_payload) {
  HttpRequest http;
  const std::string path = address.path(request.key), query = encoded_query(request.query);
  http.method = request.method;
  http.url = address.url(path, query);
  http.body = request.text.empty() ? request.body : std::vector<ByteView>{as_bytes(request.text)};
  http.into = request.into;
  http.has_target = request.has_target;
  http.ca_file = address.ca_file();
  http.no_proxy = address.is_loopback();

  const bool hash_it = sign_payload || !request.text.empty();
  const std::string payload = hash_it ? sha256_hex(http.body) : std::string(kUnsignedPayload);
  const std::string date = amz_date(now);
  Fields signed_headers{
      {"host", address.host()}, {"x-amz-content-sha256", payload}, {"x-amz-date", date}};
  if (!credentials.session_token.empty()) {
    signed_headers.emplace_back("x-amz-security-token", credentials.session_token);
  }
  for (const auto& [name, value] : request.headers) {
    // What a proxy may touch (range, if-match) stays unsigned.
    if (name.starts_with("x-amz-") || name.starts_with("content-")) {
      signed_headers.emplace_back(name, value);
    } else {
      http.headers.push_back(name + ": " + value);
    }
  }
  for (const auto& [name, value] : signed_headers) http.headers.push_back(name + ": " + value);
  if (!credentials.access_key.empty()) {
    const ToSign to_sign{request.method, path, query, signed_headers, payload};
    http.headers.push_back("authorization: " + signer.authorization(to_sign, date,
                                                                    credentials.access_key,
                                                                    credentials.secret_key));
  }
  return http;
}

}  // namespace shoal::object
