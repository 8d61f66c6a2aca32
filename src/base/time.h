// Wall-clock time as file systems keep it: signed seconds (before 1970 and after 2038) and
// nanoseconds.
#pragma once

#include <compare>
#include <cstdint>

namespace shoal {

struct Time {
  int64_t seconds = 0;
  uint32_t nanoseconds = 0;  // 0 … 999,999,999
  auto operator<=>(const Time&) const = default;
};

}  // namespace shoal
