// The log front end. Lines go to a sink that main() sets (spdlog behind log.cc; stderr until then).
//   log(LogLevel::kWarn, "upload of {} failed: {}", id, error.text());
// Thread-safe.
#pragma once

#include <fmt/core.h>

#include <functional>
#include <string>
#include <string_view>

namespace shoal {

enum class LogLevel { kDebug, kInfo, kWarn, kError };

bool log_enabled(LogLevel level);
void log_line(LogLevel level, std::string_view line);

template <typename... Args>
void log(LogLevel level, fmt::format_string<Args...> format, Args&&... args) {
  if (log_enabled(level)) log_line(level, fmt::format(format, std::forward<Args>(args)...));
}

// Lines below `level` are dropped. Call before threads start.
void set_log_level(LogLevel level);
// Appends to `path` instead of stderr (empty: stderr). Call before threads start.
void set_log_file(const std::string& path);
// Tests: every line goes to `sink` instead; nullptr restores. Call while no thread logs.
void set_log_sink(std::function<void(LogLevel, std::string_view)> sink);

}  // namespace shoal
