// RealNet: stream sockets by poll(2). Sockets are non-blocking and close-on-exec; every wait has a
// deadline on the steady clock, so that a signal or a partial transfer does not start a timeout
// anew.
#include "sys/net.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstring>
#include <optional>
#include <utility>

#include "base/check.h"
#include "sys/local_fs.h"
#include "sys/unique_fd.h"

namespace shoal {

namespace {

using std::chrono::milliseconds;
using sys_internal::UniqueFd;
using Instant = std::chrono::steady_clock::time_point;
using Deadline = std::optional<Instant>;  // nullopt: never

constexpr int kBacklog = 1024;
constexpr size_t kUnixPathBytesMax = sizeof(sockaddr_un::sun_path) - 1;

Deadline deadline_after(milliseconds timeout) {
  if (timeout <= milliseconds::zero()) return std::nullopt;
  return std::chrono::steady_clock::now() +
         std::min<milliseconds>(timeout, std::chrono::hours(24 * 365));
}

Error failed(std::string_view what, const NetAddress& address, int code,
             const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  const char* description = strerrordesc_np(code);
  const char* advice = "";
  if (code == ECONNREFUSED) advice = "; nobody listens there, is the server running?";
  if (code == ENOENT) advice = "; is the server running?";
  if (code == EACCES || code == EPERM)
    advice = "; check the permissions and the user this process runs as";
  if (code == EMFILE) advice = "; raise this process's limit of open files (ulimit -n)";
  if (code == EADDRINUSE) advice = "; stop what listens there or choose another address";
  return Error(code,
               fmt::format("{} {}: {}{}", what, address.to_string(),
                           description != nullptr ? description : "unknown error", advice),
               file, line);
}

// Waits until `fd` has one of `events` (or an error, which the next call on it reports). False at
// the deadline.
bool wait_ready(int fd, short events, Deadline deadline) {
  for (;;) {
    pollfd entry{fd, events, 0};
    timespec left{};
    if (deadline) {
      const auto rest =
          std::max(*deadline - std::chrono::steady_clock::now(), Instant::duration::zero());
      const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(rest);
      left.tv_sec = seconds.count();
      left.tv_nsec = std::chrono::duration_cast<std::chrono::nanoseconds>(rest - seconds).count();
    }
    const int n = ::ppoll(&entry, 1, deadline ? &left : nullptr, nullptr);
    if (n != 0 && !(n < 0 && errno == EINTR)) return true;
    if (deadline && std::chrono::steady_clock::now() >= *deadline) return false;
  }
}

class SocketConnection final : public Connection {
 public:
  SocketConnection(UniqueFd fd, NetAddress address, PeerIdentity peer)
      : fd_(std::move(fd)), address_(std::move(address)), peer_(peer) {}

  Result<size_t> read(MutableBytes into, milliseconds timeout) override {
    CHECK(!into.empty());  // 0 bytes read would look like the end of the stream
    const Deadline deadline = deadline_after(timeout);
    for (;;) {
      const ssize_t n = ::recv(fd_.get(), into.data(), into.size(), MSG_DONTWAIT);
      if (n >= 0) return static_cast<size_t>(n);
      if (errno == EINTR) continue;
      if (errno != EAGAIN) return failed("read from", address_, errno);
      if (!wait_ready(fd_.get(), POLLIN, deadline)) return failed("read from", address_, ETIMEDOUT);
    }
  }

  Status write_all(ByteView bytes, milliseconds timeout) override {
    const Deadline deadline = deadline_after(timeout);
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (n >= 0) {
        bytes = bytes.subspan(static_cast<size_t>(n));
        continue;
      }
      if (errno == EINTR) continue;
      if (errno != EAGAIN) return failed("write to", address_, errno);
      if (!wait_ready(fd_.get(), POLLOUT, deadline)) return failed("write to", address_, ETIMEDOUT);
    }
    return {};
  }

