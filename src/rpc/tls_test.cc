#include "rpc/tls.h"

#include <gtest/gtest.h>

#include "rpc/rpc_test_util.h"
#include "rpc/tls_test_util.h"
#include "sys/thread.h"

namespace shoal::rpc {
namespace {

using ClientCertificate = TlsServerFiles::ClientCertificate;

class TlsTest : public ::testing::Test {
 protected:
  TlsTest() {
    ca_.sign(path("server"), {.name = "the server"});
    ca_.sign(path("expired"), {.name = "old", .valid_from_s = -7200, .valid_until_s = -3600});
    ca_.sign(path("other"), {.name = "other", .alternatives = "DNS:other.example"});
    ca_.sign(path("node"), {.name = "node-7"});
    stranger_.sign(path("stranger"), {.name = "stranger"});
  }
  std::string path(const char* name) const { return rig_.scratch.path(name); }

  std::shared_ptr<const TlsContext> server(const char* certificate, std::string client_ca = "",
                                           ClientCertificate mode = ClientCertificate::kRequired) {
    return TlsContext::for_server(
               {path(certificate) + ".pem", path(certificate) + ".key", std::move(client_ca), mode})
        .value();
  }
  std::shared_ptr<const TlsContext> client(const std::string& ca,
                                           const char* certificate = nullptr) {
    TlsClientFiles files{.ca_file = ca};
    if (certificate != nullptr) {
      files.certificate_file = path(certificate) + ".pem";
      files.key_file = path(certificate) + ".key";
    }
    return TlsContext::for_client(files).value();
  }

  // Connects, shakes hands and makes one call; its error, or the server's view of us.
  Status attempt(std::shared_ptr<const TlsContext> server_side,
                 std::shared_ptr<const TlsContext> client_side,
                 const std::string& name = "localhost") {
    TestServer server(rig_.real(), any_port(), {.tls = std::move(server_side)});
    ChannelOptions options = Rig::options();
    options.tls = std::move(client_side);
    options.tls_server_name = name;
    auto channel = Channel::connect(rig_.real(), server.address(), options);
    if (!channel.ok()) return channel.error();
    EXPECT_EQ((*channel)->call(kEcho, "over TLS", {}).result.value(), "over TLS");
    certificate_ = server.peer()->info().who.certificate;
    return {};
  }

