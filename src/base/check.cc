#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace shoal::base_internal {

// stderr directly: the log may be what is broken.
void check_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "shoal: %s:%d: CHECK(%s) failed\n", file, line, condition);
  std::abort();
}

void value_of_error(const char* text, const char* file, int line) {
  std::fprintf(stderr, "shoal: %s:%d: value() of an error: %s\n", file, line, text);
  std::abort();
}

}  // namespace shoal::base_internal
