#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/coding.h"
#include "base/ids.h"

namespace shoal {
namespace {

Result<int> half(int n) {
  if (n % 2 != 0) return error(EINVAL, "{} is odd", n);
  return n / 2;
}
Result<int> quarter(int n) {
  TRY_ASSIGN(const int h, half(n));
  return half(h);
}

TEST(Result, try_assign_passes_values_and_errors) {
  EXPECT_EQ(quarter(8).value(), 2);
  const Result<int> r = quarter(6);
  ASSERT_FALSE(r.ok());
  EXPECT_EQ(r.error().code(), EINVAL);
  EXPECT_EQ(r.error().text(), "3 is odd");
  EXPECT_EQ(r.error().in("mount").text(), "mount: 3 is odd");
  EXPECT_NE(r.error().to_string().find("base_test.cc"), std::string::npos);
  EXPECT_EQ(Error(EPERM, "a literal is the message").text(), "a literal is the message");
  EXPECT_NE(Error(EPERM).to_string().find("base_test.cc"), std::string::npos);
}

TEST(Coding, round_trip_and_hostile_input) {
  std::string s;
  Encoder e(s);
  e.varint(0);
  e.varint(~uint64_t{0});
  e.zigzag(-5);
  e.be32(0x01020304);
  e.string("name");
  Decoder d(s);
  EXPECT_EQ(d.varint(), 0u);
  EXPECT_EQ(d.varint(), ~uint64_t{0});
  EXPECT_EQ(d.zigzag(), -5);
  EXPECT_EQ(d.be32(), 0x01020304u);
  EXPECT_EQ(d.string(), "name");
  EXPECT_TRUE(d.finish("test").ok());
  for (size_t n = 0; n < s.size(); ++n) {
    Decoder cut(std::string_view(s).substr(0, n));
    cut.varint(), cut.varint(), cut.zigzag(), cut.be32(), cut.string();
    EXPECT_EQ(cut.finish("cut").code(), EBADMSG) << n;
  }
  Decoder too_long(std::string_view("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 10));
  too_long.varint();
  EXPECT_FALSE(too_long.ok());
}

TEST(Ids, text_forms_round_trip) {
  const SegmentId id{0x0123456789abcdefull, 7};
  EXPECT_EQ(id.to_string(), "0123456789abcdef0000000000000007");
  EXPECT_EQ(SegmentId::parse(id.to_string()).value(), id);
  EXPECT_EQ(SegmentId::parse("xyz").code(), EINVAL);
  const Uuid uuid = Uuid::parse("00112233-4455-6677-8899-aabbccddeeff").value();
  EXPECT_EQ(uuid.to_string(), "00112233-4455-6677-8899-aabbccddeeff");
  EXPECT_EQ(Uuid::parse("00112233").code(), EINVAL);
}

}  // namespace
}  // namespace shoal
