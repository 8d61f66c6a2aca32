#include "object/s3/http_try.h"

#include <curl/curl.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/check.h"
#include "object/request_counters.h"

namespace shoal::object {
namespace {

constexpr size_t kErrorTextBytesMax = 64 << 10;
constexpr size_t kTextBytesMax =
    16 << 20;  // of an XML answer; 1,000 keys of 3 KiB encoded fit four times
constexpr size_t kReceiveBufferBytesMax =
    512 << 10;  // curl's own limit; fewer reads and callbacks for bulk
constexpr size_t kReceiveBufferBytesMin = 16 << 10;
constexpr size_t kUploadBufferBytes = 64 << 10;  // measured: more costs CPU
constexpr size_t kHeadersMax = 128;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string_view without_blanks(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r' ||
                           text.back() == '\n')) {
    text.remove_suffix(1);
  }
  return text;
}

}  // namespace

std::string_view HttpResponse::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return {};
}

void init_curl() {
  static const CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
  CHECK(code == CURLE_OK);
}

HttpTry::HttpTry(CURL* easy, HttpRequest request, HttpTimeouts timeouts, Clock& clock)
    : easy_(easy),
      request_(std::move(request)),
      timeouts_(timeouts),
      clock_(clock),
      started_(clock.since_boot()),
      last_moved_(started_),
      error_text_(CURL_ERROR_SIZE, '\0') {
  set_options();
  set_body();
}

HttpTry::~HttpTry() {
  curl_easy_reset(easy_);  // it must not point at this object any more
  curl_slist_free_all(headers_);
}

