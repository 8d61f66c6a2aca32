// Golden values: the first two are printed in AWS's documentation; the others come from an
// independent reference (python3: urllib.parse.quote, hmac, hashlib), not from this code.
#include "object/s3/sigv4.h"

#include <gtest/gtest.h>

namespace shoal::object {
namespace {

std::string signature(Signer& signer, const ToSign& request, const char* date, const char* key,
                      const char* secret) {
  const std::string authorization = signer.authorization(request, date, key, secret);
  const size_t at = authorization.find("Signature=");
  return at == std::string::npos ? authorization : authorization.substr(at + 10);
}

constexpr char kDocKey[] = "AKIAIOSFODNN7EXAMPLE";
constexpr char kDocSecret[] = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
constexpr char kDocDate[] = "20130524T000000Z";

TEST(SigV4, documented_get_with_a_range) {
  Signer signer("us-east-1", "s3");
  const std::string empty = sha256_hex({});
  EXPECT_EQ(empty, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  const ToSign request{"GET",
                       "/test.txt",
                       "",
                       {{"x-amz-date", kDocDate},
                        {"host", "examplebucket.s3.amazonaws.com"},
                        {"range", "bytes=0-9"},
                        {"x-amz-content-sha256", empty}},
                       empty};
  EXPECT_EQ(signer.authorization(request, kDocDate, kDocKey, kDocSecret),
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
            "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
            "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

TEST(SigV4, documented_list) {
  Signer signer("us-east-1", "s3");
  const std::string empty = sha256_hex({}),
                    query = encoded_query({{"prefix", "J"}, {"max-keys", "2"}});
  const ToSign request{"GET",
                       "/",
                       query,
                       {{"host", "examplebucket.s3.amazonaws.com"},
                        {"x-amz-content-sha256", empty},
                        {"x-amz-date", kDocDate}},
                       empty};
  EXPECT_EQ(signature(signer, request, kDocDate, kDocKey, kDocSecret),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

TEST(SigV4, odd_keys) {
  const std::vector<std::pair<std::string, const char*>> golden{
      {"a b+c%d", "2e210a75a559f7bd842beac1c9e272dbc76b58da9a786bb2198f16941dc9e8e1"},
      {"../x//y", "7ca97cb7e98be45282ffbbf57a8311bb2965da3d460962edc16ffe4007b36e5e"},
      {"ümläut-€-日本", "bab06222fe342d134125e924acff70adc539b52abc9ea24d75a63a349388d4f1"},
      {"~t*()!'\"&=?#:;,@$", "436efa5bd8b6acedef73ff7f6a5c91532228d20b2c6f096abf91abe280e63730"},
      {"/lead", "f5db3af1e6c2e8ec9d9af2714cb005a27267a174b0351b3de74d42de36c154fc"},
      {"\x01tab\t", "36e81121301847c82152be0661542b50e0a888d6a3282a764a7351cb731f1cae"},
      {std::string(1024, '%'), "a07a2bce66323ee397920671da743aec2bd5a3fb8e52046b35128f8fc4d26895"}};
  Signer signer("eu-west-1", "s3");
  for (const auto& [key, expected] : golden) {
    const std::string path = "/bkt/" + uri_encode(key, true);
    const ToSign request{"PUT",
                         path,
                         "",
                         {{"host", "127.0.0.1:8333"},
                          {"x-amz-content-sha256", std::string(kUnsignedPayload)},
                          {"x-amz-date", "20261125T015500Z"},
                          {"x-amz-security-token", "tok/en+="}},
                         kUnsignedPayload};
    EXPECT_EQ(signature(signer, request, "20261125T015500Z", "AK", "SK"), expected) << key;
  }
}

TEST(SigV4, queries_are_encoded_and_sorted) {
  const std::string query = encoded_query({{"list-type", "2"},
                                           {"prefix", "a b/+%&=é"},
                                           {"delimiter", "/"},
                                           {"start-after", "a b/~x"},
                                           {"encoding-type", "url"},
                                           {"max-keys", "1000"}});
  EXPECT_EQ(
      query,
      "delimiter=%2F&encoding-type=url&list-type=2&max-keys=1000&prefix=a%20b%2F%2B%25%26%3D%C3%A9&"
      "start-after=a%20b%2F~x");
  Signer signer("eu-west-1", "s3");
  const ToSign request{"GET",
                       "/bkt",
                       query,
                       {{"host", "127.0.0.1:8333"},
                        {"x-amz-content-sha256", std::string(kUnsignedPayload)},
                        {"x-amz-date", "20261125T015500Z"}},
                       kUnsignedPayload};
  EXPECT_EQ(signature(signer, request, "20261125T015500Z", "AK", "SK"),
            "04f0b44197364986871b4587cabb601eea6ba9ce696168ad4051a95992125b75");
}

TEST(SigV4, signed_payload_and_a_parameter_without_a_value) {
  Signer signer("eu-west-1", "s3");
  const std::string hash = sha256_hex({as_bytes("bo"), as_bytes("dy")}),
                    query = encoded_query({{"delete", ""}});
  EXPECT_EQ(query, "delete=");
  const ToSign request{"POST",
                       "/bkt",
                       query,
                       {{"host", "h"},
                        {"x-amz-content-sha256", hash},
                        {"x-amz-date", "20261125T015500Z"},
                        {"content-md5", "hB"}},
                       hash};
  EXPECT_EQ(signature(signer, request, "20261125T015500Z", "AK", "SK"),
            "3cf994362e9e30980c7cf9aade11dc4c5aefa565593868bb6fc950ab383f2a39");
}

TEST(SigV4, the_cached_key_follows_day_and_secret) {
  Signer cached("us-east-1", "s3");
  for (const auto& [date, secret] :
       std::vector<std::pair<const char*, const char*>>{{"20130524T000000Z", "one"},
                                                        {"20130525T000000Z", "one"},
                                                        {"20130525T000001Z", "two"},
                                                        {"20130524T000000Z", "one"}}) {
    Signer fresh("us-east-1", "s3");
    const ToSign request{"GET", "/", "", {{"host", "h"}, {"x-amz-date", date}}, kUnsignedPayload};
    EXPECT_EQ(signature(cached, request, date, "k", secret),
              signature(fresh, request, date, "k", secret));
  }
}

TEST(SigV4, md5_is_rfc_1321s) { EXPECT_EQ(md5_base64("abc"), "kAFQmDzST7DWlj99KOF/cg=="); }

}  // namespace
}  // namespace shoal::object
