// An S3 server in this process, for tests: it keeps objects in memory, checks every signature on
// the bytes that came over the wire, and lets a test spoil any answer. Tests only.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "object/s3/testing/http_server.h"

namespace shoal::object {

class FakeS3 {
 public:
  // Asked before the n-th request (from 0) is served; a reply is sent instead of serving.
  using Interfere = std::function<std::optional<TestReply>(const TestRequest&, int n)>;
  // Asked with the true answer, to spoil it.
  using Spoil = std::function<void(const TestRequest&, int n, TestReply&)>;

  FakeS3();
  ~FakeS3();

  void interfere(Interfere interfere) EXCLUDES(mutex_);
  void spoil(Spoil spoil) EXCLUDES(mutex_);
  std::string endpoint() const { return server_->url(); }
  std::string bucket() const { return "bkt"; }
  std::string access_key() const { return "AKTEST"; }
  std::string secret_key() const { return "SKTEST"; }
  int requests() const { return requests_; }
  int bad_signatures() const { return bad_signatures_; }

  static TestReply error(int status, const std::string& code);

 private:
  struct Object {
    std::string bytes;
    std::string etag;
  };
  TestReply handle(const TestRequest& request) EXCLUDES(mutex_);
  TestReply serve(const TestRequest& request) REQUIRES(mutex_);
  TestReply serve_object(const TestRequest& request, const std::string& key,
                         const std::map<std::string, std::string>& query) REQUIRES(mutex_);
  TestReply get(const TestRequest& request, const Object& object);
  TestReply put(const TestRequest& request, const std::string& key, std::string bytes)
      REQUIRES(mutex_);
  TestReply complete(const TestRequest& request, const std::string& key, const std::string& upload)
      REQUIRES(mutex_);
  TestReply remove_many(const TestRequest& request) REQUIRES(mutex_);
  TestReply list(const std::map<std::string, std::string>& query) REQUIRES(mutex_);
  bool is_signed_right(const TestRequest& request) const;

  mutable Mutex mutex_;
  std::map<std::string, Object> objects_ GUARDED_BY(mutex_);
  std::map<std::string, std::map<int, Object>> uploads_ GUARDED_BY(mutex_);
  int next_ GUARDED_BY(mutex_) = 1;
  Interfere interfere_ GUARDED_BY(mutex_);
  Spoil spoil_ GUARDED_BY(mutex_);
  std::atomic<int> requests_{0};
  std::atomic<int> bad_signatures_{0};
  std::unique_ptr<TestHttpServer> server_;
};

}  // namespace shoal::object
