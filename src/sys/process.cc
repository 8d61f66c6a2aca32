#include "sys/process.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <string>
#include <string_view>

#include "sys/unique_fd.h"

namespace shoal {

bool is_being_killed(uint32_t thread) {
  const std::string path = "/proc/" + std::to_string(thread) + "/status";
  const sys_internal::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) return false;
  std::array<char, 4096> text;
  const ssize_t n = ::read(fd.get(), text.data(), text.size() - 1);
  if (n <= 0) return false;
  text[static_cast<size_t>(n)] = '\0';
  // Whatever signal ends a process, the kernel leaves SIGKILL pending for each of its threads.
  const std::string_view all(text.data(), static_cast<size_t>(n));
  constexpr std::string_view kPending = "SigPnd:";
  const size_t at = all.find(kPending);
  if (at == std::string_view::npos) return false;
  const uint64_t pending = std::strtoull(text.data() + at + kPending.size(), nullptr, 16);
  return (pending >> (SIGKILL - 1) & 1) != 0;
}

}  // namespace shoal
