#include "format/election.h"

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "format/locks.h"

namespace shoal::format {
namespace {

Uuid uuid_of(uint8_t first) {
  Uuid uuid;
  for (size_t i = 0; i < uuid.bytes.size(); ++i) uuid.bytes[i] = static_cast<uint8_t>(first + i);
  return uuid;
}

// Golden bytes: what was written once must stay readable.
TEST(Election, has_these_bytes) {
  const std::string value = encode_election({uuid_of(0x10), "h:1", 300, true});
  EXPECT_EQ(to_hex(as_bytes(value)), "01101112131415161718191a1b1c1d1e1f03683a31ac0201");
  const Election back = decode_election(value).value();
  EXPECT_EQ(back.owner, uuid_of(0x10));
  EXPECT_EQ(back.address, "h:1");
  EXPECT_EQ(back.count, 300u);
  EXPECT_TRUE(back.released);
}

TEST(AccessToken, has_these_bytes) {
  const std::string value = encode_access_token({"abc"});
  EXPECT_EQ(to_hex(as_bytes(value)), "0103616263");
  EXPECT_EQ(decode_access_token(value).value().token, "abc");
}

TEST(Locks, have_these_bytes) {
  const std::string value = encode_locks({{7, 1, true, 5, 300, 9, 11, 77}});
  EXPECT_EQ(to_hex(as_bytes(value)), "010107010105ac02090b4d");
  const HeldLock back = decode_locks(value).value().front();
  EXPECT_EQ(back.session, 7u);
  EXPECT_EQ(back.kind, 1);
  EXPECT_TRUE(back.write);
  EXPECT_EQ(back.start, 5u);
  EXPECT_EQ(back.end, 300u);
  EXPECT_EQ(back.owner, 9u);
  EXPECT_EQ(back.handle, 11u);
  EXPECT_EQ(back.pid, 77u);
}

TEST(Records, of_newer_versions_and_cut_ones_are_refused) {
  for (const std::string& whole :
       {encode_election({uuid_of(1), "h:1", 1, false}), encode_access_token({"abc"}),
        encode_locks({{1, 0, false, 0, 1, 1, 1, 1}})}) {
    std::string newer = whole;
    newer[0] = 2;
    EXPECT_EQ(decode_election(newer).code(), ENOTSUP);
    EXPECT_EQ(decode_access_token(newer).code(), ENOTSUP);
    EXPECT_EQ(decode_locks(newer).code(), ENOTSUP);
  }
  const std::string election = encode_election({uuid_of(1), "h:1", 1, false});
  for (size_t n = 0; n < election.size(); ++n)
    EXPECT_FALSE(decode_election(std::string_view(election).substr(0, n)).ok()) << n;
  const std::string locks = encode_locks({{1, 0, false, 0, 1, 1, 1, 1}});
  for (size_t n = 0; n < locks.size(); ++n)
    EXPECT_FALSE(decode_locks(std::string_view(locks).substr(0, n)).ok()) << n;
  EXPECT_EQ(decode_locks(std::string("\x01\xff\xff\xff\x7f", 5)).code(), EBADMSG)
      << "more locks than bytes";
}

}  // namespace
}  // namespace shoal::format
