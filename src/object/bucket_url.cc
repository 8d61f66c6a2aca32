#include "object/bucket_url.h"

#include <algorithm>
#include <cctype>

namespace shoal::object {
namespace {

constexpr std::string_view kForms =
    "use file:///dir or "
    "s3://bucket[/prefix][?endpoint=http://host:port&region=us-east-1&style=path|virtual&ca=/file]";

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

Result<std::string> percent_decoded(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
    if (high < 0 || low < 0) {
      return error(EINVAL, "bucket URL: \"{}\" has a % without two hex digits; write %25 for %",
                   text);
    }
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

// Everything that would end a value or be decoded again; the rest stays readable.
std::string percent_encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte == 0x7f || c == '%' || c == '?' || c == '&' || c == '#' || c == '+') {
      constexpr char digits[] = "0123456789ABCDEF";
      out += '%';
      out += digits[byte >> 4];
      out += digits[byte & 15];
    } else {
      out += c;
    }
  }
  return out;
}

std::string_view without_slashes(std::string_view text) {
  while (!text.empty() && text.front() == '/') text.remove_prefix(1);
  while (!text.empty() && text.back() == '/') text.remove_suffix(1);
  return text;
}

// The rules that all vendors share: 3 to 63 of a-z 0-9 . - _ (old buckets have upper case and _).
Status check_bucket(std::string_view bucket) {
  const bool fits = bucket.size() >= 3 && bucket.size() <= 255 &&
                    std::all_of(bucket.begin(), bucket.end(), [](unsigned char c) {
                      return std::isalnum(c) != 0 || c == '.' || c == '-' || c == '_';
                    });
  if (fits && bucket.front() != '.' && bucket.front() != '-') return {};
  return error(EINVAL, "bucket URL: \"{}\" is no bucket name (3 or more of letters, digits, . - _)",
               bucket);
}

Status check_endpoint(std::string_view endpoint) {
  std::string_view rest = endpoint;
  if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else if (rest.starts_with("https://")) {
    rest.remove_prefix(8);
  } else {
    return error(EINVAL, "bucket URL: endpoint \"{}\" must start with http:// or https://",
                 endpoint);
  }
  if (rest.find('@') != std::string_view::npos) {
    return Error(
        EINVAL,
        "bucket URL: credentials do not belong into the endpoint; set AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY");
  }
  const bool clean = std::all_of(rest.begin(), rest.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '.' || c == '-' || c == '_' || c == ':' || c == '[' ||
           c == ']';
  });
  if (rest.empty() || !clean) {
    return error(EINVAL, "bucket URL: endpoint \"{}\" must be http(s)://host[:port] without a path",
                 endpoint);
  }
  const size_t colon = rest.rfind(':');
  if (colon != std::string_view::npos && rest.find(']', colon) == std::string_view::npos) {
    const std::string_view port = rest.substr(colon + 1);
    const bool digits =
        !port.empty() && port.size() <= 5 &&
        std::all_of(port.begin(), port.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
    if (colon == 0 || !digits || std::stoi(std::string(port)) > 65535) {
      return error(EINVAL,
                   "bucket URL: endpoint \"{}\" has no host or a port that is not 1 to 65535",
                   endpoint);
    }
  }
  return {};
}

struct S3Parameters {
  bool style_given = false;
};

Status set_parameter(BucketUrl& url, S3Parameters& seen, std::string_view name, std::string value) {
  if (name == "endpoint") {
    while (!value.empty() && value.back() == '/') value.pop_back();
    TRY(check_endpoint(value));
    url.endpoint = std::move(value);
  } else if (name == "region") {
    const bool clean =
        !value.empty() && std::all_of(value.begin(), value.end(), [](unsigned char c) {
          return std::isalnum(c) != 0 || c == '-' || c == '_';
        });
    if (!clean)
      return error(EINVAL, "bucket URL: \"{}\" is no region; an example is us-east-1", value);
    url.region = std::move(value);
  } else if (name == "style") {
    if (value != "path" && value != "virtual") {
      return error(EINVAL, "bucket URL: style is \"{}\"; it must be path or virtual", value);
    }
    url.path_style = value == "path";
    seen.style_given = true;
  } else if (name == "ca") {
    if (value.empty() || value.front() != '/') {
      return error(EINVAL, "bucket URL: ca is \"{}\"; it must be the absolute path of a PEM file",
                   value);
    }
    url.ca_file = std::move(value);
  } else {
    return error(EINVAL,
                 "bucket URL: unknown parameter \"{}\"; known are endpoint, region, style, ca",
                 name);
  }
  return {};
}

