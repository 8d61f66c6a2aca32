#include <gtest/gtest.h>

#include "object/s3/retry_budget.h"
#include "object/s3/window.h"
#include "object/s3/xml.h"

namespace shoal::object {
namespace {

using std::chrono::seconds;

TEST(RetryBudget, a_few_always_work_then_a_tenth_of_the_traffic) {
  RetryBudget budget(seconds(0));
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(budget.take(seconds(0)));
  EXPECT_FALSE(budget.take(seconds(0)));
  for (int i = 0; i < 30; ++i) budget.first_try();
  int taken = 0;
  while (budget.take(seconds(0))) ++taken;
  EXPECT_GE(taken, 2);  // 30 tenths, give or take rounding
  EXPECT_LE(taken, 3);
  EXPECT_TRUE(budget.take(seconds(1)));
  EXPECT_FALSE(budget.take(seconds(1)));
}

TEST(RetryBudget, quiet_times_do_not_save_up_a_storm) {
  RetryBudget budget(seconds(0));
  for (int i = 0; i < 1'000'000; ++i) budget.first_try();
  int taken = 0;
  while (budget.take(seconds(1000))) ++taken;
  EXPECT_LE(taken, 110);
}

TEST(Window, halves_once_for_a_burst_of_refusals_and_grows_by_one_a_round) {
  Window window(64);
  int started = 0;
  while (window.is_open()) window.started(), ++started;
  EXPECT_EQ(started, 16);
  for (int i = 0; i < 16; ++i) window.throttled(seconds(1), seconds(2));
  EXPECT_EQ(window.size(), 8.0);
  EXPECT_EQ(window.in_flight(), 0);
  for (int i = 0; i < 8; ++i) window.started();
  const double before = window.size();
  for (int i = 0; i < 8; ++i) {
    window.succeeded();
    window.started();
  }
  EXPECT_GT(window.size(), before + 0.8);
  EXPECT_LT(window.size(), before + 1.2);
}

TEST(Window, stays_between_one_and_its_limit) {
  Window window(4);
  for (int i = 1; i < 20; ++i) {
    window.started();
    window.throttled(seconds(2 * i), seconds(2 * i + 1));
  }
  EXPECT_EQ(window.size(), 1.0);
  EXPECT_TRUE(window.is_open());
  for (int i = 0; i < 100; ++i) {
    while (window.is_open()) window.started();
    window.succeeded();
  }
  EXPECT_EQ(window.size(), 4.0);
}

TEST(Xml, malformed_and_foreign_documents_are_ebadmsg) {
  for (const char* body :
       {"", "garbage", "<a>", "<Error/>", "<ListBucketResult/>",
        "<ListBucketResult><IsTruncated>maybe</IsTruncated></ListBucketResult>",
        "<ListBucketResult><IsTruncated>false</IsTruncated><Contents/></ListBucketResult>",
        "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>k</Key><Size>-1</Size>"
        "</Contents></ListBucketResult>"}) {
    EXPECT_EQ(parse_list_xml(body).code(), EBADMSG) << body;
  }
  EXPECT_EQ(parse_upload_id_xml("<InitiateMultipartUploadResult/>").code(), EBADMSG);
  EXPECT_EQ(parse_complete_xml("<x/>").code(), EBADMSG);
  EXPECT_EQ(parse_delete_xml("<x/>").code(), EBADMSG);
  EXPECT_EQ(parse_error_xml("<html>").code, "");
}

TEST(Xml, keys_are_decoded_only_when_the_page_says_so) {
  const std::string
      start = "<ListBucketResult>",
      end =
          "<IsTruncated>false</IsTruncated><Contents><Key>a%2Bb+c</Key><Size>7</"
          "Size><ETag>&quot;e&quot;</ETag>"
          "<LastModified>2026-11-25T01:02:03.004Z</LastModified></Contents></ListBucketResult>";
  const ListXml plain = parse_list_xml(start + end).value();
  EXPECT_EQ(plain.objects[0].key, "a%2Bb+c");
  const ListXml encoded = parse_list_xml(start + "<EncodingType>url</EncodingType>" + end).value();
  EXPECT_EQ(encoded.objects[0].key, "a+b c");
  EXPECT_EQ(encoded.objects[0].etag, "\"e\"");
  EXPECT_EQ(encoded.objects[0].modified, (Time{1795568523, 4'000'000}));
}

TEST(Xml, what_xml_cannot_hold_is_recognised) {
  for (const char* key : {"plain", "ümläut-€-日本-😀", "tab\t\n\r", "<&>\""})
    EXPECT_TRUE(fits_xml(key)) << key;
  for (const char* key :
       {"\x01", "\xff", "\xc3", "\xed\xa0\x80", "\xc0\xaf", "\xef\xbf\xbf", "\xf4\x90\x80\x80"}) {
    EXPECT_FALSE(fits_xml(key));
  }
  EXPECT_NE(delete_xml({"a<b\n"}).find("<Key>a&lt;b&#xA;</Key>"), std::string::npos);
}

}  // namespace
}  // namespace shoal::object
