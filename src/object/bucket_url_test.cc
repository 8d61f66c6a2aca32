#include "object/bucket_url.h"

#include <gtest/gtest.h>

namespace shoal::object {
namespace {

TEST(BucketUrl, a_folder_is_absolute) {
  const BucketUrl url = BucketUrl::parse("file:///var/lib/b%20x/").value();
  EXPECT_EQ(url.kind, BucketUrl::Kind::kFile);
  EXPECT_EQ(url.folder, "/var/lib/b x");
  EXPECT_EQ(BucketUrl::parse("file://").code(), EINVAL);
  EXPECT_EQ(BucketUrl::parse("file://relative/x").code(), EINVAL);
  EXPECT_EQ(BucketUrl::parse("file:///").value().folder, "/");
}

TEST(BucketUrl, s3_with_an_endpoint_is_path_style_and_aws_is_virtual_style) {
  const BucketUrl own =
      BucketUrl::parse("s3://bkt/a/b/?endpoint=http://127.0.0.1:8333/&region=eu-west-1&ca=/c.pem")
          .value();
  EXPECT_EQ(own.bucket, "bkt");
  EXPECT_EQ(own.prefix, "a/b");
  EXPECT_EQ(own.endpoint, "http://127.0.0.1:8333");
  EXPECT_EQ(own.region, "eu-west-1");
  EXPECT_EQ(own.ca_file, "/c.pem");
  EXPECT_TRUE(own.path_style);
  const BucketUrl aws = BucketUrl::parse("s3://bkt").value();
  EXPECT_FALSE(aws.path_style);
  EXPECT_EQ(aws.region, "us-east-1");
  EXPECT_EQ(aws.prefix, "");
  EXPECT_TRUE(BucketUrl::parse("s3://bkt?style=path").value().path_style);
  EXPECT_FALSE(BucketUrl::parse("s3://bkt?endpoint=http://h&style=virtual").value().path_style);
}

TEST(BucketUrl, the_text_form_parses_to_the_same) {
  for (const char* text :
       {"file:///a%25b%3F%26", "memory:///", "s3://bkt",
        "s3://bkt/p%20q%2Br?endpoint=https://[::1]:9&style=virtual", "s3://bkt?style=path",
        "s3://b.k-t/x?endpoint=http://h:1&region=r&ca=/a%26b"}) {
    const BucketUrl url = BucketUrl::parse(text).value();
    const BucketUrl again = BucketUrl::parse(url.to_string()).value();
    EXPECT_EQ(again.to_string(), url.to_string());
    EXPECT_EQ(again.kind, url.kind);
    EXPECT_EQ(again.folder, url.folder);
    EXPECT_EQ(again.prefix, url.prefix);
    EXPECT_EQ(again.endpoint, url.endpoint);
    EXPECT_EQ(again.path_style, url.path_style);
    EXPECT_EQ(again.ca_file, url.ca_file);
  }
}

TEST(BucketUrl, what_is_wrong_is_named) {
  const auto message = [](const char* text) {
    const Result<BucketUrl> r = BucketUrl::parse(text);
    return r.ok() ? std::string("accepted") : r.error().text();
  };
  EXPECT_NE(message("gs://bkt").find("no known scheme"), std::string::npos);
  EXPECT_NE(message("s3://").find("no bucket name"), std::string::npos);
  EXPECT_NE(message("s3://a b/").find("no bucket name"), std::string::npos);
  EXPECT_NE(message("s3://bkt?endpoint=ftp://h").find("must start with http"), std::string::npos);
  EXPECT_NE(message("s3://bkt?endpoint=http://h/path").find("without a path"), std::string::npos);
  EXPECT_NE(message("s3://bkt?endpoint=http://h:99999").find("port"), std::string::npos);
  EXPECT_NE(message("s3://bkt?style=x").find("path or virtual"), std::string::npos);
  EXPECT_NE(message("s3://bkt?colour=x").find("unknown parameter \"colour\""), std::string::npos);
  EXPECT_NE(message("s3://bkt?region").find("no value"), std::string::npos);
  EXPECT_NE(message("s3://bkt/a%2").find("two hex digits"), std::string::npos);
}

TEST(BucketUrl, credentials_are_refused_and_not_repeated) {
  for (const char* text :
       {"s3://AKIA:hunter2@bkt/p", "s3://bkt?endpoint=http://AKIA:hunter2@host"}) {
    const Result<BucketUrl> r = BucketUrl::parse(text);
    ASSERT_FALSE(r.ok());
    EXPECT_EQ(r.error().code(), EINVAL);
    EXPECT_EQ(r.error().text().find("hunter2"), std::string::npos);
    EXPECT_NE(r.error().text().find("AWS_ACCESS_KEY_ID"), std::string::npos);
  }
}

}  // namespace
}  // namespace shoal::object
