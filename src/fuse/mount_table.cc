#include "fuse/mount_table.h"

#include <fcntl.h>
#include <unistd.h>

namespace shoal::fuse {
namespace {

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  while (!line.empty()) {
    const size_t space = line.find(' ');
    words.push_back(line.substr(0, space));
    if (space == std::string_view::npos) break;
    line.remove_prefix(space + 1);
  }
  return words;
}

// Blanks and backslashes are written as three octal digits.
std::string unescape(std::string_view word) {
  std::string plain;
  const auto is_octal = [](char c) { return c >= '0' && c <= '7'; };
  for (size_t i = 0; i < word.size(); ++i) {
    if (word[i] == '\\' && i + 3 < word.size() && is_octal(word[i + 1]) && is_octal(word[i + 2]) &&
        is_octal(word[i + 3])) {
      plain += static_cast<char>((word[i + 1] - '0') << 6 | (word[i + 2] - '0') << 3 |
                                 (word[i + 3] - '0'));
      i += 3;
    } else {
      plain += word[i];
    }
  }
  return plain;
}

}  // namespace

std::vector<MountEntry> parse_mount_table(std::string_view text) {
  // id parent device root path options optional* - type source super-options; proc(5)
  constexpr size_t kDevice = 2;
  constexpr size_t kPath = 4;
  constexpr size_t kOptional = 6;
  std::vector<MountEntry> table;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::vector<std::string_view> words = words_of(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    size_t dash = kOptional;
    while (dash < words.size() && words[dash] != "-") ++dash;
    if (dash + 2 >= words.size()) continue;
    table.push_back({std::string(words[kDevice]), unescape(words[kPath]), unescape(words[dash + 1]),
                     unescape(words[dash + 2])});
  }
  return table;
}

std::optional<MountEntry> find_mount(const std::vector<MountEntry>& table, std::string_view path) {
  for (auto entry = table.rbegin(); entry != table.rend(); ++entry) {
    if (entry->path == path) return *entry;
  }
  return std::nullopt;
}

Result<std::vector<MountEntry>> read_mount_table() {
  const int fd = ::open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return error(errno, "cannot read /proc/self/mountinfo; is /proc mounted?");
  std::string text;
  char piece[16 << 10];
  ssize_t n = 0;
  while ((n = ::read(fd, piece, sizeof piece)) > 0) text.append(piece, static_cast<size_t>(n));
  const int code = n < 0 ? errno : 0;
  ::close(fd);
  if (code != 0) return error(code, "cannot read /proc/self/mountinfo");
  return parse_mount_table(text);
}

}  // namespace shoal::fuse
