#include "cmd/dump_stream.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>

namespace shoal::cmd {
namespace {

Error failed(const std::string& file, const char* doing) {
  const int code = errno;
  return error(code, "{} {}: {}", doing, file == kStandardStream ? "the standard stream" : file,
               std::strerror(code));
}

}  // namespace

Result<DumpOutput> DumpOutput::open(const std::string& file) {
  ::signal(SIGPIPE, SIG_IGN);  // a reader that went away is an error like others
  if (file == kStandardStream) {
    if (::isatty(STDOUT_FILENO) == 1)
      return error(EINVAL, "a dump is not for a terminal; name a FILE, or give it to a pipe");
    return DumpOutput(STDOUT_FILENO, file);
  }
  struct stat there {};
  if (::lstat(file.c_str(), &there) == 0)
    return error(EEXIST, "{} is there already; name another file, or remove it", file);
  DumpOutput output(-1, file);
  output.fd_ =
      ::open(output.partial().c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (output.fd_ < 0) return failed(file, "making");
  return output;
}

DumpOutput::DumpOutput(DumpOutput&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), file_(std::move(other.file_)) {}

DumpOutput::~DumpOutput() {
  if (fd_ < 0 || is_standard()) return;
  ::close(fd_);
  ::unlink(partial().c_str());
}

Status DumpOutput::write(ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failed(file_, "writing to");
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return {};
}

Status DumpOutput::finish() {
  if (is_standard()) return {};
  if (::fsync(fd_) != 0) return failed(file_, "syncing");
  if (::rename(partial().c_str(), file_.c_str()) != 0) return failed(file_, "naming");
  ::close(std::exchange(fd_, -1));
  const std::string folder = std::filesystem::absolute(file_).parent_path().string();
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return failed(folder, "opening");
  const int synced = ::fsync(fd);
  const Status status = synced == 0 ? Status() : Status(failed(folder, "syncing"));
  ::close(fd);
  return status;
}

Result<DumpInput> DumpInput::open(const std::string& file) {
  if (file == kStandardStream) {
    if (::isatty(STDIN_FILENO) == 1)
      return error(EINVAL, "a dump does not come from a terminal; name a FILE, or use a pipe");
    return DumpInput(STDIN_FILENO, file);
  }
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return failed(file, "opening");
  return DumpInput(fd, file);
}

DumpInput::DumpInput(DumpInput&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), file_(std::move(other.file_)) {}

DumpInput::~DumpInput() {
  if (fd_ >= 0 && file_ != kStandardStream) ::close(fd_);
}

Result<size_t> DumpInput::read(MutableBytes into) {
  for (;;) {
    const ssize_t n = ::read(fd_, into.data(), into.size());
    if (n >= 0) return static_cast<size_t>(n);
    if (errno != EINTR) return failed(file_, "reading from");
  }
}

}  // namespace shoal::cmd