  Result<size_t> write_some(ByteView bytes) override {
    size_t written = 0;
    while (written < bytes.size()) {
      const ByteView rest = bytes.subspan(written);
      const ssize_t n = ::send(fd_.get(), rest.data(), rest.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (n >= 0) {
        written += static_cast<size_t>(n);
      } else if (errno == EAGAIN) {
        break;
      } else if (errno != EINTR) {
        return failed("write to", address_, errno);
      }
    }
    return written;
  }

  void shutdown() override { ::shutdown(fd_.get(), SHUT_RDWR); }
  PeerIdentity peer() const override { return peer_; }

 private:
  const UniqueFd fd_;
  const NetAddress address_;
  const PeerIdentity peer_;
};

std::unique_ptr<Connection> make_connection(UniqueFd fd, const NetAddress& address) {
  PeerIdentity peer;
  const int on = 1;
  if (address.is_unix) {
    ucred credentials{};
    socklen_t length = sizeof credentials;
    if (::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0) {
      peer.uid = credentials.uid;
      peer.pid = credentials.pid;
    }
  } else {
    // Messages are whole when they are written; Nagle would only delay them. Neither option can
    // make a call wrong.
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ::setsockopt(fd.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  }
  return std::make_unique<SocketConnection>(std::move(fd), address, peer);
}

// close() may come from any thread while another one sits in accept(): it wakes that one by `wake_`
// and leaves the descriptors to the destructor, so that no number is reused under a running call.
class SocketListener final : public Listener {
 public:
  SocketListener(UniqueFd fd, UniqueFd wake, NetAddress address, struct stat file)
      : fd_(std::move(fd)), wake_(std::move(wake)), address_(std::move(address)), file_(file) {}
  ~SocketListener() override { close(); }

  Result<std::unique_ptr<Connection>> accept() override {
    for (;;) {
      if (closed_) return error(ECANCELED, "{} was closed", address_.to_string());
      pollfd entries[2] = {{fd_.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
      if (::poll(entries, 2, -1) < 0 && errno != EINTR) return failed("wait at", address_, errno);
      if (closed_) continue;
      UniqueFd fd(::accept4(fd_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (fd.valid()) return make_connection(std::move(fd), address_);
      if (closed_) continue;  // closed since we looked; errno is the shutdown's
      // Gone again, or the network's own trouble (accept(2) lists them): the next one may be fine.
      const bool transient = errno == EAGAIN || errno == EINTR || errno == ECONNABORTED ||
                             errno == EPROTO || errno == ENETDOWN || errno == EHOSTUNREACH ||
                             errno == ENETUNREACH;
      if (!transient) return failed("accept at", address_, errno);
    }
  }

  void close() override {
    if (closed_.exchange(true)) return;
    if (address_.is_unix) {
      struct stat now {};  // a successor may have replaced our file
      const bool ours = ::lstat(address_.path_or_host.c_str(), &now) == 0 &&
                        now.st_dev == file_.st_dev && now.st_ino == file_.st_ino;
      if (ours) ::unlink(address_.path_or_host.c_str());
    }
    ::shutdown(fd_.get(), SHUT_RDWR);  // refuses new connections
    const uint64_t one = 1;
    CHECK(::write(wake_.get(), &one, sizeof one) == sizeof one);
  }

  NetAddress address() const override { return address_; }

 private:
  const UniqueFd fd_;
  const UniqueFd wake_;
  const NetAddress address_;
  const struct stat file_;
  std::atomic<bool> closed_ = false;
};

Result<std::unique_ptr<Listener>> make_listener(UniqueFd fd, NetAddress address, struct stat file) {
  UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) return failed("listen at", address, errno);
  return std::unique_ptr<Listener>(
      std::make_unique<SocketListener>(std::move(fd), std::move(wake), std::move(address), file));
}

// --- Unix ---

Result<sockaddr_un> unix_address(const NetAddress& address) {
  const std::string& path = address.path_or_host;
  if (path.size() > kUnixPathBytesMax) {
    return error(ENAMETOOLONG,
                 "{}: a Unix socket's path has at most {} bytes; choose a shorter folder",
                 address.to_string(), kUnixPathBytesMax);
  }
  sockaddr_un raw{};
  raw.sun_family = AF_UNIX;
  std::memcpy(raw.sun_path, path.data(), path.size());
  return raw;
}

// A blocking socket with SO_SNDTIMEO, because a non-blocking connect to a full backlog fails with
// EAGAIN and gives nothing to poll for. `timeout` 0: none.
Result<UniqueFd> connect_unix(const NetAddress& address, milliseconds timeout) {
  TRY_ASSIGN(const sockaddr_un raw, unix_address(address));
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return failed("connect to", address, errno);
  const timeval limit{timeout.count() / 1000, (timeout.count() % 1000) * 1000};
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) < 0) {
    return failed("connect to", address, errno);
  }
  while (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&raw), sizeof raw) < 0) {
    if (errno != EINTR) return failed("connect to", address, errno == EAGAIN ? ETIMEDOUT : errno);
  }
  return fd;
}

// Removes the socket file of a dead process. REQUIRES the folder's lock.
Status replace_stale_socket(const NetAddress& address) {
  const char* path = address.path_or_host.c_str();
  struct stat st {};
  if (::lstat(path, &st) < 0)
    return errno == ENOENT ? Status() : failed("listen at", address, errno);
  if (!S_ISSOCK(st.st_mode)) {
    return error(EADDRINUSE, "{} exists and is not a socket; move it away or choose another path",
                 address.path_or_host);
  }
  constexpr milliseconds kAnswerWait{1000};  // one whose backlog is full for so long is alive too
  const auto answer = connect_unix(address, kAnswerWait);
  if (answer.code() == ECONNREFUSED || answer.code() == ENOENT) {
    if (::unlink(path) < 0 && errno != ENOENT)
      return failed("remove the stale socket", address, errno);
    return {};
  }
  if (answer.ok() || answer.code() == ETIMEDOUT) {
    return error(EADDRINUSE, "a live process answers at {}; stop it first", address.to_string());
  }
  return answer.error();
}

Result<std::unique_ptr<Listener>> listen_unix(const NetAddress& address) {
  TRY_ASSIGN(const sockaddr_un raw, unix_address(address));
  // Two processes that both found the file stale would each remove the other's new one: the
  // folder's flock lets one at a time look, bind and listen (a bound socket answers only once it
  // listens).
  const UniqueFd folder(
      ::open(parent_of(address.path_or_host).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.valid()) return failed("open the folder of", address, errno);
  while (::flock(folder.get(), LOCK_EX) < 0) {
    if (errno != EINTR) return failed("lock the folder of", address, errno);
  }
  TRY(replace_stale_socket(address));

  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return failed("listen at", address, errno);
  // Linux gives the file the mode of the unbound socket: there is no moment when others could
  // connect.
  if (::fchmod(fd.get(), 0600) < 0) return failed("listen at", address, errno);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&raw), sizeof raw) < 0) {
    return failed("listen at", address, errno);
  }
  struct stat file {};
  if (::lstat(address.path_or_host.c_str(), &file) < 0 || ::listen(fd.get(), kBacklog) < 0) {
    return failed("listen at", address, errno);
  }
  return make_listener(std::move(fd), address, file);
}

