// The S3 client against a server that misbehaves.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>

#include "base/log.h"
#include "object/s3/s3_store.h"
#include "object/s3/sigv4.h"
#include "object/s3/testing/fake_s3.h"
#include "object/s3/testing/notes.h"

namespace shoal::object {
namespace {

using std::chrono::milliseconds;

class S3FaultsTest : public testing::Test {
 protected:
  S3FaultsTest() {
    options.backoff_min = milliseconds(1);
    options.backoff_max = milliseconds(5);
    open();
  }
  void open() {
    const BucketUrl url = BucketUrl::parse("s3://bkt?endpoint=" + server.endpoint()).value();
    store = open_s3_store(
                url, make_static_credentials({server.access_key(), server.secret_key(), "", {}}),
                clock, random, options)
                .value();
  }
  // The first `n` requests get `reply`.
  void first(int n, TestReply reply) {
    const int base = server.requests();
    server.interfere([=](const TestRequest&, int at) {
      return at - base < n ? std::optional<TestReply>(reply) : std::nullopt;
    });
  }
  static TestReply tricked(Trick trick) { return {200, {}, "", trick}; }
  static CallOptions within(int deadline_ms) {
    return {milliseconds(deadline_ms), Priority::kForeground, false};
  }

  FakeS3 server;
  SystemClock clock;
  SystemRandom random;
  S3Options options;
  std::unique_ptr<ObjectStore> store;
};

TEST_F(S3FaultsTest, transient_answers_are_retried_on_every_kind_of_call) {
  for (const TestReply& reply :
       {FakeS3::error(500, "InternalError"), FakeS3::error(503, "SlowDown"),
        FakeS3::error(429, "TooManyRequests"), FakeS3::error(400, "RequestTimeout"),
        TestReply{502, {}, "<html>", {}}, tricked(Trick::kHangUp), tricked(Trick::kNonsense)}) {
    const uint64_t before = store->counts().retries;
    first(1, reply);
    ASSERT_EQ(put_and_wait(*store, "k", as_bytes("0123456789")).code(), 0) << reply.status;
    first(1, reply);
    ASSERT_EQ(get_and_wait(*store, "k", 2, 3).value(), "234") << reply.status;
    first(1, reply);
    ASSERT_EQ(list_and_wait(*store, "").value().objects.size(), 1u) << reply.status;
    // A kept connection that closed at once may be retried by the HTTP library, which is not
    // counted here.
    if (reply.trick == Trick::kNone) {
      EXPECT_EQ(store->counts().retries - before, 3u) << reply.status;
    }
    open();  // a fresh budget
  }
}

TEST_F(S3FaultsTest, short_and_mismatching_bodies_are_never_delivered) {
  put_and_wait(*store, "k", as_bytes("0123456789")).value();
  const std::vector<std::function<void(TestReply&)>> spoilers{
      [](TestReply& r) { r.trick = Trick::kShort; },
      [](TestReply& r) { r.body.resize(3); },  // a consistent length, but too little
      [](TestReply& r) { r.body += "more than was asked for"; },
      [](TestReply& r) { r.headers.back().second = "bytes 0-4/10"; },  // somebody else's range
      [](TestReply& r) { r.headers.back().second = "bytes 2-6/six"; },
      [](TestReply& r) { r.headers.pop_back(); },
      [](TestReply& r) { r.status = 200; }};  // the range was ignored
  for (size_t i = 0; i < spoilers.size(); ++i) {
    std::atomic<int> spoiled = 0;
    server.spoil([&spoiled, spoiler = spoilers[i]](const TestRequest&, int, TestReply& reply) {
      if (reply.status == 206 && spoiled++ == 0) spoiler(reply);
    });
    EXPECT_EQ(get_and_wait(*store, "k", 2, 5).value(), "23456") << i;
    EXPECT_EQ(spoiled, 2) << i;
    open();
  }
}

TEST_F(S3FaultsTest, a_server_that_falls_silent_is_given_up_and_tried_again) {
  options.stall_timeout = milliseconds(150);
  options.connect_timeout = milliseconds(150);
  open();
  put_and_wait(*store, "k", as_bytes(std::string(100'000, 'x'))).value();
  first(1, tricked(Trick::kSilence));
  EXPECT_EQ(get_and_wait(*store, "k", 0, 5).value(), "xxxxx");
  std::atomic<int> spoiled = 0;
  server.spoil([&](const TestRequest&, int, TestReply& reply) {
    if (spoiled++ == 0) reply.trick = Trick::kStall;
  });
  EXPECT_EQ(get_and_wait(*store, "k", 0, 100'000).value().size(), 100'000u);
  EXPECT_EQ(store->counts().retries, 2u);
}

TEST_F(S3FaultsTest, garbage_xml_is_retried_and_then_an_error) {
  put_and_wait(*store, "k", as_bytes("x")).value();
  first(2, {200, {}, "<ListBucketResult><Contents><Key>k", {}});
  EXPECT_EQ(list_and_wait(*store, "").value().objects.size(), 1u);
  first(1000, {200, {}, "<html>login</html>", {}});
  ListOptions short_one;
  short_one.call = within(200);
  const Result<ListPage> page = list_and_wait(*store, "", short_one);
  EXPECT_EQ(page.code(), ETIMEDOUT);
  EXPECT_NE(page.error().text().find("not a ListBucketResult"), std::string::npos)
      << page.error().text();
}

TEST_F(S3FaultsTest, an_outage_is_not_amplified_beyond_the_budget) {
  first(1'000'000, FakeS3::error(503, "SlowDown"));
  constexpr int kCalls = 200;
  const auto start = clock.since_boot();
  Mutex mutex;
  CondVar changed;
  int answered = 0, late = 0;
  for (int i = 0; i < kCalls; ++i) {
    store->head("k", within(600), [&](Result<ObjectInfo> result) {
      MutexLock lock(mutex);
      if (result.code() == ETIMEDOUT) ++late;
      ++answered;
      changed.notify_all();
    });
  }
  {
    MutexLock lock(mutex);
    while (answered < kCalls) changed.wait(mutex);
    EXPECT_EQ(late, kCalls);
  }
  const double seconds = std::chrono::duration<double>(clock.since_boot() - start).count();
  // 10 % of the calls, the floor of 10, and one a second.
  EXPECT_LE(server.requests(), kCalls + kCalls / 10 + 10 + 1 + seconds);
  EXPECT_LE(store->counts().retries, kCalls / 10 + 10 + 1 + seconds);
}

TEST_F(S3FaultsTest, retry_after_is_honoured) {
  TestReply busy = FakeS3::error(503, "SlowDown");
  busy.headers = {{"retry-after", "100"}};
  first(1, busy);
  const int before = server.requests();
  // 100 s do not fit: the answer is an error now, not a second request too early.
  EXPECT_EQ(head_and_wait(*store, "k", within(50'000)).code(), ETIMEDOUT);
  EXPECT_EQ(server.requests() - before, 1);
}

TEST_F(S3FaultsTest, a_long_call_says_before_its_end_why_it_takes_long) {
  first(2, FakeS3::error(503, "SlowDown"));
  Mutex mutex;
  std::vector<std::string> told;
  CallOptions call;
  call.on_retry = [&](const Error& why) {
    MutexLock lock(mutex);
    told.push_back(why.text());
  };
  put_and_wait(*store, "k", as_bytes("x"), call).value();
  MutexLock lock(mutex);
  ASSERT_EQ(told.size(), 2u);
  EXPECT_NE(told[0].find("SlowDown"), std::string::npos) << told[0];
}

TEST_F(S3FaultsTest, final_answers_are_not_retried_and_say_what_happened) {
  const auto one = [&](TestReply reply) {
    first(1, std::move(reply));
    const int before = server.requests();
    const Result<std::string> got = get_and_wait(*store, "k", 0, 5);
    EXPECT_EQ(server.requests() - before, 1);
    return got.ok() ? Error(ENOMSG) : got.error();
  };
  EXPECT_EQ(one(FakeS3::error(403, "AccessDenied")).code(), EACCES);
  EXPECT_EQ(one(FakeS3::error(404, "NoSuchKey")).code(), ENOENT);
  EXPECT_EQ(one(FakeS3::error(404, "NoSuchBucket")).code(), ENXIO);
  EXPECT_EQ(one(FakeS3::error(412, "PreconditionFailed")).code(), ESTALE);
  EXPECT_EQ(one(FakeS3::error(501, "NotImplemented")).code(), ENOTSUP);
  EXPECT_EQ(one(FakeS3::error(400, "Whatever")).code(), EIO);
  const Error redirect = one({301, {{"x-amz-bucket-region", "eu-north-1"}}, "", {}});
  EXPECT_EQ(redirect.code(), EIO);
  EXPECT_NE(redirect.text().find("eu-north-1"), std::string::npos) << redirect.text();
}

TEST_F(S3FaultsTest, an_error_inside_a_200_is_an_error) {
  const auto complete = [&](const std::string& key) {
    const std::string upload = wait_for<std::string>([&](Done<std::string> done) {
                                 store->upload_begin(key, {}, std::move(done));
                               }).value();
    const UploadedPart part =
        wait_for<UploadedPart>([&](Done<UploadedPart> done) {
          store->upload_part(key, upload, 1, {as_bytes("x")}, {}, std::move(done));
        }).value();
    return std::function<Result<std::string>()>([=, this] {
      return wait_for<std::string>([&](Done<std::string> done) {
        store->upload_complete(key, upload, {part}, {}, std::move(done));
      });
    });
  };
  auto transient = complete("a");
  TestReply inside = FakeS3::error(200, "InternalError");
  first(1, inside);
  EXPECT_EQ(transient().code(), 0);
  auto final = complete("b");
  inside = FakeS3::error(200, "EntityTooSmall");
  first(1, inside);
  const Result<std::string> failed = final();
  EXPECT_EQ(failed.code(), EIO);
  EXPECT_NE(failed.error().text().find("EntityTooSmall"), std::string::npos);
}

TEST_F(S3FaultsTest, a_completion_whose_answer_was_lost_is_found_to_have_happened) {
  const std::string upload = wait_for<std::string>([&](Done<std::string> done) {
                               store->upload_begin("k", {}, std::move(done));
                             }).value();
  const UploadedPart part =
      wait_for<UploadedPart>([&](Done<UploadedPart> done) {
        store->upload_part("k", upload, 1, {as_bytes("bytes")}, {}, std::move(done));
      }).value();
  std::atomic<int> spoiled = 0;
  server.spoil([&](const TestRequest& request, int, TestReply& reply) {
    if (request.method == "POST" && spoiled++ == 0) reply = FakeS3::error(500, "InternalError");
  });
  EXPECT_EQ(wait_for<std::string>([&](Done<std::string> done) {
              store->upload_complete("k", upload, {part}, {}, std::move(done));
            }).code(),
            0);
  EXPECT_EQ(get_and_wait(*store, "k", 0, 9).value(), "bytes");
}

TEST_F(S3FaultsTest, a_wrong_clock_is_corrected_by_the_servers_date) {
  Notes dates;
  const int base = server.requests();
  server.interfere([&, base](const TestRequest& request, int n) -> std::optional<TestReply> {
    dates.add(request.header("x-amz-date"));
    if (n > base) return std::nullopt;
    TestReply skewed = FakeS3::error(403, "RequestTimeTooSkewed");
    skewed.headers = {{"date", "Fri, 01 Jan 2038 00:00:00 GMT"}};
    return skewed;
  });
  set_log_sink([](LogLevel, std::string_view) {});
  EXPECT_EQ(put_and_wait(*store, "k", as_bytes("x")).code(), 0);
  set_log_sink(nullptr);
  ASSERT_EQ(dates.all().size(), 2u);
  EXPECT_EQ(dates.all()[1].substr(0, 11), "20380101T00");
}

class CountingCredentials final : public CredentialsSource {
 public:
  CountingCredentials(const FakeS3& server, int& expiries) : server_(server), expiries_(expiries) {}
  Result<Credentials> get() override {
    return Credentials{
        server_.access_key(), server_.secret_key(), fmt::format("token-{}", expiries_), {}};
  }
  void expired() override { ++expiries_; }

 private:
  const FakeS3& server_;
  int& expiries_;
};

TEST_F(S3FaultsTest, an_expired_token_is_renewed_once) {
  int expiries = 0;
  const BucketUrl url = BucketUrl::parse("s3://bkt?endpoint=" + server.endpoint()).value();
  store = open_s3_store(url, std::make_unique<CountingCredentials>(server, expiries), clock, random,
                        options)
              .value();
  server.interfere([](const TestRequest& request, int) -> std::optional<TestReply> {
    if (request.header("x-amz-security-token") == "token-0")
      return FakeS3::error(400, "ExpiredToken");
    return std::nullopt;
  });
  EXPECT_EQ(put_and_wait(*store, "k", as_bytes("x")).code(), 0);
  store.reset();
  EXPECT_EQ(expiries, 1);
}

TEST_F(S3FaultsTest, payloads_are_hashed_only_for_servers_that_want_it) {
  Notes hashes;
  server.interfere([&](const TestRequest& request, int) -> std::optional<TestReply> {
    const std::string hash = request.header("x-amz-content-sha256");
    hashes.add(hash);
    if (hash == kUnsignedPayload) return FakeS3::error(400, "XAmzContentSHA256Mismatch");
    return std::nullopt;
  });
  EXPECT_EQ(put_and_wait(*store, "k", as_bytes("x")).code(), 0);
  EXPECT_EQ(put_and_wait(*store, "l", as_bytes("x")).code(), 0);
  const std::string hash = sha256_hex({as_bytes("x")});
  EXPECT_EQ(hashes.all(), (std::vector<std::string>{std::string(kUnsignedPayload), hash, hash}));
}

TEST_F(S3FaultsTest, a_deadline_ends_a_call_that_is_under_way) {
  first(1000, tricked(Trick::kSilence));
  const Result<std::string> got = get_and_wait(*store, "k", 0, 5, {within(100), ""});
  EXPECT_EQ(got.code(), ETIMEDOUT);
  EXPECT_NE(got.error().text().find("100 ms"), std::string::npos);
}

TEST_F(S3FaultsTest, destruction_cancels_what_is_under_way_and_what_waits) {
  options.connections_max = 2;
  open();
  first(1000, tricked(Trick::kSilence));
  std::atomic<int> cancelled{0};
  for (int i = 0; i < 10; ++i) {
    store->head("k", {}, [&](Result<ObjectInfo> result) {
      if (result.code() == ECANCELED) ++cancelled;
    });
  }
  store.reset();
  EXPECT_EQ(cancelled, 10);
}

TEST_F(S3FaultsTest, an_unreachable_endpoint_is_named) {
  const BucketUrl url = BucketUrl::parse("s3://bkt?endpoint=http://127.0.0.1:1").value();
  auto nowhere =
      open_s3_store(url, make_static_credentials({"a", "b", "", {}}), clock, random, options)
          .value();
  const Result<ObjectInfo> head = head_and_wait(*nowhere, "k", within(100));
  EXPECT_EQ(head.code(), ETIMEDOUT);
  EXPECT_NE(head.error().text().find("127.0.0.1:1"), std::string::npos) << head.error().text();
}

TEST_F(S3FaultsTest, keys_that_could_not_be_removed_are_told) {
  for (const char* key : {"a", "undeletable", "b"})
    put_and_wait(*store, key, as_bytes("x")).value();
  EXPECT_EQ(wait_for<std::vector<std::string>>([&](Done<std::vector<std::string>> done) {
              store->remove_many({"a", "undeletable", "b"}, {}, std::move(done));
            }).value(),
            std::vector<std::string>{"undeletable"});
}

// Queues calls on a store with one connection; path by path in the order in which they are sent.
class S3PriorityTest : public S3FaultsTest {
 protected:
  void hold() {
    options.connections_max = 1;
    open();
    server.interfere([this](const TestRequest& request, int) -> std::optional<TestReply> {
      MutexLock lock(mutex);
      while (!open_gate) changed.wait(mutex);  // until everything is queued
      order.push_back(request.path);
      return std::nullopt;
    });
  }
  void ask(const std::string& key, Priority priority) {
    ++asked;
    store->head(key, {milliseconds(30'000), priority, false}, [this](Result<ObjectInfo>) {
      MutexLock lock(mutex);
      ++answered;
      changed.notify_all();
    });
  }
  std::vector<std::string> release() {
    MutexLock lock(mutex);
    open_gate = true;
    changed.notify_all();
    while (answered < asked) changed.wait(mutex);
    return order;
  }

  Mutex mutex;
  CondVar changed;
  bool open_gate = false;
  int asked = 0, answered = 0;
  std::vector<std::string> order;
};

TEST_F(S3PriorityTest, foreground_goes_before_write_back_before_prefetch_before_background) {
  hold();
  ask("0", Priority::kForeground);
  ask("4", Priority::kBackground);
  ask("3", Priority::kPrefetch);
  ask("2", Priority::kWriteback);
  ask("1", Priority::kForeground);
  std::vector<std::string> sent = release();
  // The first request may have been any: it started before the others came.
  sent.erase(sent.begin());
  EXPECT_TRUE(std::is_sorted(sent.begin(), sent.end())) << testing::PrintToString(sent);
}

TEST_F(S3PriorityTest, nothing_waits_for_ever_behind_what_goes_first) {
  hold();
  ask("first", Priority::kForeground);
  ask("ahead", Priority::kPrefetch);
  for (int i = 0; i < 20; ++i) ask("foreground", Priority::kForeground);
  const std::vector<std::string> sent = release();
  const auto ahead = std::find_if(sent.begin(), sent.end(),
                                  [](const std::string& path) { return path.ends_with("/ahead"); });
  EXPECT_LE(ahead - sent.begin(), 8) << testing::PrintToString(sent);
}

TEST_F(S3FaultsTest, secrets_appear_in_no_error_and_no_description) {
  first(1, FakeS3::error(403, "AccessDenied"));
  const Result<std::string> refused = put_and_wait(*store, "k", as_bytes("x"));
  EXPECT_EQ(refused.error().text().find(server.secret_key()), std::string::npos);
  EXPECT_EQ(store->describe(), "s3://bkt at " + server.endpoint());
}

}  // namespace
}  // namespace shoal::object
