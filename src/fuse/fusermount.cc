#include "fuse/fusermount.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <utility>
#include <vector>

extern char** environ;

namespace shoal::fuse {
namespace {

constexpr const char* kHelper = "fusermount3";

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd() { close(); }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  int get() const { return fd_; }
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

 private:
  int fd_;
};

struct Child {
  pid_t pid = -1;
  int messages = -1;  // its stderr
};

// Starts the helper with `arguments`; `socket` (-1: none) stays open in it under the same number.
Result<Child> start_helper(const std::vector<std::string>& arguments, int socket) {
  int pipe_fds[2];
  if (::pipe2(pipe_fds, O_CLOEXEC) != 0) return error(errno, "no pipe for {}", kHelper);
  Fd read_end(pipe_fds[0]);
  Fd write_end(pipe_fds[1]);
  std::vector<char*> argv{const_cast<char*>(kHelper)};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  std::vector<char*> environment;
  for (char** variable = environ; *variable != nullptr; ++variable)
    environment.push_back(*variable);
  std::string socket_variable = "_FUSE_COMMFD=" + std::to_string(socket);
  if (socket >= 0) environment.push_back(socket_variable.data());
  environment.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, write_end.get(), STDERR_FILENO);
  // Onto itself: clears close-on-exec in the child only.
  if (socket >= 0) ::posix_spawn_file_actions_adddup2(&actions, socket, socket);
  Child child;
  const int code =
      ::posix_spawnp(&child.pid, kHelper, &actions, nullptr, argv.data(), environment.data());
  ::posix_spawn_file_actions_destroy(&actions);
  if (code == ENOENT) {
    return error(ENOENT, "{} is not installed: install the package fuse3, or mount as root",
                 kHelper);
  }
  if (code != 0) return error(code, "cannot start {}: {}", kHelper, std::strerror(code));
  child.messages = ::dup(read_end.get());
  if (child.messages >= 0) ::fcntl(child.messages, F_SETFD, FD_CLOEXEC);
  return child;
}

// What it printed when it failed.
Status finish_helper(const Child& child) {
  constexpr size_t kMessageBytesMax = 4096;
  Fd messages(child.messages);
  std::string text;
  char piece[512];
  ssize_t n = 0;
  while (messages.get() >= 0 && (n = ::read(messages.get(), piece, sizeof piece)) > 0) {
    if (text.size() < kMessageBytesMax) text.append(piece, static_cast<size_t>(n));
  }
  int state = 0;
  while (::waitpid(child.pid, &state, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(state) && WEXITSTATUS(state) == 0) return {};
  while (!text.empty() && text.back() == '\n') text.pop_back();
  if (text.empty()) text = std::string(kHelper) + " failed";
  const bool busy = text.find("busy") != std::string::npos;
  return Error(busy ? EBUSY : EPERM, text);
}

Result<int> receive_fd(int socket) {
  char byte = 0;
  iovec vector{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t n = 0;
  do {
    n = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (n < 0 && errno == EINTR);
  if (n < 0) return error(errno, "no answer from {}", kHelper);
  const cmsghdr* const header = n == 0 ? nullptr : CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS ||
      header->cmsg_len != CMSG_LEN(sizeof(int))) {
    return error(EPROTO, "{} sent no descriptor", kHelper);
  }
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return fd;
}

// Without user_allow_other in fuse.conf the helper would refuse.
bool users_may_allow_other() {
  const int fd = ::open("/etc/fuse.conf", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  std::string text(16 << 10, '\0');
  const ssize_t n = ::read(fd, text.data(), text.size());
  ::close(fd);
  text.resize(n > 0 ? static_cast<size_t>(n) : 0);
  text.insert(0, "\n");
  return text.find("\nuser_allow_other") != std::string::npos;
}

std::string helper_options(const MountOptions& options) {
  std::string text = "subtype=shoal,default_permissions,fsname=";
  for (const char c : options.source) {
    if (c == ',' || c == '\\') text += '\\';
    text += c;
  }
  if (options.allow_other && users_may_allow_other()) text += ",allow_other";
  const std::pair<unsigned long, const char*> kWords[] = {
      // NOLINT(google-runtime-int)
      {MS_RDONLY, ",ro"},       {MS_NOEXEC, ",noexec"},   {MS_SYNCHRONOUS, ",sync"},
      {MS_DIRSYNC, ",dirsync"}, {MS_NOATIME, ",noatime"},
  };
  for (const auto& [flag, word] : kWords) {
    if ((options.flags & flag) != 0) text += word;
  }
  return text;
}

}  // namespace

Result<int> fusermount(const std::string& path, const MountOptions& options) {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
    return error(errno, "no socket for {}", kHelper);
  }
  Fd ours(pair[0]);
  Fd theirs(pair[1]);
  TRY_ASSIGN(const Child child,
             start_helper({"-o", helper_options(options), "--", path}, theirs.get()));
  theirs.close();  // so that its death is the end of our stream
  Result<int> fd = receive_fd(ours.get());
  const Status finished = finish_helper(child);
  if (!finished.ok()) {
    if (fd.ok()) ::close(*fd);
    return finished.error();
  }
  return fd;
}

Status fusermount_unmount(const std::string& path, bool lazy) {
  std::vector<std::string> arguments{"-u"};
  if (lazy) arguments.emplace_back("-z");
  arguments.emplace_back("--");
  arguments.push_back(path);
  TRY_ASSIGN(const Child child, start_helper(arguments, -1));
  return finish_helper(child);
}

}  // namespace shoal::fuse
