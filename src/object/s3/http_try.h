// One try of one HTTP request on a libcurl easy handle. Used by the dispatcher's thread only.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "sys/clock.h"

using CURL = void;
struct curl_slist;

namespace shoal::object {

struct HttpRequest {
  std::string method;
  std::string url;                   // encoded; sent as it is
  std::vector<std::string> headers;  // "Name: value"
  std::vector<ByteView> body;        // for PUT and POST; belongs to the caller until the try ended
  MutableBytes into;                 // where the body of a 2xx answer goes when `has_target`
  bool has_target = false;
  std::string ca_file;
  bool no_proxy = false;
};

struct HttpTimeouts {
  std::chrono::milliseconds connect{3'000};
  std::chrono::milliseconds stall{5'000};  // no byte moved
  std::chrono::milliseconds answer{
      5'000};  // from the last byte sent to the first byte of the answer
};

struct HttpResponse {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  // lower-case names
  std::string text;     // the body, unless it went into the target; errors are cut at 64 KiB
  size_t received = 0;  // bytes in the target
  std::string_view header(std::string_view name) const;  // empty when absent
};

// Makes libcurl ready; cheap when it is. Before the first handle.
void init_curl();

class HttpTry {
 public:
  // `easy` is a fresh or reset handle and outlives the try.
  HttpTry(CURL* easy, HttpRequest request, HttpTimeouts timeouts, Clock& clock);
  ~HttpTry();
  HttpTry(const HttpTry&) = delete;
  HttpTry& operator=(const HttpTry&) = delete;

  // When the try counts as stalled unless bytes move before.
  std::chrono::nanoseconds stalls_at() const;
  // After curl reported the end with `curl_code`: the response, or what went wrong. EPROTO: TLS or
  // set-up, trying again is in vain; ENOTCONN: no connection; ECONNRESET: lost it, or a short
  // answer; EBADMSG: no sensible HTTP.
  Result<HttpResponse> finish(int curl_code);
  std::chrono::nanoseconds started() const { return started_; }

 private:
  static size_t on_header(char* data, size_t size, size_t count, void* self);
  static size_t on_body(char* data, size_t size, size_t count, void* self);
  static size_t on_read(char* into, size_t size, size_t count, void* self);
  static int on_seek(void* self, long long offset, int origin);
  void header_line(std::string_view line);
  size_t body(std::string_view data);
  size_t fill(MutableBytes into);
  void set_options();
  void set_body();
  void moved() { last_moved_ = clock_.since_boot(); }

  CURL* const easy_;
  HttpRequest request_;
  const HttpTimeouts timeouts_;
  Clock& clock_;
  curl_slist* headers_ = nullptr;
  HttpResponse response_;
  bool overflow_ = false;
  bool answered_ = false;
  bool sent_ = false;
  size_t span_ = 0;  // position in request_.body
  size_t span_offset_ = 0;
  const std::chrono::nanoseconds started_;
  std::chrono::nanoseconds last_moved_;
  std::vector<char> error_text_;
};

}  // namespace shoal::object