// --- TCP ---

using Addresses = std::unique_ptr<addrinfo, void (*)(addrinfo*)>;

// The resolver has its own timeouts (resolv.conf); ours begin when it has answered.
Result<Addresses> resolve(const NetAddress& address, int flags) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const char* host = address.path_or_host.empty() ? nullptr : address.path_or_host.c_str();
  const int code = ::getaddrinfo(host, std::to_string(address.port).c_str(), &hints, &found);
  if (code == EAI_SYSTEM) return failed("resolve", address, errno);
  if (code != 0) {
    return error(EHOSTUNREACH, "resolve {}: {}; check the name", address.to_string(),
                 ::gai_strerror(code));
  }
  return Addresses(found, ::freeaddrinfo);
}

Result<UniqueFd> connect_tcp(const NetAddress& address, const addrinfo& to, Deadline deadline) {
  UniqueFd fd(::socket(to.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return failed("connect to", address, errno);
  if (::connect(fd.get(), to.ai_addr, to.ai_addrlen) == 0) return fd;
  if (errno != EINPROGRESS && errno != EINTR) return failed("connect to", address, errno);
  if (!wait_ready(fd.get(), POLLOUT, deadline)) return failed("connect to", address, ETIMEDOUT);
  int code = 0;
  socklen_t length = sizeof code;
  if (::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &code, &length) < 0) code = errno;
  if (code != 0) return failed("connect to", address, code);
  return fd;
}

Result<uint16_t> bound_port(const UniqueFd& fd, const NetAddress& address) {
  sockaddr_storage raw{};
  socklen_t length = sizeof raw;
  if (::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&raw), &length) < 0) {
    return failed("listen at", address, errno);
  }
  if (raw.ss_family == AF_INET6)
    return ntohs(reinterpret_cast<const sockaddr_in6*>(&raw)->sin6_port);
  return ntohs(reinterpret_cast<const sockaddr_in*>(&raw)->sin_port);
}

