#include "sys/process.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <csignal>
#include <string>
#include <string_view>

#include "sys/unique_fd.h"

namespace shoal {
namespace {

// Fields of /proc/PID/stat, as proc(5) numbers them.
constexpr int kFlags = 9, kPending = 31, kExitCode = 52;
constexpr uint64_t kExiting = 4;  // PF_EXITING of the kernel's <linux/sched.h>

uint64_t number_at(std::string_view stat, int wanted) {
  // The second field is a name in parentheses that may hold anything.
  size_t at = stat.rfind(')');
  if (at == std::string_view::npos) return 0;
  for (int field = 2; field < wanted; ++field) {
    at = stat.find(' ', at + 1);
    if (at == std::string_view::npos) return 0;
  }
  uint64_t number = 0;
  std::from_chars(stat.data() + at + 1, stat.data() + stat.size(), number);
  return number;
}

}  // namespace

bool is_being_killed(uint32_t thread) {
  const std::string path = "/proc/" + std::to_string(thread) + "/stat";
  const sys_internal::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return false;
  std::array<char, 2048> text;
  const ssize_t n = ::read(fd.get(), text.data(), text.size());
  if (n <= 0) return false;
  const std::string_view stat(text.data(), static_cast<size_t>(n));
  // Whatever signal ends a process, the kernel leaves SIGKILL pending for each of its threads …
  if ((number_at(stat, kPending) >> (SIGKILL - 1) & 1) != 0) return true;
  // … until they are on their way out, where they close their files.
  const bool exiting = (number_at(stat, kFlags) & kExiting) != 0;
  return exiting && WIFSIGNALED(static_cast<int>(number_at(stat, kExitCode)));
}

}  // namespace shoal