void HttpTry::set_options() {
  curl_easy_setopt(easy_, CURLOPT_URL, request_.url.c_str());
  curl_easy_setopt(easy_, CURLOPT_PATH_AS_IS, 1L);  // keys with `..` components
  curl_easy_setopt(easy_, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(easy_, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy_, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy_, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy_, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(easy_, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(timeouts_.connect.count()));
  curl_easy_setopt(easy_, CURLOPT_ERRORBUFFER, error_text_.data());
  curl_easy_setopt(easy_, CURLOPT_HTTP09_ALLOWED, 0L);
  const size_t buffer =
      request_.has_target
          ? std::clamp(request_.into.size(), kReceiveBufferBytesMin, kReceiveBufferBytesMax)
          : kReceiveBufferBytesMin;
  curl_easy_setopt(easy_, CURLOPT_BUFFERSIZE, static_cast<long>(buffer));
  if (!request_.ca_file.empty()) curl_easy_setopt(easy_, CURLOPT_CAINFO, request_.ca_file.c_str());
  if (request_.no_proxy) curl_easy_setopt(easy_, CURLOPT_PROXY, "");
  curl_easy_setopt(easy_, CURLOPT_HEADERFUNCTION, &HttpTry::on_header);
  curl_easy_setopt(easy_, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(easy_, CURLOPT_WRITEFUNCTION, &HttpTry::on_body);
  curl_easy_setopt(easy_, CURLOPT_WRITEDATA, this);
  headers_ = curl_slist_append(headers_, "Expect:");  // a round trip before every PUT otherwise
  headers_ = curl_slist_append(headers_, "Accept:");
  for (const std::string& header : request_.headers)
    headers_ = curl_slist_append(headers_, header.c_str());
  curl_easy_setopt(easy_, CURLOPT_HTTPHEADER, headers_);
}

void HttpTry::set_body() {
  const auto bytes = static_cast<curl_off_t>(total_bytes(request_.body));
  if (request_.method == "HEAD") {
    curl_easy_setopt(easy_, CURLOPT_NOBODY, 1L);
  } else if (request_.method == "PUT" || request_.method == "POST") {
    curl_easy_setopt(easy_, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(easy_, CURLOPT_CUSTOMREQUEST, request_.method.c_str());
    curl_easy_setopt(easy_, CURLOPT_INFILESIZE_LARGE, bytes);
    curl_easy_setopt(easy_, CURLOPT_UPLOAD_BUFFERSIZE, static_cast<long>(kUploadBufferBytes));
    curl_easy_setopt(easy_, CURLOPT_READFUNCTION, &HttpTry::on_read);
    curl_easy_setopt(easy_, CURLOPT_READDATA, this);
    curl_easy_setopt(easy_, CURLOPT_SEEKFUNCTION, &HttpTry::on_seek);
    curl_easy_setopt(easy_, CURLOPT_SEEKDATA, this);
  } else {
    curl_easy_setopt(easy_, CURLOPT_HTTPGET, 1L);
    if (request_.method != "GET")
      curl_easy_setopt(easy_, CURLOPT_CUSTOMREQUEST, request_.method.c_str());
  }
  sent_ = bytes == 0;
}

std::chrono::nanoseconds HttpTry::stalls_at() const {
  // Connecting has its own limit, so a try that has not moved yet gets it on top.
  const std::chrono::milliseconds connect =
      last_moved_ == started_ ? timeouts_.connect : std::chrono::milliseconds(0);
  return last_moved_ + connect + (sent_ && !answered_ ? timeouts_.answer : timeouts_.stall);
}

size_t HttpTry::on_header(char* data, size_t size, size_t count, void* self) {
  static_cast<HttpTry*>(self)->header_line({data, size * count});
  return size * count;
}

void HttpTry::header_line(std::string_view line) {
  moved();
  answered_ = true;
  if (line.starts_with("HTTP/")) {  // again after a 100
    response_.headers.clear();
    response_.status = 0;
    const size_t blank = line.find(' ');
    if (blank != std::string_view::npos) {
      std::from_chars(line.data() + blank + 1, line.data() + line.size(), response_.status);
    }
    return;
  }
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || response_.headers.size() >= kHeadersMax) return;
  std::string name(line.substr(0, colon));
  std::transform(name.begin(), name.end(), name.begin(), lower);
  response_.headers.emplace_back(std::move(name),
                                 std::string(without_blanks(line.substr(colon + 1))));
}

size_t HttpTry::on_body(char* data, size_t size, size_t count, void* self) {
  return static_cast<HttpTry*>(self)->body({data, size * count});
}

size_t HttpTry::body(std::string_view data) {
  moved();
  const bool success = response_.status >= 200 && response_.status < 300;
  if (success && request_.has_target) {
    if (data.size() > request_.into.size() - response_.received) {
      overflow_ = true;
      return 0;  // ends the try
    }
    std::memcpy(request_.into.data() + response_.received, data.data(), data.size());
    response_.received += data.size();
    return data.size();
  }
  if (success && response_.text.size() + data.size() > kTextBytesMax) {
    overflow_ = true;
    return 0;
  }
  const size_t room =
      success ? data.size()
              : kErrorTextBytesMax - std::min(kErrorTextBytesMax, response_.text.size());
  response_.text += data.substr(0, room);
  return data.size();
}

size_t HttpTry::on_read(char* into, size_t size, size_t count, void* self) {
  return static_cast<HttpTry*>(self)->fill({reinterpret_cast<std::byte*>(into), size * count});
}

size_t HttpTry::fill(MutableBytes into) {
  moved();
  size_t filled = 0;
  while (filled < into.size() && span_ < request_.body.size()) {
    const ByteView rest = request_.body[span_].subspan(span_offset_);
    const size_t bytes = std::min(rest.size(), into.size() - filled);
    if (bytes > 0) std::memcpy(into.data() + filled, rest.data(), bytes);
    filled += bytes;
    span_offset_ += bytes;
    if (span_offset_ == request_.body[span_].size()) {
      ++span_;
      span_offset_ = 0;
    }
  }
  sent_ = span_ == request_.body.size();
  return filled;
}

// curl rewinds when a kept connection turned out to be dead.
int HttpTry::on_seek(void* self, long long offset, int origin) {
  if (origin != SEEK_SET || offset != 0) return CURL_SEEKFUNC_FAIL;
  auto* that = static_cast<HttpTry*>(self);
  that->span_ = 0;
  that->span_offset_ = 0;
  that->sent_ = that->request_.body.empty();
  return CURL_SEEKFUNC_OK;
}

Result<HttpResponse> HttpTry::finish(int curl_code) {
  const char* detail = error_text_[0] != '\0'
                           ? error_text_.data()
                           : curl_easy_strerror(static_cast<CURLcode>(curl_code));
  switch (curl_code) {
    case CURLE_OK:
      if (response_.status < 200)
        return error(EBADMSG, "the server answered with status {}", response_.status);
      return std::move(response_);
    case CURLE_URL_MALFORMAT:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
      return error(EPROTO, "{}", detail);
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
      return error(ENOTCONN, "{}", detail);
    case CURLE_WRITE_ERROR:
      if (overflow_)
        return error(EBADMSG, "the server sent more bytes than were asked for (status {})",
                     response_.status);
      return error(ECONNRESET, "{}", detail);
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:  // no status line; ours is http(s) for sure
      return error(EBADMSG, "{}", detail);
    default:
      return error(ECONNRESET, "{}", detail);
  }
}

}  // namespace shoal::object
