#include "object/folder/key_path.h"

#include <vector>

#include "base/limits.h"

namespace shoal::object {
namespace {

constexpr std::string_view kObjectSuffix = ".obj";
constexpr std::string_view kContinues = "%+";
constexpr size_t kPieceBytesMax =
    kNameBytesMax - 15;  // room for a suffix and for what a copying tool may append

bool is_plain(unsigned char c) { return c >= 0x20 && c != 0x7f && c != '%'; }

void append_escaped(std::string& out, unsigned char c) {
  constexpr char digits[] = "0123456789ABCDEF";
  out += '%';
  out += digits[c >> 4];
  out += digits[c & 15];
}

// What one directory entry holds, without its suffix.
struct Piece {
  std::string name;
  bool is_full() const { return name.size() + 3 > kPieceBytesMax; }
  void append(char c) {
    const bool leading_dot = c == '.' && name.empty();
    if (is_plain(static_cast<unsigned char>(c)) && !leading_dot) {
      name += c;
    } else {
      append_escaped(name, static_cast<unsigned char>(c));
    }
  }
  // Escapes a ".obj" at the end; last, since only now is it the end.
  std::string finished() const {
    if (name.empty()) return "%";
    if (!name.ends_with(kObjectSuffix)) return name;
    std::string out = name.substr(0, name.size() - kObjectSuffix.size());
    append_escaped(out, '.');
    return out + std::string(kObjectSuffix.substr(1));
  }
};

// The names of one component: all but the last are continuations.
std::vector<std::string> names_of(std::string_view component) {
  std::vector<std::string> names;
  Piece piece;
  for (const char c : component) {
    if (piece.is_full()) {
      names.push_back(piece.finished() + std::string(kContinues));
      piece = {};
    }
    piece.append(c);
  }
  names.push_back(piece.finished());
  return names;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::optional<std::string> unescaped(std::string_view name) {
  if (name == "%") return "";
  std::string out;
  for (size_t i = 0; i < name.size(); ++i) {
    if (name[i] != '%') {
      out += name[i];
      continue;
    }
    if (i + 2 >= name.size()) return std::nullopt;
    const int high = hex_digit(name[i + 1]), low = hex_digit(name[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

}  // namespace

std::string key_to_path(std::string_view key) {
  std::string path;
  while (true) {
    const size_t slash = key.find('/');
    for (const std::string& name : names_of(key.substr(0, slash))) {
      if (!path.empty()) path += '/';
      path += name;
    }
    if (slash == std::string_view::npos) break;
    key.remove_prefix(slash + 1);
  }
  path += kObjectSuffix;
  return path;
}

std::optional<DecodedName> decode_name(std::string_view name) {
  if (name.starts_with('.')) return std::nullopt;
  DecodedName decoded{DecodedName::Kind::kFolder, ""};
  std::string_view body = name;
  if (name.ends_with(kContinues)) {
    decoded.kind = DecodedName::Kind::kContinuation;
    body.remove_suffix(kContinues.size());
  } else if (name.ends_with(kObjectSuffix)) {
    decoded.kind = DecodedName::Kind::kObject;
    body.remove_suffix(kObjectSuffix.size());
  }
  std::optional<std::string> text = unescaped(body);
  if (!text.has_value()) return std::nullopt;
  decoded.text = std::move(*text);
  // Only what we would write ourselves counts; else two names could stand for one key.
  Piece piece;
  for (const char c : decoded.text) {
    if (piece.is_full()) return std::nullopt;
    piece.append(c);
  }
  // A continuation is as long as can be; a last piece may be so too.
  if (decoded.kind == DecodedName::Kind::kContinuation && !piece.is_full()) return std::nullopt;
  if (piece.finished() != body) return std::nullopt;
  return decoded;
}

}  // namespace shoal::object
