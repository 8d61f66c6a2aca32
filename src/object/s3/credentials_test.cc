// Every place of the credentials chain, the remote ones against a server on loopback.
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>

#include "object/s3/credentials_chain.h"
#include "object/s3/profile.h"
#include "object/s3/testing/http_server.h"
#include "object/s3/testing/notes.h"

namespace shoal::object {
namespace {

constexpr char kContainerAnswer[] =
    R"({"Code":"Success","AccessKeyId":"AK","SecretAccessKey":"SK","Token":"T",)"
    R"("Expiration":"2026-11-25T02:00:00Z"})";

class FixedClock final : public Clock {
 public:
  Time now() const override { return {seconds, 0}; }
  std::chrono::nanoseconds since_boot() const override { return system_.since_boot(); }
  std::atomic<int64_t> seconds{1'795'568'400};  // 2026-11-25T01:00:00Z

 private:
  SystemClock system_;
};

class CredentialsTest : public testing::Test {
 protected:
  CredentialsTest() {
    const char* base = std::getenv("TMPDIR");
    std::string pattern =
        std::string(base != nullptr ? base : "/tmp") + "/shoal-credentials-XXXXXX";
    home = mkdtemp(pattern.data());
    variables = {{"HOME", home}, {"AWS_EC2_METADATA_DISABLED", "true"}};
  }
  ~CredentialsTest() override { remove_tree(fs, home).ignore("scratch"); }

  ChainInputs inputs() {
    return {fs, clock, random, [this](const char* name) {
              const auto found = variables.find(name);
              return found == variables.end() ? std::string() : found->second;
            }};
  }
  std::unique_ptr<CredentialsSource> source() { return make_credentials_chain(inputs()).value(); }
  void write(const std::string& name, const std::string& text) {
    make_dirs(fs, parent_of(home + "/" + name)).value();
    write_file_atomically(fs, home + "/" + name, as_bytes(text)).value();
  }

