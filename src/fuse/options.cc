#include "fuse/options.h"

#include <sys/mount.h>

#include <charconv>
#include <cmath>
#include <optional>

#include "fuse/features.h"

namespace shoal::fuse {
namespace {

struct FlagWord {
  std::string_view word;
  unsigned long set;    // NOLINT(google-runtime-int)
  unsigned long clear;  // NOLINT(google-runtime-int)
};
constexpr FlagWord kFlagWords[] = {
    {"ro", MS_RDONLY, 0},
    {"rw", 0, MS_RDONLY},
    {"suid", 0, MS_NOSUID},
    {"nosuid", MS_NOSUID, 0},
    {"dev", 0, MS_NODEV},
    {"nodev", MS_NODEV, 0},
    {"exec", 0, MS_NOEXEC},
    {"noexec", MS_NOEXEC, 0},
    {"async", 0, MS_SYNCHRONOUS},
    {"sync", MS_SYNCHRONOUS, 0},
    {"dirsync", MS_DIRSYNC, 0},
    {"atime", 0, MS_NOATIME},
    {"noatime", MS_NOATIME, 0},
    {"diratime", 0, MS_NODIRATIME},
    {"nodiratime", MS_NODIRATIME, 0},
    {"relatime", MS_RELATIME, MS_NOATIME | MS_STRICTATIME},
    {"norelatime", 0, MS_RELATIME},
    {"strictatime", MS_STRICTATIME, MS_NOATIME | MS_RELATIME},
    {"nostrictatime", 0, MS_STRICTATIME},
    {"lazytime", MS_LAZYTIME, 0},
    {"nolazytime", 0, MS_LAZYTIME},
};

// Words of fstab that speak to mount(8) and systemd, or say what is so anyway.
constexpr std::string_view kIgnoredWords[] = {
    "defaults",
    "auto",
    "noauto",
    "_netdev",
    "nofail",
    "user",
    "nouser",
    "users",
    "owner",
    "noowner",
    "group",
    "nogroup",
    "default_permissions",
    "loud",
    "silent",
};

bool starts_with(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

Result<double> number(std::string_view word, std::string_view value, double min, double max) {
  double parsed = 0;
  const auto [end, code] = std::from_chars(value.data(), value.data() + value.size(), parsed);
  if (code != std::errc() || end != value.data() + value.size() || !(parsed >= min) ||
      !(parsed <= max)) {
    return error(EINVAL, "mount option {}: give a number from {} to {}", word, min, max);
  }
  return parsed;
}

Result<std::chrono::nanoseconds> seconds(std::string_view word, std::string_view value) {
  constexpr double kSecondsMax = 1e9;  // thirty years
  TRY_ASSIGN(const double parsed, number(word, value, 0, kSecondsMax));
  return std::chrono::nanoseconds(std::llround(parsed * 1e9));
}

// False: not a word with one of these names.
Result<bool> parse_setting(std::string_view word, std::string_view name, std::string_view value,
                           ParsedOptions& parsed) {
  SessionOptions& session = parsed.session;
  if (name == "fsname") {
    if (value.empty()) return error(EINVAL, "mount option fsname= needs a name");
    parsed.mount.source = value;
  } else if (name == "subtype") {
    // Always shoal; mount.fuse passes it along.
  } else if (name == "attr_timeout") {
    TRY_ASSIGN(session.times.attributes, seconds(word, value));
    session.shared_times.attributes = session.times.attributes;
  } else if (name == "entry_timeout") {
    TRY_ASSIGN(session.times.entries, seconds(word, value));
    session.shared_times.entries = session.times.entries;
    if (!parsed.negative_given)
      session.times.negative = session.shared_times.negative = session.times.entries;
  } else if (name == "negative_timeout") {
    TRY_ASSIGN(session.times.negative, seconds(word, value));
    session.shared_times.negative = session.times.negative;
    parsed.negative_given = true;
  } else if (name == "max_background") {
    TRY_ASSIGN(const double count, number(word, value, 1, 65'535));
    session.max_background = static_cast<uint16_t>(count);
  } else if (name == "threads") {
    TRY_ASSIGN(const double count, number(word, value, 2, 64));
    session.workers.threads_max = static_cast<int>(count);
  } else if (name == "blksize") {
    TRY_ASSIGN(const double bytes, number(word, value, 4096, 4 << 20));
    const auto whole = static_cast<uint32_t>(bytes);
    if ((whole & (whole - 1)) != 0)
      return error(EINVAL, "mount option {}: not a power of two", word);
    session.block_bytes = whole;
  } else {
    return false;
  }
  return true;
}

Status parse_word(std::string_view word, ParsedOptions& parsed) {
  for (const FlagWord& flag : kFlagWords) {
    if (word != flag.word) continue;
    parsed.mount.flags = (parsed.mount.flags & ~flag.clear) | flag.set;
    return {};
  }
  for (const std::string_view ignored : kIgnoredWords) {
    if (word == ignored) return {};
  }
  if (starts_with(word, "x-") || starts_with(word, "X-") || starts_with(word, "comment="))
    return {};
  if (word == "allow_other") {
    parsed.mount.allow_other = true;
    return {};
  }
  if (word == "no_allow_other") {
    parsed.mount.allow_other = false;
    return {};
  }
  if (word == "no_cache_dir") {
    parsed.session.cache_directories = false;
    return {};
  }
  if (starts_with(word, "no_")) {
    if (const uint64_t flag = feature_flag(word.substr(3)); flag != 0) {
      parsed.session.disabled_features |= flag;
      return {};
    }
  }
  for (const std::string_view label : {"context=", "fscontext=", "defcontext=", "rootcontext="}) {
    if (!starts_with(word, label)) continue;
    parsed.mount.kernel_options.emplace_back(word);  // SELinux's
    return {};
  }
  const size_t equals = word.find('=');
  if (equals != std::string_view::npos) {
    TRY_ASSIGN(const bool known,
               parse_setting(word, word.substr(0, equals), word.substr(equals + 1), parsed));
    if (known) return {};
  }
  parsed.other.emplace_back(word);
  return {};
}

}  // namespace

bool MountOptions::read_only() const { return (flags & MS_RDONLY) != 0; }

Status parse_options(std::string_view text, ParsedOptions& parsed) {
  while (!text.empty()) {
    const size_t comma = text.find(',');
    const std::string_view word = text.substr(0, comma);
    if (!word.empty()) TRY(parse_word(word, parsed));
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
  }
  return {};
}

}  // namespace shoal::fuse
