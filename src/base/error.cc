#include "base/error.h"

#include <cstring>

namespace shoal {

std::string errno_name(int code) {
  if (const char* name = strerrorname_np(code)) return name;
  return std::to_string(code);
}

std::string Error::text() const {
  if (!message_.empty()) return message_;
  const char* description = strerrordesc_np(code_);
  return description != nullptr ? description : "error " + std::to_string(code_);
}

std::string Error::to_string() const {
  return fmt::format("{}: {} ({}:{})", errno_name(code_), text(), file_, line_);
}

Error Error::in(std::string_view what) const {
  return Error(code_, fmt::format("{}: {}", what, text()), file_, line_);
}

}  // namespace shoal
