#include "cmd/daemon.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "base/coding.h"

namespace shoal::cmd {
namespace {

std::string read_all(int fd) {
  std::string text;
  std::array<char, 4096> buffer{};
  for (;;) {
    const ssize_t n = ::read(fd, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return text;
    text.append(buffer.data(), static_cast<size_t>(n));
  }
}

// What the child sent: 4 bytes errno, then the message. Nothing at all: it died.
Status decode_report(const std::string& report, pid_t child) {
  if (report.size() >= 4) {
    Decoder in{std::string_view(report)};
    const uint32_t code = in.le32();
    if (code == 0) return {};
    return Error(static_cast<int>(code), std::string(in.rest()));
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFSIGNALED(status))
    return error(EIO, "the mount process was killed by signal {}", WTERMSIG(status));
  return error(EIO, "the mount process ended with status {} before it was ready",
               WEXITSTATUS(status));
}

}  // namespace

Result<Daemon> Daemon::fork_off(const std::string& log_path) {
  const int log = ::open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  if (log < 0) {
    return error(errno, "log file {}: {}; name another one with --log", log_path,
                 strerrordesc_np(errno));
  }
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) return error(errno, "pipe: {}", strerrordesc_np(errno));
  const pid_t child = ::fork();
  if (child < 0) return error(errno, "fork: {}", strerrordesc_np(errno));
  Daemon daemon;
  if (child > 0) {
    ::close(pipe[1]);
    ::close(log);
    daemon.is_parent_ = true;
    daemon.outcome_ = decode_report(read_all(pipe[0]), child);
    ::close(pipe[0]);
    return daemon;
  }
  ::close(pipe[0]);
  ::setsid();
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  ::dup2(null, STDIN_FILENO);
  ::dup2(log, STDOUT_FILENO);
  ::dup2(log, STDERR_FILENO);
  daemon.report_fd_ = pipe[1];
  return daemon;
}

void Daemon::report(const Status& status) {
  if (report_fd_ < 0) return;
  std::string bytes;
  Encoder out(bytes);
  out.le32(static_cast<uint32_t>(status.code()));
  if (!status.ok()) out.raw(status.error().text());
  [[maybe_unused]] const ssize_t written = ::write(report_fd_, bytes.data(), bytes.size());
  ::close(report_fd_);
  report_fd_ = -1;
}

}  // namespace shoal::cmd
