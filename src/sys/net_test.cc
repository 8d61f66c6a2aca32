#include "sys/net.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <optional>

#include "sys/local_fs.h"
#include "sys/thread.h"
#include "sys/unique_fd.h"

namespace shoal {
namespace {

using namespace std::chrono_literals;

class NetTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/shoal-net-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern), nullptr);
    folder_ = pattern;
  }
  void TearDown() override {
    RealFs fs;
    remove_tree(fs, folder_).value();
  }
  NetAddress unix_address() const { return NetAddress::parse("unix:" + folder_ + "/s").value(); }
  static NetAddress any_port() { return NetAddress::parse("tcp:127.0.0.1:0").value(); }

  struct Pair {
    std::unique_ptr<Listener> listener;
    std::unique_ptr<Connection> client;
    std::unique_ptr<Connection> server;
  };
  Pair connect(const NetAddress& address) {
    Pair pair;
    pair.listener = net_.listen(address).value();
    pair.client = net_.connect(pair.listener->address(), 5s).value();
    pair.server = pair.listener->accept().value();
    return pair;
  }
  std::string read(Connection& from, size_t length) {
    std::string text(length, '\0');
    from.read_all(as_mutable_bytes(text), 5s).value();
    return text;
  }

  RealNet net_;
  Path folder_;
};

TEST(NetAddress, text_and_back) {
  for (const char* text :
       {"unix:/run/s", "unix:relative", "tcp:localhost:80", "tcp:[::1]:65535", "tcp::0"}) {
    EXPECT_EQ(NetAddress::parse(text).value().to_string(), text);
  }
}

TEST(NetAddress, nonsense_is_refused) {
  for (const char* text : {"", "unix:", "tcp:", "tcp:host", "tcp:host:", "tcp:host:65536",
                           "tcp:host:-1", "tcp:host:80x", "tcp:::1:80", "http://x", "/run/s"}) {
    EXPECT_EQ(NetAddress::parse(text).code(), EINVAL) << text;
  }
}

TEST_F(NetTest, bytes_go_both_ways_over_unix_and_tcp) {
  for (const NetAddress& address : {unix_address(), any_port()}) {
    Pair pair = connect(address);
    pair.client->write_all(as_bytes("question"), 5s).value();
    EXPECT_EQ(read(*pair.server, 8), "question");
    pair.server->write_all(as_bytes("answer"), 5s).value();
    EXPECT_EQ(read(*pair.client, 6), "answer");
  }
}

TEST_F(NetTest, a_listener_on_port_0_says_which_port_it_got) {
  EXPECT_NE(net_.listen(any_port()).value()->address().port, 0);
}

TEST_F(NetTest, the_own_address_towards_another_is_told_without_asking_it) {
  const auto towards = [this](const char* text) {
    return net_.local_host_towards(NetAddress::parse(text).value());
  };
  EXPECT_EQ(towards("tcp:127.0.0.1:9").value(), "127.0.0.1");
  EXPECT_EQ(towards("tcp:127.1.2.3:9").value(), "127.0.0.1");
  EXPECT_EQ(towards("unix:/run/x.sock").code(), EINVAL);
}

TEST_F(NetTest, a_unix_peer_is_known_by_uid_and_pid_a_tcp_peer_is_not) {
  Pair local = connect(unix_address());
  EXPECT_EQ(local.server->peer().uid, static_cast<int64_t>(::getuid()));
  EXPECT_EQ(local.server->peer().pid, static_cast<int64_t>(::getpid()));
  EXPECT_EQ(local.client->peer().pid, static_cast<int64_t>(::getpid()));
  Pair remote = connect(any_port());
  EXPECT_EQ(remote.server->peer().uid, -1);
}

