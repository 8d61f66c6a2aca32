#include "object/s3/xml.h"

#include <charconv>
#include <cstring>
#include <ctime>
#include <optional>
#include <pugixml.hpp>

namespace shoal::object {
namespace {

Result<pugi::xml_node> parse(pugi::xml_document& document, std::string_view body,
                             const char* root) {
  const pugi::xml_parse_result parsed = document.load_buffer(
      body.data(), body.size(), pugi::parse_default | pugi::parse_ws_pcdata_single);
  if (!parsed)
    return error(EBADMSG, "the server's XML is malformed at byte {}: {}", parsed.offset,
                 parsed.description());
  const pugi::xml_node node = document.child(root);
  if (!node) return error(EBADMSG, "the server's XML is not a {}", root);
  return node;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// encoding-type=url: percent-encoding; some servers write a blank as '+', which is safe since '+'
// itself is %2B.
Result<std::string> url_decoded(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      out += ' ';
    } else if (text[i] != '%') {
      out += text[i];
    } else {
      const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
      if (high < 0 || low < 0)
        return error(EBADMSG, "the server's list has a key that is not URL-encoded: {}", text);
      out += static_cast<char>(high * 16 + low);
      i += 2;
    }
  }
  return out;
}

Result<std::string> key_text(const pugi::xml_node& node, const char* child, bool encoded) {
  const pugi::xml_node found = node.child(child);
  if (!found) return error(EBADMSG, "the server's list has an entry without {}", child);
  if (!encoded) return std::string(found.text().get());
  return url_decoded(found.text().get());
}

std::optional<int> digits(std::string_view text, size_t at, size_t count) {
  int value = 0;
  if (text.size() < at + count) return std::nullopt;
  const auto [end, bad] = std::from_chars(text.data() + at, text.data() + at + count, value);
  if (bad != std::errc() || end != text.data() + at + count || value < 0) return std::nullopt;
  return value;
}

S3Error error_of(const pugi::xml_node& node) {
  return {node.child("Code").text().get(), node.child("Message").text().get(),
          node.child("Region").text().get()};
}

void append_escaped(std::string& out, std::string_view text) {
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\t':
        out += "&#x9;";
        break;  // parsers turn the bare ones into blanks or drop them
      case '\n':
        out += "&#xA;";
        break;
      case '\r':
        out += "&#xD;";
        break;
      default:
        out += c;
    }
  }
}

// The length of the UTF-8 sequence at the front, 0 when it is none (RFC 3629).
size_t utf8_length(std::string_view text) {
  const auto at = [&](size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  const unsigned first = at(0);
  size_t length = 0;
  unsigned code = 0;
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first < 0xe0) length = 2, code = first & 0x1f;
  if (first >= 0xe0 && first < 0xf0) length = 3, code = first & 0x0f;
  if (first >= 0xf0 && first < 0xf5) length = 4, code = first & 0x07;
  for (size_t i = 1; i < length; ++i) {
    if ((at(i) & 0xc0) != 0x80) return 0;
    code = code << 6 | (at(i) & 0x3f);
  }
  constexpr unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xd800 && code <= 0xdfff;
  if (length == 0 || code < least[length] || code > 0x10ffff || surrogate || code == 0xfffe ||
      code == 0xffff)
    return 0;
  return length;
}

}  // namespace

Time parse_iso_time(std::string_view text) {
  const auto year = digits(text, 0, 4), month = digits(text, 5, 2), day = digits(text, 8, 2),
             hour = digits(text, 11, 2), minute = digits(text, 14, 2), second = digits(text, 17, 2);
  if (!year || !month || !day || !hour || !minute || !second) return {};
  tm utc{};
  utc.tm_year = *year - 1900;
  utc.tm_mon = *month - 1;
  utc.tm_mday = *day;
  utc.tm_hour = *hour;
  utc.tm_min = *minute;
  utc.tm_sec = *second;
  uint32_t nanoseconds = 0;
  if (text.size() > 20 && text[19] == '.') {
    uint32_t unit = 100'000'000;
    for (size_t i = 20; i < text.size() && text[i] >= '0' && text[i] <= '9'; ++i, unit /= 10) {
      nanoseconds += static_cast<uint32_t>(text[i] - '0') * unit;
    }
  }
  return {timegm(&utc), nanoseconds};
}

