#include "object/s3/testing/http_server.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "base/check.h"

namespace shoal::object {
namespace {

constexpr std::chrono::milliseconds kForever{60'000};

// Reads a head and the body it announces; false at the end of the stream.
bool read_request(Connection& connection, std::string& buffer, TestRequest& request) {
  std::array<std::byte, 64 << 10> chunk;
  const auto more = [&] {
    const Result<size_t> bytes = connection.read(chunk, kForever);
    if (!bytes.ok() || *bytes == 0) return false;
    buffer += as_text(ByteView(chunk).first(*bytes));
    return true;
  };
  size_t end = 0;
  while ((end = buffer.find("\r\n\r\n")) == std::string::npos) {
    if (!more()) return false;
  }
  const std::string head = buffer.substr(0, end + 2);
  buffer.erase(0, end + 4);
  const size_t line_end = head.find("\r\n"), first = head.find(' '),
               second = head.find(' ', first + 1);
  request.method = head.substr(0, first);
  const std::string target = head.substr(first + 1, second - first - 1);
  request.path = target.substr(0, target.find('?'));
  request.query = target.find('?') == std::string::npos ? "" : target.substr(target.find('?') + 1);
  for (size_t at = line_end + 2; at < head.size();) {
    const size_t next = head.find("\r\n", at), colon = head.find(':', at);
    std::string name = head.substr(at, colon - at);
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    size_t value = colon + 1;
    while (value < next && head[value] == ' ') ++value;
    request.headers[name] = head.substr(value, next - value);
    at = next + 2;
  }
  const std::string length = request.header("content-length");
  const size_t bytes = length.empty() ? 0 : std::stoul(length);
  while (buffer.size() < bytes) {
    if (!more()) return false;
  }
  request.body = buffer.substr(0, bytes);
  buffer.erase(0, bytes);
  return true;
}

}  // namespace

TestHttpServer::TestHttpServer(Handler handler) : handler_(std::move(handler)) {
  listener_ = net_.listen(NetAddress::parse("tcp:127.0.0.1:0").value()).value();
  acceptor_ = Thread("test-http", [this] { accept_all(); });
}

TestHttpServer::~TestHttpServer() {
  listener_->close();
  acceptor_.join();
  std::vector<Thread> workers;
  {
    MutexLock lock(mutex_);
    for (const auto& connection : connections_) connection->shutdown();
    workers.swap(workers_);
  }
  for (Thread& worker : workers) worker.join();
}

std::string TestHttpServer::url() const {
  return fmt::format("http://127.0.0.1:{}", listener_->address().port);
}

void TestHttpServer::accept_all() {
  while (true) {
    Result<std::unique_ptr<Connection>> accepted = listener_->accept();
    if (!accepted.ok()) return;
    MutexLock lock(mutex_);
    Connection* connection = connections_.emplace_back(std::move(*accepted)).get();
    workers_.emplace_back("test-http-conn", [this, connection] { serve(*connection); });
  }
}

TestRequest TestHttpServer::last() {
  MutexLock lock(mutex_);
  return last_;
}

void TestHttpServer::serve(Connection& connection) {
  std::string buffer;
  while (true) {
    TestRequest request;
    if (!read_request(connection, buffer, request)) break;
    const TestReply answer = handler_(request);
    {
      MutexLock lock(mutex_);
      last_ = request;
    }
    if (!reply(connection, request, answer)) break;
  }
  connection.shutdown();
}

bool TestHttpServer::reply(Connection& connection, const TestRequest& request,
                           const TestReply& reply) {
  const auto wait_for_hang_up = [&] {
    std::array<std::byte, 1024> ignored;
    while (true) {
      const Result<size_t> bytes = connection.read(ignored, kForever);
      if (!bytes.ok() || *bytes == 0) return false;
    }
  };
  if (reply.trick == Trick::kHangUp) return false;
  if (reply.trick == Trick::kSilence) return wait_for_hang_up();
  if (reply.trick == Trick::kNonsense) {
    connection.write_all(as_bytes("220 smtp.example.org ESMTP\r\n\r\n"), kForever)
        .ignore("the client may be gone");
    return false;
  }
  std::string head = fmt::format("HTTP/1.1 {} Status\r\n", reply.status);
  bool has_length = reply.status == 204;
  for (const auto& [name, value] : reply.headers) {
    has_length = has_length || name == "content-length";
    head += name + ": " + value + "\r\n";
  }
  if (!has_length) head += fmt::format("content-length: {}\r\n", reply.body.size());
  head += "\r\n";
  std::string body = request.method == "HEAD" ? "" : reply.body;
  const bool halves = reply.trick == Trick::kShort || reply.trick == Trick::kStall;
  if (halves) body.resize(body.size() / 2);
  if (!connection.write_all(as_bytes(head + body), kForever).ok()) return false;
  if (reply.trick == Trick::kStall) return wait_for_hang_up();
  return !halves;
}

}  // namespace shoal::object
