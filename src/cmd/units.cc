#include "cmd/units.h"

#include <cctype>
#include <charconv>
#include <cmath>

namespace shoal::cmd {

Result<uint64_t> parse_size(std::string_view option, std::string_view text) {
  double number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  std::string unit(end, text.data() + text.size());
  for (char& c : unit) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  if (unit.ends_with("IB")) {
    unit.resize(unit.size() - 2);
  } else if (unit.ends_with("B")) {
    unit.resize(unit.size() - 1);
  }
  static constexpr std::string_view kUnits = "KMGTPE";
  int power = -1;
  if (unit.empty()) power = 0;
  if (unit.size() == 1 && kUnits.find(unit[0]) != std::string_view::npos) {
    power = static_cast<int>(kUnits.find(unit[0])) + 1;
  }
  const double bytes = number * std::pow(1024.0, power);
  if (code != std::errc() || power < 0 || number < 0 || !(bytes < 9.2e18)) {
    return error(EINVAL,
                 "{}: '{}' is not a size; write a number with K, M, G, T or P, such as 100G",
                 option, text);
  }
  return static_cast<uint64_t>(bytes);
}

Result<std::chrono::milliseconds> parse_seconds(std::string_view option, std::string_view text) {
  constexpr double kSecondsMax = 1e9;  // thirty years
  double seconds = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (code != std::errc() || end != text.data() + text.size() || !(seconds >= 0) ||
      !(seconds <= kSecondsMax)) {
    return error(EINVAL, "{}: '{}' is not a time; give seconds, from 0 to {}", option, text,
                 kSecondsMax);
  }
  return std::chrono::milliseconds(std::llround(seconds * 1000));
}

std::string format_size(uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  static constexpr const char* kUnits[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(kUnits)) {
    value /= 1024;
    ++unit;
  }
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string format_count(uint64_t n) {
  std::string digits = std::to_string(n);
  for (size_t i = digits.size(); i > 3; i -= 3) digits.insert(i - 3, ",");
  return digits;
}

}  // namespace shoal::cmd