Result<std::unique_ptr<Listener>> listen_tcp(NetAddress address) {
  TRY_ASSIGN(const Addresses found, resolve(address, AI_PASSIVE));
  int code = EADDRNOTAVAIL;
  for (const addrinfo* at = found.get(); at != nullptr; at = at->ai_next) {
    UniqueFd fd(::socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int on = 1;  // a restarted server need not wait for its predecessor's TIME_WAIT
    if (!fd.valid() || ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        ::bind(fd.get(), at->ai_addr, at->ai_addrlen) < 0 || ::listen(fd.get(), kBacklog) < 0) {
      code = errno;
      continue;
    }
    TRY_ASSIGN(address.port, bound_port(fd, address));
    return make_listener(std::move(fd), std::move(address), {});
  }
  return failed("listen at", address, code);
}

Result<NetAddress> parse_tcp(std::string_view text, std::string_view rest) {
  const auto malformed = [&] {
    return error(EINVAL,
                 "address '{}': write tcp:HOST:PORT with a port of 0 to 65535, an IPv6 host in []",
                 text);
  };
  const size_t colon = rest.rfind(':');
  if (colon == std::string_view::npos) return malformed();
  std::string_view host = rest.substr(0, colon);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return malformed();
  }
  NetAddress address;
  const std::string_view port = rest.substr(colon + 1);
  const auto [end, problem] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (problem != std::errc() || end != port.data() + port.size()) return malformed();
  if (host.find('\0') != std::string_view::npos) return malformed();
  address.path_or_host = host;
  return address;
}

}  // namespace

Result<NetAddress> NetAddress::parse(std::string_view text) {
  if (text.starts_with("tcp:")) return parse_tcp(text, text.substr(4));
  if (!text.starts_with("unix:"))
    return error(EINVAL, "address '{}': write unix:PATH or tcp:HOST:PORT", text);
  const std::string_view path = text.substr(5);
  if (path.empty() || path.find('\0') != std::string_view::npos) {
    return error(EINVAL, "address '{}': write unix:PATH, with a path", text);
  }
  NetAddress address;
  address.is_unix = true;
  address.path_or_host = path;
  return address;
}

std::string NetAddress::to_string() const {
  if (is_unix) return "unix:" + path_or_host;
  const bool v6 = path_or_host.find(':') != std::string::npos;
  return fmt::format(fmt::runtime(v6 ? "tcp:[{}]:{}" : "tcp:{}:{}"), path_or_host, port);
}

Status Connection::read_all(MutableBytes into, milliseconds timeout) {
  const Deadline deadline = deadline_after(timeout);
  while (!into.empty()) {
    milliseconds left{0};
    if (deadline) {  // at least 1: 0 would mean for ever
      const auto rest = *deadline - std::chrono::steady_clock::now();
      left = std::max(std::chrono::ceil<milliseconds>(rest), milliseconds(1));
    }
    TRY_ASSIGN(const size_t n, read(into, left));
    if (n == 0)
      return error(ECONNRESET, "the peer closed the connection {} bytes before the end",
                   into.size());
    into = into.subspan(n);
  }
  return {};
}

Result<std::unique_ptr<Listener>> RealNet::listen(const NetAddress& address) {
  return address.is_unix ? listen_unix(address) : listen_tcp(address);
}

Result<std::unique_ptr<Connection>> RealNet::connect(const NetAddress& address,
                                                     milliseconds timeout) {
  if (address.is_unix) {
    TRY_ASSIGN(UniqueFd fd, connect_unix(address, std::max(timeout, milliseconds::zero())));
    return make_connection(
        std::move(fd), address);  // its calls pass MSG_DONTWAIT, so blocking mode does not matter
  }
  TRY_ASSIGN(const Addresses found, resolve(address, 0));
  const Deadline deadline = deadline_after(timeout);
  std::optional<Error> last;
  for (const addrinfo* to = found.get(); to != nullptr; to = to->ai_next) {
    auto fd = connect_tcp(address, *to, deadline);
    if (fd.ok()) return make_connection(std::move(fd).value(), address);
    last = fd.error();
  }
  return last ? *last : failed("connect to", address, EADDRNOTAVAIL);
}

Result<std::string> RealNet::local_host_towards(const NetAddress& address) {
  if (address.is_unix) return error(EINVAL, "{} is of this machine only", address.to_string());
  TRY_ASSIGN(const Addresses found, resolve(address, 0));
  int code = EHOSTUNREACH;
  for (const addrinfo* at = found.get(); at != nullptr; at = at->ai_next) {
    // A datagram socket is connected without a packet.
    const UniqueFd fd(::socket(at->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_storage raw{};
    socklen_t length = sizeof raw;
    char host[NI_MAXHOST];
    if (!fd.valid() || ::connect(fd.get(), at->ai_addr, at->ai_addrlen) < 0 ||
        ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&raw), &length) < 0) {
      code = errno;
      continue;
    }
    if (::getnameinfo(reinterpret_cast<const sockaddr*>(&raw), length, host, sizeof host, nullptr,
                      0, NI_NUMERICHOST | NI_NUMERICSERV) == 0)
      return std::string(host);
  }
  return failed("find the way to", address, code);
}

}  // namespace shoal
