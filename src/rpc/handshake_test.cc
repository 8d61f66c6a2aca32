#include "rpc/handshake.h"

#include <gtest/gtest.h>

#include "rpc/rpc_test_util.h"
#include "sim/seeded_random.h"
#include "sys/thread.h"

namespace shoal::rpc {
namespace {

template <typename Decode>
auto decoded(std::string_view bytes, Decode decode) {
  const auto header =
      decode_handshake_header(as_bytes(bytes.substr(0, kHandshakeHeaderBytes))).value();
  return decode(header, bytes.substr(kHandshakeHeaderBytes));
}

Hello some_hello() { return {{1, 3}, "data", std::string(kNonceBytes, 'n'), "host:/mnt", 1024}; }

TEST(Handshake, golden_bytes) {
  EXPECT_EQ(to_hex(as_bytes(encode(some_hello()))),
            "53484f414c525043"
            "01"
            "01"
            "03"
            "00"
            "36000000"
            "0a0464617461"
            "1220" +
                to_hex(as_bytes(std::string(32, 'n'))) +
                "1a09686f73743a2f6d6e74"
                "208008");
  EXPECT_EQ(to_hex(as_bytes(encode(Refused{{1, 1}, EACCES, "no"}))),
            "53484f414c525043"
            "05"
            "01"
            "01"
            "00"
            "06000000"
            "080d"
            "12026e6f");
  EXPECT_EQ(to_hex(as_bytes(encode_limits({256, 16 << 20, 60'000}))),
            "0880021080808008"
            "18e0d403");
}

TEST(Handshake, every_message_comes_back_as_it_was) {
  EXPECT_EQ(decoded(encode(some_hello()), decode_hello).value(), some_hello());
  const Challenge challenge{2, std::string(kNonceBytes, 'c')};
  EXPECT_EQ(decoded(encode(challenge), decode_challenge).value(), challenge);
  const Proof proof{std::string(kMacBytes, 'p')};
  EXPECT_EQ(decoded(encode(proof, 2), decode_proof).value(), proof);
  Welcome welcome{{7, kBodyBytesMax, 9}, "", std::string(kMacBytes, 'w')};
  welcome.limits_bytes = encode_limits(welcome.limits);
  EXPECT_EQ(decoded(encode(welcome, 2), decode_welcome).value(), welcome);
  const Refused refused{{1, 9}, EACCES, "no"};
  EXPECT_EQ(decoded(encode(refused), decode_refused).value(), refused);
}

TEST(Handshake, headers_that_are_not_ours_are_refused) {
  const std::string good = encode(some_hello()).substr(0, kHandshakeHeaderBytes);
  const auto with = [&](size_t at, std::string_view bytes) {
    std::string changed = good;
    return changed.replace(at, bytes.size(), bytes);
  };
  struct Row {
    const char* what;
    std::string bytes;
  };
  for (const Row& row : {
           Row{"another protocol", "GET / HTTP/1.1\r\n"},
           Row{"too short", good.substr(1)},
           Row{"type 0", with(8, std::string(1, '\0'))},
           Row{"type 6", with(8, "\x06")},
           Row{"versions the wrong way round", with(9, "\x04")},
           Row{"reserved", with(11, "\x01")},
           Row{"4 KiB and one byte", with(12, std::string("\x01\x10\x00\x00", 4))},
           Row{"4 GiB", with(12, "\xff\xff\xff\xff")},
       }) {
    EXPECT_EQ(decode_handshake_header(as_bytes(row.bytes)).code(), EPROTO) << row.what;
  }
}

TEST(Handshake, fields_out_of_range_are_refused) {
  const auto refused = [](const Hello& hello) {
    return decoded(encode(hello), decode_hello).code() == EPROTO;
  };
  Hello hello = some_hello();
  hello.volume = "";
  EXPECT_TRUE(refused(hello));
  hello.volume = std::string(kVolumeNameBytesMax + 1, 'v');
  EXPECT_TRUE(refused(hello));
  hello.volume = "line\nbreak";
  EXPECT_TRUE(refused(hello));
  hello = some_hello();
  hello.nonce = "short";
  EXPECT_TRUE(refused(hello));
  hello = some_hello();
  hello.description = "\x1b[2J";
  EXPECT_TRUE(refused(hello));
  hello.description = std::string(kDescriptionBytesMax + 1, 'd');
  EXPECT_TRUE(refused(hello));
  EXPECT_EQ(decoded(encode(Proof{"short"}, 1), decode_proof).code(), EPROTO);
  EXPECT_EQ(decoded(encode(Proof{std::string(kMacBytes, 'p')}, 1), decode_hello).code(), EPROTO);
  EXPECT_EQ(decoded(encode(Refused{{1, 1}, 0, ""}), decode_refused).code(), EPROTO);
  EXPECT_EQ(decoded(encode(Refused{{1, 1}, 512, ""}), decode_refused).code(), EPROTO);
  Welcome welcome{{0, kBodyBytesMax, 9}, "", std::string(kMacBytes, 'w')};
  for (const RequestLimits& limits :
       {RequestLimits{0, kBodyBytesMax, 1}, RequestLimits{1, kBodyBytesMax - 1, 1},
        RequestLimits{1, kBodyBytesMax, 0}}) {
    welcome.limits_bytes = encode_limits(limits);
    EXPECT_EQ(decoded(encode(welcome, 1), decode_welcome).code(), EPROTO);
  }
}

class HandshakeTest : public ::testing::Test {
 protected:
  struct Ends {
    Result<Agreed> client;
    Result<Accepted> server;
  };
  static ClientCredentials credentials(const std::string& token = std::string(kTestToken)) {
    return {"data", token, "test"};
  }
  Ends shake(const ClientCredentials& who, VersionRange ours, VersionRange theirs,
             const Authenticate& authenticate) {
    auto listener = rig_.net.listen(rig_.scratch.unix_address()).value();
    auto left = rig_.net.connect(listener->address(), 5s).value();
    auto right = listener->accept().value();
    Ends ends{Error(EIO), Error(EIO)};
    Thread server("server", [&] {
      ends.server = server_handshake(*right, {}, theirs, {}, authenticate, "", rig_.random);
      right->shutdown();
    });
    ends.client = client_handshake(*left, who, ours, 7, "", rig_.random);
    left->shutdown();
    server.join();
    return ends;
  }
  static Authenticate gives(std::string token) {
    return [token](const Applicant&) -> Result<std::string> { return token; };
  }
  Rig rig_;
};

TEST_F(HandshakeTest, both_sides_agree) {
  const Ends ends = shake(credentials(), {1, 5}, {3, 9}, gives(std::string(kTestToken)));
  EXPECT_EQ(ends.client.value().version, 5);
  EXPECT_EQ(ends.client.value().limits, RequestLimits{});
  EXPECT_EQ(ends.server.value().version, 5);
  EXPECT_EQ(ends.server.value().notifications_max, 7u);
  EXPECT_EQ(ends.server.value().applicant.volume, "data");
  EXPECT_EQ(ends.server.value().applicant.description, "test");
}

TEST_F(HandshakeTest, no_common_version_is_said_in_either_direction) {
  for (const auto& [ours, theirs] :
       {std::pair{VersionRange{1, 2}, VersionRange{3, 4}}, {VersionRange{3, 4}, {1, 2}}}) {
    const Ends ends = shake(credentials(), ours, theirs, gives(std::string(kTestToken)));
    EXPECT_EQ(ends.client.code(), EPROTONOSUPPORT);
    EXPECT_NE(
        ends.client.error().text().find(fmt::format("versions {} to {}, this program {} to {}",
                                                    theirs.min, theirs.max, ours.min, ours.max)),
        std::string::npos);
    EXPECT_EQ(ends.server.code(), EPROTONOSUPPORT);
  }
}

TEST_F(HandshakeTest, a_server_that_does_not_know_the_token_is_refused_by_the_client) {
  auto listener = rig_.net.listen(rig_.scratch.unix_address()).value();
  auto left = rig_.net.connect(listener->address(), 5s).value();
  auto right = listener->accept().value();
  Thread impostor("impostor", [&] {
    std::string bytes(
        encode(Hello{{1, 1}, "data", std::string(kNonceBytes, 'x'), "test", 7}).size(), '\0');
    right->read_all(as_mutable_bytes(bytes), 5s).value();
    right->write_all(as_bytes(encode(Challenge{1, std::string(kNonceBytes, 'c')})), 5s).value();
    bytes.resize(encode(Proof{std::string(kMacBytes, 'p')}, 1).size());
    right->read_all(as_mutable_bytes(bytes), 5s).value();
    Welcome welcome{{}, encode_limits({}), std::string(kMacBytes, 'w')};
    right->write_all(as_bytes(encode(welcome, 1)), 5s).value();
  });
  const auto agreed = client_handshake(*left, credentials(), {1, 1}, 7, "", rig_.random);
  EXPECT_EQ(agreed.code(), EPROTO);
  EXPECT_NE(agreed.error().text().find("does not know the token"), std::string::npos);
}

TEST_F(HandshakeTest, a_server_that_chooses_a_version_not_offered_is_refused) {
  auto listener = rig_.net.listen(rig_.scratch.unix_address()).value();
  auto left = rig_.net.connect(listener->address(), 5s).value();
  auto right = listener->accept().value();
  right->write_all(as_bytes(encode(Challenge{2, std::string(kNonceBytes, 'c')})), 5s).value();
  EXPECT_EQ(client_handshake(*left, credentials(), {1, 1}, 7, "", rig_.random).code(), EPROTO);
}

TEST_F(HandshakeTest, tokens_too_short_to_be_safe_are_not_used_by_either_side) {
  const Ends client = shake(credentials("short"), {1, 1}, {1, 1}, gives("short"));
  EXPECT_EQ(client.client.code(), EINVAL);
  const Ends server = shake(credentials(), {1, 1}, {1, 1}, gives("short"));
  EXPECT_EQ(server.client.code(), EACCES);
  EXPECT_EQ(server.server.code(), EINVAL);
}

TEST_F(HandshakeTest, a_server_that_cannot_tell_now_says_so) {
  const Ends ends = shake(
      credentials(), {1, 1}, {1, 1},
      [](const Applicant&) -> Result<std::string> { return error(EAGAIN, "database is away"); });
  EXPECT_EQ(ends.client.code(), EAGAIN);
  EXPECT_EQ(ends.client.error().text().find("database"), std::string::npos);
  EXPECT_EQ(ends.server.error().text(), "database is away");
}

}  // namespace
}  // namespace shoal::rpc
