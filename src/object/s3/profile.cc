#include "object/s3/profile.h"

#include <algorithm>

namespace shoal::object {
namespace {

std::string_view trimmed(std::string_view text) {
  const auto is_blank = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

bool names_section(std::string_view line, std::string_view profile, bool is_config) {
  const size_t end = line.find(']');
  std::string_view name = trimmed(line.substr(1, end == std::string_view::npos ? end : end - 1));
  if (is_config && name.starts_with("profile") && name.size() > 7 &&
      (name[7] == ' ' || name[7] == '\t')) {
    return trimmed(name.substr(7)) == profile;
  }
  return name == profile && (!is_config || profile == "default");
}

}  // namespace

ProfileKeys parse_profile(std::string_view text, std::string_view profile, bool is_config) {
  ProfileKeys keys;
  bool inside = false;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string_view raw = text.substr(0, end);
    text = end == std::string_view::npos ? "" : text.substr(end + 1);
    const std::string_view line = trimmed(raw);
    if (line.empty() || line.front() == '#' || line.front() == ';') continue;
    if (line.front() == '[') {
      inside = names_section(line, profile, is_config);
      continue;
    }
    const bool is_nested =
        raw.front() == ' ' || raw.front() == '\t';  // part of the key above: none of ours
    const size_t equals = line.find('=');
    if (!inside || is_nested || equals == std::string_view::npos) continue;
    std::string name(trimmed(line.substr(0, equals)));
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    keys[name] = trimmed(line.substr(equals + 1));
  }
  return keys;
}

}  // namespace shoal::object
