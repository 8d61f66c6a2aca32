#include "object/s3/http_fetch.h"

#include <curl/curl.h>

#include <memory>

#include "base/check.h"

namespace shoal::object {

Result<HttpResponse> http_fetch(HttpRequest request, std::string_view text,
                                std::chrono::milliseconds timeout, Clock& clock) {
  init_curl();
  const std::unique_ptr<CURL, void (*)(CURL*)> easy(curl_easy_init(), curl_easy_cleanup);
  CHECK(easy != nullptr);
  if (!text.empty()) request.body = {as_bytes(text)};
  const HttpTimeouts timeouts{timeout, timeout, timeout};
  HttpTry http(easy.get(), std::move(request), timeouts, clock);
  curl_easy_setopt(easy.get(), CURLOPT_TIMEOUT_MS, static_cast<long>(timeout.count()));
  return http.finish(curl_easy_perform(easy.get()));
}

}  // namespace shoal::object
