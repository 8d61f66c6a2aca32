#include "object/s3/verdict.h"

#include <curl/curl.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>

namespace shoal::object {
namespace {

template <size_t N>
bool is_one_of(const std::string& code, const std::array<std::string_view, N>& codes) {
  return std::find(codes.begin(), codes.end(), code) != codes.end();
}

constexpr std::array<std::string_view, 4> kThrottlingCodes{
    "SlowDown", "Throttling", "TooManyRequests", "RequestLimitExceeded"};
constexpr std::array<std::string_view, 7> kTransientCodes{
    "InternalError",  "ServiceUnavailable",         "RequestTimeout",   "OperationAborted",
    "IncompleteBody", "ConditionalRequestConflict", "TemporaryRedirect"};
constexpr std::array<std::string_view, 3> kExpiredCodes{"ExpiredToken", "TokenRefreshRequired",
                                                        "ExpiredTokenException"};
constexpr std::array<std::string_view, 2> kSkewCodes{"RequestTimeTooSkewed", "RequestExpired"};
constexpr std::array<std::string_view, 1> kPayloadCodes{"XAmzContentSHA256Mismatch"};

std::string what(const S3Request& request, const BucketAddress& address) {
  return fmt::format("{} {}/{} at {}", request.method, address.bucket(), request.key,
                     address.origin());
}

std::chrono::milliseconds retry_after(const HttpResponse& response, Time now) {
  const std::string_view text = response.header("retry-after");
  int64_t seconds = 0;
  const auto [end, bad] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (bad != std::errc() || end != text.data() + text.size()) {
    const std::optional<int64_t> date = parse_http_date(text);
    seconds = date.has_value() ? *date - now.seconds : 0;
  }
  return std::chrono::seconds(std::clamp<int64_t>(seconds, 0, 3600));
}

// The errno of an answer that is final.
int final_code(const S3Request& request, int status, const std::string& code) {
  if (code == "NoSuchBucket") return ENXIO;
  switch (status) {
    case 401:
    case 403:
      return EACCES;
    case 404:
    case 410:
      return ENOENT;
    case 412:
      return request.method == "GET" || request.method == "HEAD" ? ESTALE : EEXIST;
    case 501:
      return ENOTSUP;
    case 507:
      return ENOSPC;
    default:
      return EIO;
  }
}

bool is_skewed(const HttpResponse& response, Time now) {
  const std::optional<int64_t> date = parse_http_date(response.header("date"));
  return date.has_value() && std::llabs(*date - now.seconds) > kClockSkewSecondsMax;
}

}  // namespace

std::optional<int64_t> parse_http_date(std::string_view text) {
  if (text.empty()) return std::nullopt;
  const time_t seconds = curl_getdate(std::string(text).c_str(), nullptr);
  if (seconds < 0) return std::nullopt;
  return seconds;
}

Verdict judge_code(const S3Request& request, int status, const S3Error& s3,
                   const BucketAddress& address) {
  const auto as = [&](Outcome outcome, int code) {
    std::string text = fmt::format("{}: status {}", what(request, address), status);
    if (!s3.code.empty()) text += " " + s3.code;
    if (!s3.message.empty()) text += ": " + s3.message.substr(0, 500);
    return Verdict{outcome, Error(code, std::move(text)), {}};
  };
  if (is_one_of(s3.code, kThrottlingCodes)) return as(Outcome::kThrottled, EIO);
  if (is_one_of(s3.code, kExpiredCodes)) return as(Outcome::kRefreshKeys, EACCES);
  if (is_one_of(s3.code, kSkewCodes)) return as(Outcome::kClockSkew, EACCES);
  if (is_one_of(s3.code, kPayloadCodes)) return as(Outcome::kSignPayload, EACCES);
  if (is_one_of(s3.code, kTransientCodes)) return as(Outcome::kRetry, EIO);
  if (status == 503 || status == 429) return as(Outcome::kThrottled, EIO);
  if (status == 500 || status == 502 || status == 504) return as(Outcome::kRetry, EIO);
  return as(Outcome::kFail, final_code(request, status, s3.code));
}

Verdict judge(const S3Request& request, const HttpResponse& response, const BucketAddress& address,
              Time now) {
  const int status = response.status;
  if (status >= 200 && status < 300) return {};
  if (status == 416 && request.has_target) return {};
  const S3Error s3 = parse_error_xml(response.text);
  if (status >= 300 && status < 400) {
    std::string region(response.header("x-amz-bucket-region"));
    if (region.empty()) region = s3.region;
    return {
        Outcome::kFail,
        error(EIO,
              "{}: the server redirects (status {}){}; check region and endpoint in the bucket URL",
              what(request, address), status,
              region.empty() ? std::string() : fmt::format(": the bucket is in region {}", region)),
        {}};
  }
  Verdict verdict = judge_code(request, status, s3, address);
  verdict.retry_after = retry_after(response, now);
  // An answer to HEAD has no body that could tell; the clock is the one cause that shows in the
  // headers.
  if (verdict.outcome == Outcome::kFail && s3.code.empty() && (status == 403 || status == 400) &&
      is_skewed(response, now)) {
    verdict.outcome = Outcome::kClockSkew;
  }
  if (verdict.outcome == Outcome::kFail && s3.code.empty() && status == 400 &&
      request.method == "HEAD") {
    verdict.outcome = Outcome::kRefreshKeys;  // how ExpiredToken looks without its body
  }
  return verdict;
}

Verdict judge_transport(const S3Request& request, const Error& error,
                        const BucketAddress& address) {
  Error described = error.in(what(request, address));
  const bool in_vain = error.is(EPROTO);
  return {in_vain ? Outcome::kFail : Outcome::kRetry, Error(EIO, described.message()), {}};
}

}  // namespace shoal::object
