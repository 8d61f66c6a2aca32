#include "engine/postgres/testing/cutting_proxy.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "base/check.h"

namespace shoal::engine::postgres {
namespace {

constexpr int kPollMs = 20;  // until a thread notices that the proxy closes

sockaddr_un address_of(const std::string& folder) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = folder + "/.s.PGSQL.5432";
  CHECK(path.size() < sizeof address.sun_path);
  path.copy(address.sun_path, path.size());
  return address;
}

bool send_all(int to, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(to, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

// The reply ends with ReadyForQuery, outside of a transaction.
bool ends_a_request(std::string_view bytes) {
  return bytes.ends_with(std::string_view("Z\0\0\0\5I", 6));
}

}  // namespace

CuttingProxy::CuttingProxy(const TestServer& server) : server_(server) {
  std::string name = testing::TempDir() + "shoal-px.XXXXXX";
  CHECK(::mkdtemp(name.data()) != nullptr);
  folder_ = name;
  listening_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_un address = address_of(folder_);
  CHECK(::bind(listening_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  CHECK(::listen(listening_, 64) == 0);
  accepting_ = Thread("proxy", [this] { accept_all(); });
}

CuttingProxy::~CuttingProxy() { close(); }

std::string CuttingProxy::url(std::string_view prefix, std::string_view more) const {
  return fmt::format("postgres://shoal@/shoal?host={}&prefix={}{}", folder_, prefix, more);
}

void CuttingProxy::close() {
  if (closing_.exchange(true)) return;
  accepting_.join();
  std::vector<Thread> threads;
  {
    MutexLock lock(mutex_);
    threads.swap(threads_);
  }
  threads.clear();
  ::close(listening_);
  std::filesystem::remove_all(folder_);
}

void CuttingProxy::accept_all() {
  while (!closing_) {
    pollfd at{listening_, POLLIN, 0};
    if (::poll(&at, 1, kPollMs) <= 0) continue;
    const int client = ::accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) continue;
    MutexLock lock(mutex_);
    threads_.emplace_back("proxied", [this, client] { serve(client); });
  }
}

void CuttingProxy::serve(int client) {
  const int server = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_un address = address_of(server_.socket_folder());
  Cut current = Cut::kNothing;
  bool open = ::connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  while (open && !closing_) {
    pollfd at[] = {{client, POLLIN, 0}, {server, POLLIN, 0}};
    if (::poll(at, 2, kPollMs) <= 0) continue;
    if (at[0].revents != 0) open = from_client(client, server, current);
    if (open && at[1].revents != 0) open = from_server(client, server, current);
  }
  ::close(server);
  ::close(client);
}

bool CuttingProxy::from_client(int client, int server, Cut& current) {
  char bytes[16384];
  const ssize_t got = ::recv(client, bytes, sizeof bytes, 0);
  if (got <= 0) return false;
  const Cut wanted = cut_.exchange(Cut::kNothing);
  if (wanted == Cut::kRequest) return false;
  if (wanted != Cut::kNothing) current = wanted;
  return send_all(server, {bytes, static_cast<size_t>(got)});
}

bool CuttingProxy::from_server(int client, int server, Cut& current) {
  char bytes[16384];
  const ssize_t got = ::recv(server, bytes, sizeof bytes, 0);
  if (got <= 0) return false;
  const std::string_view reply(bytes, static_cast<size_t>(got));
  if (current == Cut::kReply && ends_a_request(reply)) return false;
  if (current == Cut::kSilence) return true;
  if (ends_a_request(reply)) ++answered_;
  return send_all(client, reply);
}

}  // namespace shoal::engine::postgres
