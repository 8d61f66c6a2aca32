// One blocking HTTP request to a service on this machine or next to it, for credentials. Never for
// object data.
#pragma once

#include "object/s3/http_try.h"

namespace shoal::object {

// ETIMEDOUT and friends as an Error without the request's headers or body, which may hold secrets.
// Any status is a response. `text` is the body to send.
Result<HttpResponse> http_fetch(HttpRequest request, std::string_view text,
                                std::chrono::milliseconds timeout, Clock& clock);

}  // namespace shoal::object