  RealFs fs;
  FixedClock clock;
  SystemRandom random;
  std::string home;
  std::map<std::string, std::string> variables;
};

TEST_F(CredentialsTest, nothing_anywhere_names_every_place) {
  const auto none = make_credentials_chain(inputs());
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().code(), EACCES);
  for (const char* place : {"AWS_ACCESS_KEY_ID", "~/.aws/credentials",
                            "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS", "IMDSv2"}) {
    EXPECT_NE(none.error().text().find(place), std::string::npos) << none.error().text();
  }
}

TEST_F(CredentialsTest, the_environment_comes_first) {
  write(".aws/credentials", "[default]\naws_access_key_id=FILE\naws_secret_access_key=s\n");
  variables["AWS_ACCESS_KEY_ID"] = "ENV";
  variables["AWS_SECRET_ACCESS_KEY"] = "secret";
  variables["AWS_SESSION_TOKEN"] = "token";
  const Credentials credentials = source()->get().value();
  EXPECT_EQ(credentials.access_key, "ENV");
  EXPECT_EQ(credentials.secret_key, "secret");
  EXPECT_EQ(credentials.session_token, "token");
}

TEST_F(CredentialsTest, profiles_are_read_from_both_files) {
  write(".aws/credentials",
        "# c\n[other]\naws_access_key_id = no\n[work]\n aws_access_key_id=nested\n"
        "AWS_Access_Key_Id = AK \r\n");
  write(".aws/config",
        "[default]\nregion=x\n[profile work]\naws_secret_access_key = S "
        "K=+/\naws_access_key_id=loses\n");
  variables["AWS_PROFILE"] = "work";
  const Credentials credentials = source()->get().value();
  EXPECT_EQ(credentials.access_key, "AK");
  EXPECT_EQ(credentials.secret_key, "S K=+/");
  variables["AWS_PROFILE"] = "nobody";
  const auto none = make_credentials_chain(inputs());
  ASSERT_FALSE(none.ok());
  EXPECT_NE(none.error().text().find("AWS_PROFILE is nobody"), std::string::npos);
}

TEST_F(CredentialsTest, web_identity_asks_sts_with_the_token) {
  TestHttpServer sts([](const TestRequest&) {
    return TestReply{
        200,
        {},
        "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"
        "<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>AK</AccessKeyId>"
        "<SecretAccessKey>SK</SecretAccessKey><SessionToken>T</SessionToken>"
        "<Expiration>2026-11-25T02:00:00Z</Expiration></Credentials>"
        "</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>",
        {}};
  });
  write("token", "jwt.a+b/c=\n");
  variables["AWS_ROLE_ARN"] = "arn:aws:iam::1:role/r";
  variables["AWS_WEB_IDENTITY_TOKEN_FILE"] = home + "/token";
  variables["AWS_ENDPOINT_URL_STS"] = sts.url();
  const Credentials credentials = source()->get().value();
  EXPECT_EQ(credentials.access_key, "AK");
  EXPECT_EQ(credentials.session_token, "T");
  EXPECT_EQ(credentials.expires, (Time{clock.seconds + 3600, 0}));
  const TestRequest seen = sts.last();
  EXPECT_NE(seen.body.find("WebIdentityToken=jwt.a%2Bb%2Fc%3D"), std::string::npos) << seen.body;
  EXPECT_NE(seen.body.find("RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr"), std::string::npos);
}

TEST_F(CredentialsTest, the_container_service_gets_the_authorization_token) {
  TestHttpServer service([](const TestRequest&) {
    return TestReply{200, {}, kContainerAnswer, {}};
  });
  variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = service.url() + "/creds";
  variables["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = "Bearer x";
  EXPECT_EQ(source()->get().value().secret_key, "SK");
  const TestRequest seen = service.last();
  EXPECT_EQ(seen.path, "/creds");
  EXPECT_EQ(seen.header("authorization"), "Bearer x");
  variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "http://example.org/creds";
  EXPECT_EQ(fetch_container(inputs()).code(), EACCES)
      << "a token must not travel in the clear to a stranger";
}

TEST_F(CredentialsTest, imds_is_asked_with_a_session_token_only) {
  Notes asked;
  TestHttpServer imds([&](const TestRequest& request) {
    asked.add(request.method + " " + request.path);
    if (request.method == "PUT") return TestReply{200, {}, "session", {}};
    if (request.header("x-aws-ec2-metadata-token") != "session") return TestReply{401, {}, "", {}};
    if (request.path.ends_with("/")) return TestReply{200, {}, "my-role\n", {}};
    return TestReply{200, {}, kContainerAnswer, {}};
  });
  variables["AWS_EC2_METADATA_DISABLED"] = "";
  variables["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = imds.url();
  EXPECT_EQ(source()->get().value().access_key, "AK");
  EXPECT_EQ(asked.all(),
            (std::vector<std::string>{"PUT /latest/api/token",
                                      "GET /latest/meta-data/iam/security-credentials/",
                                      "GET /latest/meta-data/iam/security-credentials/my-role"}));
}

TEST_F(CredentialsTest, a_service_that_is_silent_or_talks_nonsense_is_an_error_without_its_answer) {
  for (const Trick trick : {Trick::kSilence, Trick::kHangUp, Trick::kNonsense, Trick::kNone}) {
    TestHttpServer service([&](const TestRequest&) {
      return TestReply{200, {}, "{\"AccessKeyId\":\"topsecret\"", trick};
    });
    variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = service.url();
    ChainInputs quick = inputs();
    quick.metadata_timeout = std::chrono::milliseconds(100);
    const Result<Credentials> none = fetch_container(quick);
    ASSERT_EQ(none.code(), EACCES);
    EXPECT_EQ(none.error().text().find("topsecret"), std::string::npos);
  }
}

TEST_F(CredentialsTest,
       they_are_renewed_at_80_percent_of_their_life_and_the_old_ones_bridge_an_outage) {
  std::atomic<int> fetches{0};
  std::atomic<bool> down{false};
  TestHttpServer service([&](const TestRequest&) {
    ++fetches;
    if (down) return TestReply{500, {}, "", {}};
    return TestReply{
        200,
        {},
        fmt::format(
            R"({{"AccessKeyId":"AK{}","SecretAccessKey":"SK","Token":"T","Expiration":"{}"}})",
            fetches.load(), fetches < 2 ? "2026-11-25T02:00:00Z" : "2026-11-25T03:00:00Z"),
        {}};
  });
  variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = service.url();
  const auto credentials = source();
  clock.seconds += 2600;  // 72 % of an hour: the jitter takes at most 5 % off the 80
  EXPECT_EQ(credentials->get().value().access_key, "AK1");
  EXPECT_EQ(fetches, 1);
  clock.seconds += 300;
  down = true;
  EXPECT_EQ(credentials->get().value().access_key, "AK1");
  EXPECT_EQ(fetches, 2);
  down = false;
  clock.seconds += 30;
  EXPECT_EQ(credentials->get().value().access_key, "AK3");
  credentials->expired();
  EXPECT_EQ(credentials->get().value().access_key, "AK4");
  down = true;
  clock.seconds += 100'000;
  EXPECT_EQ(credentials->get().code(), EACCES);
}

TEST(Profile, sections_are_told_apart) {
  const char* config = "[default]\na=1\n[profile x]\na=2\n[x]\na=3\n; a=4\n[broken\na=5";
  EXPECT_EQ(parse_profile(config, "default", true).at("a"), "1");
  EXPECT_EQ(parse_profile(config, "x", true).at("a"), "2");
  EXPECT_EQ(parse_profile(config, "x", false).at("a"), "3");
  EXPECT_TRUE(parse_profile(config, "y", true).empty());
  EXPECT_TRUE(parse_profile("", "default", false).empty());
}

}  // namespace
}  // namespace shoal::object
