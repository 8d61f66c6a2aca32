// Sizes and counts as people write them, both ways.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace shoal::cmd {

// "100", "64K", "1.5G", "1T", "10GiB": powers of 1,024, as JuiceFS and du do. EINVAL naming the
// option and the value.
Result<uint64_t> parse_size(std::string_view option, std::string_view text);
Result<std::chrono::milliseconds> parse_seconds(std::string_view option, std::string_view text);
// "0 B", "512 B", "1.5 KiB", "64.0 MiB" …
std::string format_size(uint64_t bytes);
std::string format_count(uint64_t n);  // "1,234,567"

}  // namespace shoal::cmd