S3Error parse_error_xml(std::string_view body) {
  pugi::xml_document document;
  const Result<pugi::xml_node> root = parse(document, body, "Error");
  return root.ok() ? error_of(*root) : S3Error{};
}

Result<ListXml> parse_list_xml(std::string_view body) {
  pugi::xml_document document;
  TRY_ASSIGN(const pugi::xml_node root, parse(document, body, "ListBucketResult"));
  const bool encoded = std::strcmp(root.child("EncodingType").text().get(), "url") == 0;
  ListXml list;
  for (const pugi::xml_node& node : root.children("Contents")) {
    ObjectInfo object;
    TRY_ASSIGN(object.key, key_text(node, "Key", encoded));
    const std::string_view size = node.child("Size").text().get();
    const auto [end, bad] = std::from_chars(size.data(), size.data() + size.size(), object.size);
    if (bad != std::errc() || end != size.data() + size.size()) {
      return error(EBADMSG, "the server's list gives {} a size of \"{}\"", object.key, size);
    }
    object.etag = node.child("ETag").text().get();
    object.modified = parse_iso_time(node.child("LastModified").text().get());
    list.objects.push_back(std::move(object));
  }
  for (const pugi::xml_node& node : root.children("CommonPrefixes")) {
    TRY_ASSIGN(std::string prefix, key_text(node, "Prefix", encoded));
    list.common_prefixes.push_back(std::move(prefix));
  }
  const std::string_view truncated = root.child("IsTruncated").text().get();
  if (truncated != "true" && truncated != "false") {
    return error(EBADMSG, "the server's list does not say whether it is truncated");
  }
  list.truncated = truncated == "true";
  list.next_token = root.child("NextContinuationToken").text().get();
  return list;
}

Result<std::string> parse_upload_id_xml(std::string_view body) {
  pugi::xml_document document;
  TRY_ASSIGN(const pugi::xml_node root, parse(document, body, "InitiateMultipartUploadResult"));
  std::string id = root.child("UploadId").text().get();
  if (id.empty()) return Error(EBADMSG, "the server began a multipart upload without an id");
  return id;
}

Result<CompleteXml> parse_complete_xml(std::string_view body) {
  pugi::xml_document document;
  CompleteXml complete;
  if (const Result<pugi::xml_node> failed = parse(document, body, "Error"); failed.ok()) {
    complete.error = error_of(*failed);
    if (complete.error.code.empty()) complete.error.code = "InternalError";
    return complete;
  }
  TRY_ASSIGN(const pugi::xml_node root, parse(document, body, "CompleteMultipartUploadResult"));
  complete.etag = root.child("ETag").text().get();
  return complete;
}

Result<std::vector<DeleteFailure>> parse_delete_xml(std::string_view body) {
  pugi::xml_document document;
  Result<pugi::xml_node> root = parse(document, body, "DeleteResult");
  if (!root.ok()) {
    root = parse(document, body, "DeleteObjectsResult");  // what some servers call it
    if (!root.ok()) return root.error();
  }
  std::vector<DeleteFailure> failures;
  for (const pugi::xml_node& node : root->children("Error")) {
    failures.push_back({node.child("Key").text().get(), error_of(node)});
  }
  return failures;
}

bool fits_xml(std::string_view key) {
  while (!key.empty()) {
    const auto c = static_cast<unsigned char>(key.front());
    if (c < 0x20 && c != '\t' && c != '\n' && c != '\r') return false;
    const size_t length = utf8_length(key);
    if (length == 0) return false;
    key.remove_prefix(length);
  }
  return true;
}

std::string delete_xml(const std::vector<std::string>& keys) {
  // Quiet: the answer names only what failed.
  std::string out = "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>";
  for (const std::string& key : keys) {
    out += "<Object><Key>";
    append_escaped(out, key);
    out += "</Key></Object>";
  }
  return out + "</Delete>";
}

std::string complete_xml(const std::vector<UploadedPart>& parts) {
  std::string out = "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";
  for (const UploadedPart& part : parts) {
    out += fmt::format("<Part><PartNumber>{}</PartNumber><ETag>", part.number);
    append_escaped(out, part.etag);
    out += "</ETag></Part>";
  }
  return out + "</CompleteMultipartUpload>";
}

}  // namespace shoal::object