TEST_F(NetTest, a_large_write_arrives_whole) {
  for (const NetAddress& address : {unix_address(), any_port()}) {
    Pair pair = connect(address);
    std::string sent(8 << 20, '\0');
    for (size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<char>(i * 31 + (i >> 12));
    Thread writer("writer", [&] { pair.client->write_all(as_bytes(sent), 30s).value(); });
    EXPECT_EQ(read(*pair.server, sent.size()), sent);
  }
}

TEST_F(NetTest, the_end_of_the_stream_reads_as_0_and_an_early_end_is_an_error) {
  Pair pair = connect(unix_address());
  pair.client->write_all(as_bytes("ab"), 5s).value();
  pair.client.reset();
  std::string text(3, '\0');
  EXPECT_EQ(pair.server->read_all(as_mutable_bytes(text), 5s).code(), ECONNRESET);
  EXPECT_EQ(pair.server->read(as_mutable_bytes(text), 5s).value(), 0u);
}

TEST_F(NetTest, a_write_to_a_peer_that_left_is_an_error_and_no_signal) {
  Pair pair = connect(unix_address());
  pair.client.reset();
  EXPECT_EQ(pair.server->write_all(as_bytes("x"), 5s).code(), EPIPE);
}

TEST_F(NetTest, waiting_ends_at_the_timeout) {
  Pair pair = connect(unix_address());
  std::string text(1 << 20, 'x');
  EXPECT_EQ(pair.server->read(as_mutable_bytes(text), 1ms).code(), ETIMEDOUT);
  EXPECT_EQ(pair.server->read_all(as_mutable_bytes(text), 1ms).code(), ETIMEDOUT);
  Status full;
  for (int i = 0; i < 64 && full.ok(); ++i) full = pair.client->write_all(as_bytes(text), 1ms);
  EXPECT_EQ(full.code(), ETIMEDOUT);
}

TEST_F(NetTest, write_some_takes_what_goes_without_waiting) {
  for (const NetAddress& address : {unix_address(), any_port()}) {
    Pair pair = connect(address);
    const std::string much(64 << 20, 'x');  // more than any socket buffer
    size_t written = pair.client->write_some(as_bytes(much)).value();
    EXPECT_GT(written, 0u);
    ASSERT_LT(written, much.size());
    EXPECT_EQ(read(*pair.server, written), much.substr(0, written));
    pair.server.reset();
    Result<size_t> gone = size_t{0};
    for (int i = 0; i < 64 && gone.ok(); ++i) gone = pair.client->write_some(as_bytes(much));
    EXPECT_TRUE(gone.code() == EPIPE || gone.code() == ECONNRESET) << gone.code();
  }
}

TEST_F(NetTest, shutdown_wakes_a_blocked_reader_and_a_blocked_writer) {
  Pair pair = connect(unix_address());
  const std::string much(16 << 20, 'x');
  int written = 0;
  size_t n = 1;
  {
    Thread writer("writer", [&] { written = pair.client->write_all(as_bytes(much), 0ms).code(); });
    Thread reader("reader", [&] {
      std::string text(1, '\0');
      n = pair.client->read(as_mutable_bytes(text), 0ms).value();
    });
    std::string first(1, '\0');  // the writer is at work
    pair.server->read_all(as_mutable_bytes(first), 5s).value();
    pair.client->shutdown();
  }
  EXPECT_EQ(written, EPIPE);
  EXPECT_EQ(n, 0u);
}

TEST_F(NetTest, close_wakes_accept_and_refuses_newcomers) {
  for (const NetAddress& address : {unix_address(), any_port()}) {
    auto listener = net_.listen(address).value();
    int code = 0;
    {
      Thread acceptor("acceptor", [&] { code = listener->accept().code(); });
      listener->close();
    }
    EXPECT_EQ(code, ECANCELED);
    EXPECT_EQ(listener->accept().code(), ECANCELED);
    const int refused = net_.connect(listener->address(), 5s).code();
    EXPECT_TRUE(refused == ECONNREFUSED || refused == ENOENT) << refused;
  }
}

TEST_F(NetTest, nobody_there_is_an_error_that_says_where) {
  const auto nobody = net_.connect(unix_address(), 5s);
  EXPECT_EQ(nobody.code(), ENOENT);
  EXPECT_NE(nobody.error().message().find(folder_), std::string::npos);
}

TEST_F(NetTest, a_unix_socket_is_for_its_owner_only) {
  auto listener = net_.listen(unix_address()).value();
  struct stat st {};
  ASSERT_EQ(::stat(unix_address().path_or_host.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600u);
}

TEST_F(NetTest, a_socket_file_left_by_a_dead_process_is_replaced) {
  sockaddr_un raw{};
  raw.sun_family = AF_UNIX;
  const Path path = unix_address().path_or_host;
  std::memcpy(raw.sun_path, path.data(), path.size());
  {
    const sys_internal::UniqueFd dead(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::bind(dead.get(), reinterpret_cast<sockaddr*>(&raw), sizeof raw), 0);
    ASSERT_EQ(::listen(dead.get(), 1), 0);
  }
  connect(unix_address());
}

TEST_F(NetTest, a_socket_that_answers_is_left_alone) {
  Pair pair = connect(unix_address());
  const auto second = net_.listen(unix_address());
  EXPECT_EQ(second.code(), EADDRINUSE);
  EXPECT_NE(second.error().message().find("live process"), std::string::npos);
  EXPECT_TRUE(net_.connect(unix_address(), 5s).ok());
}

TEST_F(NetTest, a_file_that_is_no_socket_is_never_removed) {
  RealFs fs;
  const Path path = unix_address().path_or_host;
  write_file_atomically(fs, path, as_bytes("precious")).value();
  EXPECT_EQ(net_.listen(unix_address()).code(), EADDRINUSE);
  EXPECT_EQ(read_file(fs, path, 100).value(), "precious");
}

TEST_F(NetTest, closing_removes_the_socket_file_but_not_a_successors) {
  RealFs fs;
  const Path path = unix_address().path_or_host;
  auto first = net_.listen(unix_address()).value();
  first->close();
  EXPECT_FALSE(exists(fs, path).value());

  first = net_.listen(unix_address()).value();
  fs.rename(path, path + ".old").value();
  auto second = net_.listen(unix_address()).value();
  first.reset();
  EXPECT_TRUE(net_.connect(unix_address(), 5s).ok());
}

TEST_F(NetTest, a_port_in_use_is_an_error) {
  auto listener = net_.listen(any_port()).value();
  EXPECT_EQ(net_.listen(listener->address()).code(), EADDRINUSE);
}

TEST_F(NetTest, a_path_too_long_for_a_socket_is_an_error) {
  const NetAddress address = NetAddress::parse("unix:/tmp/" + std::string(200, 'x')).value();
  EXPECT_EQ(net_.listen(address).code(), ENAMETOOLONG);
  EXPECT_EQ(net_.connect(address, 1s).code(), ENAMETOOLONG);
}

}  // namespace
}  // namespace shoal
