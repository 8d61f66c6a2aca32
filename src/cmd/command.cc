#include "cmd/command.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace shoal::cmd {
namespace {

using nlohmann::ordered_json;

std::string scalar(const ordered_json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

void print_object(const ordered_json& object, int indent) {
  size_t width = 0;
  for (const auto& [key, value] : object.items()) width = std::max(width, key.size());
  for (const auto& [key, value] : object.items()) {
    std::string name = key;
    std::replace(name.begin(), name.end(), '_', ' ');
    if (value.is_object()) {
      std::printf("%*s%s:\n", indent, "", name.c_str());
      print_object(value, indent + 2);
    } else if (value.is_array()) {
      std::printf("%*s%s:%s\n", indent, "", name.c_str(), value.empty() ? " none" : "");
      for (const auto& item : value) {
        if (item.is_object()) {
          std::printf("%*s-\n", indent + 2, "");
          print_object(item, indent + 4);
        } else {
          std::printf("%*s%s\n", indent + 2, "", scalar(item).c_str());
        }
      }
    } else {
      std::printf("%*s%-*s  %s\n", indent, "", static_cast<int>(width) + 1, (name + ":").c_str(),
                  scalar(value).c_str());
    }
  }
}

bool g_progress_shown = false;

}  // namespace

void print_facts(const Context& context, const std::string& json_text) {
  const ordered_json facts = ordered_json::parse(json_text, nullptr, false);
  if (context.json) {
    std::printf("%s\n", facts.dump(2).c_str());
  } else if (facts.is_object()) {
    print_object(facts, 0);
  }
}

void show_progress(const std::string& line) {
  static const bool terminal = isatty(STDERR_FILENO) == 1;
  std::fprintf(stderr, terminal ? "\r\033[K%s" : "%s\n", line.c_str());
  g_progress_shown = terminal;
}

void end_progress() {
  if (g_progress_shown) std::fprintf(stderr, "\r\033[K");
  g_progress_shown = false;
}

}  // namespace shoal::cmd