  Rig rig_;
  TestCa ca_{path("ca"), "our CA"};
  TestCa stranger_{path("stranger-ca"), "their CA"};
  std::string certificate_;
};

TEST_F(TlsTest, a_server_with_the_right_certificate_is_believed_by_name_and_by_address) {
  EXPECT_TRUE(attempt(server("server"), client(ca_.ca_file)).ok());
  EXPECT_TRUE(attempt(server("server"), client(ca_.ca_file), "127.0.0.1").ok());
  EXPECT_TRUE(attempt(server("server"), client(ca_.ca_file), "").ok());  // the address's host
  EXPECT_EQ(certificate_, "");
}

TEST_F(TlsTest, wrong_certificates_of_servers_are_refused_in_one_sentence) {
  struct Row {
    const char* certificate;
    std::string ca;
    const char* name;
    const char* says;
  };
  for (const Row& row : {
           Row{"server", stranger_.ca_file, "localhost", "unable to get local issuer certificate"},
           Row{"expired", ca_.ca_file, "localhost", "certificate has expired"},
           Row{"other", ca_.ca_file, "localhost", "hostname mismatch"},
           Row{"other", ca_.ca_file, "127.0.0.1", "IP address mismatch"},
       }) {
    const Status status = attempt(server(row.certificate), client(row.ca), row.name);
    EXPECT_EQ(status.code(), EACCES) << row.says;
    EXPECT_NE(status.error().text().find(row.says), std::string::npos) << status.error().text();
    EXPECT_NE(status.error().text().find("check it and the CA file"), std::string::npos);
  }
}

TEST_F(TlsTest, client_certificates_are_asked_for_checked_and_told_to_the_server) {
  EXPECT_TRUE(attempt(server("server", ca_.ca_file), client(ca_.ca_file, "node")).ok());
  EXPECT_EQ(certificate_, "CN=node-7");
  const auto optional = server("server", ca_.ca_file, ClientCertificate::kOptional);
  EXPECT_TRUE(attempt(optional, client(ca_.ca_file, "node")).ok());
  EXPECT_EQ(certificate_, "CN=node-7");
  EXPECT_TRUE(attempt(optional, client(ca_.ca_file)).ok());
  EXPECT_EQ(certificate_, "");
}

TEST_F(TlsTest, clients_without_a_right_certificate_get_nothing) {
  for (const char* shown : {static_cast<const char*>(nullptr), "stranger", "expired"}) {
    const Status status = attempt(server("server", ca_.ca_file), client(ca_.ca_file, shown));
    // The refusal may overtake our proof or the reset may overtake the refusal.
    EXPECT_TRUE(status.code() == EACCES || status.code() == ECONNRESET || status.code() == EPIPE)
        << status.error().to_string();
  }
  const auto optional = server("server", ca_.ca_file, ClientCertificate::kOptional);
  EXPECT_FALSE(attempt(optional, client(ca_.ca_file, "stranger")).ok());
}

TEST_F(TlsTest, plain_and_secure_do_not_understand_each_other) {
  TestServer secure(rig_.real(), any_port(), {.tls = server("server")});
  EXPECT_FALSE(Channel::connect(rig_.real(), secure.address(), Rig::options()).ok());
  TestServer plain(rig_.real(), any_port());
  ChannelOptions options = Rig::options();
  options.tls = client(ca_.ca_file);
  EXPECT_FALSE(Channel::connect(rig_.real(), plain.address(), options).ok());
}

TEST_F(TlsTest, files_that_are_missing_or_wrong_are_named) {
  const std::string pem = path("server") + ".pem";
  const std::string key = path("server") + ".key";
  const std::string none = path("none");
  const auto says = [](const auto& result, const std::string& name) {
    EXPECT_EQ(result.code(), EINVAL);
    EXPECT_NE(result.error().text().find(name), std::string::npos) << result.error().text();
  };
  says(TlsContext::for_server({none, key}), none);
  says(TlsContext::for_server({pem, none}), none);
  says(TlsContext::for_server({pem, ""}), pem);
  says(TlsContext::for_server({pem, path("node") + ".key"}), path("node") + ".key");
  says(TlsContext::for_server({pem, key, none}), none);
  says(TlsContext::for_client({none}), none);
  says(TlsContext::for_client({ca_.ca_file, none, key}), none);
  says(TlsContext::for_client({key}), key);
}

TEST_F(TlsTest, a_name_that_cannot_be_in_a_certificate_is_refused) {
  TestServer server(rig_.real(), rig_.scratch.unix_address(), {.tls = this->server("server")});
  ChannelOptions options = Rig::options();
  options.tls = client(ca_.ca_file);
  for (const std::string& name : {std::string(), std::string(300, 'x'), std::string("a\0b", 3)}) {
    options.tls_server_name = name;
    EXPECT_EQ(Channel::connect(rig_.real(), server.address(), options).code(), EINVAL);
  }
  options.tls_server_name = "localhost";
  EXPECT_TRUE(Channel::connect(rig_.real(), server.address(), options).ok());
}

// A man in the middle who has a certificate that the client believes cannot pass proofs on: they
// are bound to the session that they were made in.
TEST_F(TlsTest, proofs_do_not_pass_through_a_second_tls_session) {
  TestServer real(rig_.real(), any_port(), {.tls = server("server")});
  auto listener = rig_.net.listen(any_port()).value();
  Thread middle("middle", [&] {
    auto left = TlsConnection::server(listener->accept().value(), server("server"));
    if (!left->handshake().ok()) return;
    auto right = TlsConnection::client(rig_.net.connect(real.address(), 5s).value(),
                                       client(ca_.ca_file), "localhost")
                     .value();
    right->handshake().value();
    EXPECT_NE(left->binding(), right->binding());
    Thread back("back", [&] { pump(*right, *left); });
    pump(*left, *right);
  });
  ChannelOptions options = Rig::options();
  options.tls = client(ca_.ca_file);
  options.tls_server_name = "localhost";
  EXPECT_EQ(Channel::connect(rig_.real(), listener->address(), options).code(), EACCES);
}

TEST_F(TlsTest, much_goes_both_ways_at_once) {
  TestServer server(rig_.real(), any_port(), {.tls = this->server("server")});
  ChannelOptions options = Rig::options();
  options.tls = client(ca_.ca_file);
  auto channel = Channel::connect(rig_.real(), server.address(), options).value();
  const std::string much(kBodyBytesMax, 'x');
  Answers answers;
  for (int i = 0; i < 8; ++i) channel->start(kEcho, much, {}, answers.next());
  for (const Answer& answer : answers.take(8)) EXPECT_EQ(answer.result.value(), much);
}

}  // namespace
}  // namespace shoal::rpc
