#include "object/s3/sigv4.h"

#include <fmt/core.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <ctime>

#include "base/check.h"

namespace shoal::object {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";

// Digest of spans; `algorithm` is EVP_sha256() or EVP_md5().
std::string digest(const EVP_MD* algorithm, const std::vector<ByteView>& spans) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
  unsigned int size = 0;
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  CHECK(context != nullptr);
  CHECK(EVP_DigestInit_ex(context, algorithm, nullptr) == 1);
  for (const ByteView& span : spans)
    CHECK(EVP_DigestUpdate(context, span.data(), span.size()) == 1);
  CHECK(EVP_DigestFinal_ex(context, out.data(), &size) == 1);
  EVP_MD_CTX_free(context);
  return {reinterpret_cast<const char*>(out.data()), size};
}

std::string hmac_sha256(std::string_view key, std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
  unsigned int size = 0;
  CHECK(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
             reinterpret_cast<const unsigned char*>(text.data()), text.size(), out.data(),
             &size) != nullptr);
  return {reinterpret_cast<const char*>(out.data()), size};
}

bool is_unreserved(unsigned char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

// Blanks at both ends go, runs of blanks become one.
std::string trimmed(std::string_view value) {
  std::string out;
  for (const char c : value) {
    if (c == ' ' && (out.empty() || out.back() == ' ')) continue;
    out += c;
  }
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

std::string signed_names(const Fields& sorted) {
  std::string names;
  for (const auto& [name, value] : sorted) {
    if (!names.empty()) names += ';';
    names += name;
  }
  return names;
}

}  // namespace

std::string uri_encode(std::string_view text, bool keep_slash) {
  constexpr char digits[] = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size() + text.size() / 8);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (is_unreserved(byte) || (keep_slash && c == '/')) {
      out += c;
    } else {
      out += '%';
      out += digits[byte >> 4];
      out += digits[byte & 15];
    }
  }
  return out;
}

std::string encoded_query(const Fields& query) {
  Fields encoded;
  for (const auto& [name, value] : query)
    encoded.emplace_back(uri_encode(name, false), uri_encode(value, false));
  std::sort(encoded.begin(), encoded.end());
  std::string out;
  for (const auto& [name, value] : encoded) {
    if (!out.empty()) out += '&';
    out += name + "=" + value;
  }
  return out;
}

std::string sha256_hex(const std::vector<ByteView>& spans) {
  return to_hex(as_bytes(digest(EVP_sha256(), spans)));
}

std::string md5_base64(std::string_view text) {
  const std::string hash = digest(EVP_md5(), {as_bytes(text)});
  std::array<unsigned char, 32> out{};
  const int size = EVP_EncodeBlock(out.data(), reinterpret_cast<const unsigned char*>(hash.data()),
                                   static_cast<int>(hash.size()));
  return {reinterpret_cast<const char*>(out.data()), static_cast<size_t>(size)};
}

std::string amz_date(Time now) {
  const time_t seconds = now.seconds;
  tm utc{};
  gmtime_r(&seconds, &utc);
  return fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}Z", utc.tm_year + 1900, utc.tm_mon + 1,
                     utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec);
}

std::string canonical_request(ToSign request) {
  std::sort(request.headers.begin(), request.headers.end());
  std::string out = fmt::format("{}\n{}\n{}\n", request.method, request.path, request.query);
  for (const auto& [name, value] : request.headers) out += name + ":" + trimmed(value) + "\n";
  out += "\n" + signed_names(request.headers) + "\n";
  out += request.payload_hash;
  return out;
}

std::string Signer::authorization(const ToSign& request, std::string_view date,
                                  const std::string& access_key, const std::string& secret_key) {
  const std::string day(date.substr(0, 8));
  if (day != key_day_ || secret_key != key_secret_) {
    key_ = hmac_sha256(
        hmac_sha256(hmac_sha256(hmac_sha256("AWS4" + secret_key, day), region_), service_),
        "aws4_request");
    key_day_ = day;
    key_secret_ = secret_key;
  }
  const std::string scope = fmt::format("{}/{}/{}/aws4_request", day, region_, service_);
  const std::string canonical = canonical_request(request);
  const std::string to_sign =
      fmt::format("{}\n{}\n{}\n{}", kAlgorithm, date, scope, sha256_hex({as_bytes(canonical)}));
  Fields sorted = request.headers;
  std::sort(sorted.begin(), sorted.end());
  return fmt::format("{} Credential={}/{}, SignedHeaders={}, Signature={}", kAlgorithm, access_key,
                     scope, signed_names(sorted), to_hex(as_bytes(hmac_sha256(key_, to_sign))));
}

}  // namespace shoal::object
