// What an answer means: done, try again, or an error to hand on.
#pragma once

#include <chrono>
#include <optional>

#include "object/s3/s3_request.h"
#include "object/s3/xml.h"

namespace shoal::object {

enum class Outcome {
  kDone,         // a status that the request's parser understands
  kRetry,        // transient
  kThrottled,    // transient, and a sign to send less
  kFail,         // final
  kRefreshKeys,  // the credentials are no longer valid
  kClockSkew,    // our clock is off
  kSignPayload,  // the server does not take UNSIGNED-PAYLOAD
};

struct Verdict {
  Outcome outcome = Outcome::kDone;
  std::optional<Error> error;                // unless kDone
  std::chrono::milliseconds retry_after{0};  // what the server asked for
};

Verdict judge(const S3Request& request, const HttpResponse& response, const BucketAddress& address,
              Time now);
// For an error that came inside an answer of status 200.
Verdict judge_code(const S3Request& request, int status, const S3Error& s3,
                   const BucketAddress& address);
// For a try that got no answer; see HttpTry::finish.
Verdict judge_transport(const S3Request& request, const Error& error, const BucketAddress& address);

// Seconds since 1970 of an HTTP date ("Wed, 25 Nov 2026 02:00:00 GMT"); nothing when it is none.
std::optional<int64_t> parse_http_date(std::string_view text);

inline constexpr int64_t kClockSkewSecondsMax = 15 * 60;  // beyond that S3 refuses signatures

}  // namespace shoal::object
