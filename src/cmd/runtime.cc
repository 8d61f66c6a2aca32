#include "cmd/runtime.h"

#include <unistd.h>

#include <array>
#include <cstdlib>

namespace shoal::cmd {
namespace {

Path user_folder(const char* variable, std::string_view below_home) {
  if (const char* set = std::getenv(variable); set != nullptr && *set == '/') return set;
  const char* home = std::getenv("HOME");
  return join(home != nullptr && *home == '/' ? home : "/tmp", below_home);
}

}  // namespace

std::string host_name() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) return "localhost";
  return name.data();
}

Path default_state_dir(const std::string& volume_uuid) {
  if (geteuid() == 0) return join("/var/lib/shoal", volume_uuid);
  return join(user_folder("XDG_STATE_HOME", ".local/state"), "shoal/" + volume_uuid);
}

Path default_cache_dir(const std::string& volume_uuid) {
  if (geteuid() == 0) return join("/var/cache/shoal", volume_uuid);
  return join(user_folder("XDG_CACHE_HOME", ".cache"), "shoal/" + volume_uuid);
}

Path runtime_dir() {
  if (geteuid() == 0) return "/run/shoal";
  const char* set = std::getenv("XDG_RUNTIME_DIR");
  return join(set != nullptr && *set == '/' ? Path(set) : user_folder("", ".cache"), "shoal");
}

}  // namespace shoal::cmd
