// The S3 client: libcurl multi on one thread, HTTP/1.1, own SigV4 over OpenSSL, path and virtual
// style (design §7).
#pragma once

#include <memory>
#include <string>

#include "object/bucket_url.h"
#include "object/object_store.h"
#include "sys/clock.h"
#include "sys/local_fs.h"
#include "sys/random.h"

namespace shoal::object {

struct Credentials {
  std::string access_key;
  std::string secret_key;
  std::string session_token;  // may be empty
  Time expires;               // 0: never
};

// Where keys come from: explicit → env → profile → web identity → ECS → IMDSv2. get() may block
// while it refreshes (at 80 % of life, jittered): the store calls it on a thread of its own every
// few seconds of use and signs with the last ones meanwhile. Called by one thread.
class CredentialsSource {
 public:
  virtual ~CredentialsSource() = default;
  virtual Result<Credentials> get() = 0;
  // The store was told that what get() returned last is no longer valid: the next get() must fetch
  // new ones.
  virtual void expired() {}
};

std::unique_ptr<CredentialsSource> make_static_credentials(Credentials credentials);
// EACCES naming every place that was looked at when none has any.
Result<std::unique_ptr<CredentialsSource>> make_default_credentials(LocalFs& fs, Clock& clock,
                                                                    Random& random);

struct S3Options {
  int connections_max = 64;
  std::chrono::milliseconds connect_timeout{3'000};
  std::chrono::milliseconds stall_timeout{5'000};  // no byte for so long: the try failed
  std::chrono::milliseconds backoff_min{50};       // retries wait 0 … min · 2^n (full jitter)
  std::chrono::milliseconds backoff_max{5'000};
};

// `clock`, `random` outlive the store. No request is sent yet. Callbacks run on the one thread that
// drives all requests.
Result<std::unique_ptr<ObjectStore>> open_s3_store(const BucketUrl& url,
                                                   std::unique_ptr<CredentialsSource> credentials,
                                                   Clock& clock, Random& random,
                                                   S3Options options = {});

}  // namespace shoal::object