Result<BucketUrl> parse_s3(std::string_view rest) {
  BucketUrl url;
  url.kind = BucketUrl::Kind::kS3;
  url.region = "us-east-1";
  S3Parameters seen;
  const size_t question = rest.find('?');
  std::string_view query = question == std::string_view::npos ? "" : rest.substr(question + 1);
  const std::string_view place = rest.substr(0, question);
  const size_t slash = place.find('/');
  const std::string_view bucket = place.substr(0, slash);
  // The value is not echoed: what stands before the @ may be a secret.
  if (bucket.find_first_of("@:") != std::string_view::npos) {
    return Error(EINVAL,
                 "bucket URL: credentials or ports do not belong before the bucket's name; set "
                 "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and ?endpoint= for a server");
  }
  TRY(check_bucket(bucket));
  url.bucket = bucket;
  if (slash != std::string_view::npos) {
    TRY_ASSIGN(url.prefix, percent_decoded(without_slashes(place.substr(slash))));
  }
  while (!query.empty()) {
    const size_t end = query.find('&');
    const std::string_view pair = query.substr(0, end);
    query = end == std::string_view::npos ? "" : query.substr(end + 1);
    if (pair.empty()) continue;
    const size_t equals = pair.find('=');
    if (equals == std::string_view::npos) {
      return error(EINVAL, "bucket URL: parameter \"{}\" has no value; {}", pair, kForms);
    }
    TRY_ASSIGN(std::string value, percent_decoded(pair.substr(equals + 1)));
    TRY(set_parameter(url, seen, pair.substr(0, equals), std::move(value)));
  }
  if (!seen.style_given) url.path_style = !url.endpoint.empty();
  return url;
}

}  // namespace

Result<BucketUrl> BucketUrl::parse(std::string_view text) {
  if (text.starts_with("s3://")) return parse_s3(text.substr(5));
  if (text.starts_with("memory://")) {
    if (text != "memory:///") return error(EINVAL, "bucket URL: \"{}\" must be memory:///", text);
    BucketUrl url;
    url.kind = Kind::kMemory;
    return url;
  }
  if (text.starts_with("file://")) {
    BucketUrl url;
    TRY_ASSIGN(url.folder, percent_decoded(text.substr(7)));
    if (url.folder.empty() || url.folder.front() != '/' ||
        url.folder.find('\0') != std::string::npos) {
      return error(EINVAL, "bucket URL: \"{}\" must name an absolute folder: file:///dir", text);
    }
    while (url.folder.size() > 1 && url.folder.back() == '/') url.folder.pop_back();
    return url;
  }
  return error(EINVAL, "bucket URL: \"{}\" starts with no known scheme; {}",
               text.substr(0, text.find("://")), kForms);
}

std::string BucketUrl::to_string() const {
  if (kind == Kind::kMemory) return "memory:///";
  if (kind == Kind::kFile) return "file://" + percent_encoded(folder);
  std::string out = "s3://" + bucket;
  if (!prefix.empty()) out += "/" + percent_encoded(prefix);
  char separator = '?';
  const auto add = [&](std::string_view name, std::string_view value) {
    out += separator;
    out += name;
    out += '=';
    out += percent_encoded(value);
    separator = '&';
  };
  if (!endpoint.empty()) add("endpoint", endpoint);
  add("region", region);
  if (path_style == endpoint.empty()) add("style", path_style ? "path" : "virtual");
  if (!ca_file.empty()) add("ca", ca_file);
  return out;
}

}  // namespace shoal::object
