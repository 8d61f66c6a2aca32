#include "object/s3/testing/fake_s3.h"

#include <fmt/core.h>

#include <pugixml.hpp>

#include "base/crc32c.h"
#include "object/page_builder.h"
#include "object/s3/sigv4.h"

namespace shoal::object {
namespace {

std::string decoded(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      out += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::map<std::string, std::string> parsed_query(std::string_view text) {
  std::map<std::string, std::string> query;
  while (!text.empty()) {
    const size_t end = text.find('&');
    const std::string_view pair = text.substr(0, end);
    text = end == std::string_view::npos ? "" : text.substr(end + 1);
    const size_t equals = pair.find('=');
    query[decoded(pair.substr(0, equals))] =
        equals == std::string_view::npos ? "" : decoded(pair.substr(equals + 1));
  }
  return query;
}

std::string value_of(const std::map<std::string, std::string>& map, const std::string& key) {
  const auto found = map.find(key);
  return found == map.end() ? "" : found->second;
}

std::string between(const std::string& text, const std::string& from, const std::string& to) {
  const size_t start = text.find(from);
  if (start == std::string::npos) return "";
  const size_t at = start + from.size();
  return text.substr(at, text.find(to, at) - at);
}

}  // namespace

FakeS3::FakeS3()
    : server_(
          std::make_unique<TestHttpServer>([this](const TestRequest& r) { return handle(r); })) {}
FakeS3::~FakeS3() { server_.reset(); }

void FakeS3::interfere(Interfere interfere) {
  MutexLock lock(mutex_);
  interfere_ = std::move(interfere);
}
void FakeS3::spoil(Spoil spoil) {
  MutexLock lock(mutex_);
  spoil_ = std::move(spoil);
}

TestReply FakeS3::error(int status, const std::string& code) {
  return {
      status,
      {},
      "<?xml version=\"1.0\"?><Error><Code>" + code + "</Code><Message>injected</Message></Error>",
      {}};
}

TestReply FakeS3::handle(const TestRequest& request) {
  const int n = requests_++;
  MutexLock lock(mutex_);
  if (interfere_) {
    if (std::optional<TestReply> reply = interfere_(request, n)) return *reply;
  }
  if (!is_signed_right(request)) {
    ++bad_signatures_;
    return error(403, "SignatureDoesNotMatch");
  }
  TestReply reply = serve(request);
  if (spoil_) spoil_(request, n, reply);
  return reply;
}

// From the raw path, query and headers: what was signed must be what was sent.
bool FakeS3::is_signed_right(const TestRequest& request) const {
  const std::string authorization = request.header("authorization");
  std::string names = between(authorization, "SignedHeaders=", ",");
  ToSign to_sign{request.method, request.path, request.query, {}, ""};
  while (!names.empty()) {
    const size_t end = names.find(';');
    const std::string name = names.substr(0, end);
    to_sign.headers.emplace_back(name, request.header(name));
    names = end == std::string::npos ? "" : names.substr(end + 1);
  }
  const std::string payload = request.header("x-amz-content-sha256");
  to_sign.payload_hash = payload;
  if (payload != kUnsignedPayload && payload != sha256_hex({as_bytes(request.body)})) return false;
  if (!request.header("content-md5").empty() &&
      request.header("content-md5") != md5_base64(request.body))
    return false;
  Signer signer("us-east-1", "s3");
  return authorization ==
         signer.authorization(to_sign, request.header("x-amz-date"), access_key(), secret_key());
}

TestReply FakeS3::serve(const TestRequest& request) {
  const std::string root = "/" + bucket();
  const std::map<std::string, std::string> query = parsed_query(request.query);
  if (request.path == root) {
    if (request.method == "POST" && query.contains("delete")) return remove_many(request);
    if (request.method == "GET") return list(query);
    return error(405, "MethodNotAllowed");
  }
  if (!request.path.starts_with(root + "/")) return error(404, "NoSuchBucket");
  return serve_object(request, decoded(request.path.substr(root.size() + 1)), query);
}

TestReply FakeS3::serve_object(const TestRequest& request, const std::string& key,
                               const std::map<std::string, std::string>& query) {
  const std::string upload = value_of(query, "uploadId");
  if (query.contains("uploads")) {
    const std::string id = fmt::format("up/{}+", next_++);
    uploads_[id];
    return {200,
            {},
            "<InitiateMultipartUploadResult><UploadId>" + id +
                "</UploadId></InitiateMultipartUploadResult>",
            {}};
  }
  if (!upload.empty()) {
    if (!uploads_.contains(upload)) return error(404, "NoSuchUpload");
    if (request.method == "PUT") {
      Object part{request.body,
                  fmt::format("\"{:08x}-{}\"", crc32c(as_bytes(request.body)), next_++)};
      const std::string etag = part.etag;
      uploads_[upload][std::stoi(value_of(query, "partNumber"))] = std::move(part);
      return {200, {{"etag", etag}}, "", {}};
    }
    if (request.method == "POST") return complete(request, key, upload);
    uploads_.erase(upload);
    return {204, {}, "", {}};
  }
  if (request.method == "PUT") return put(request, key, request.body);
  const auto found = objects_.find(key);
  if (request.method == "DELETE") {
    if (found != objects_.end()) objects_.erase(found);
    return {204, {}, "", {}};
  }
  if (found == objects_.end()) return error(404, "NoSuchKey");
  const std::string if_match = request.header("if-match");
  if (!if_match.empty() && if_match != found->second.etag) return error(412, "PreconditionFailed");
  return get(request, found->second);
}

TestReply FakeS3::put(const TestRequest& request, const std::string& key, std::string bytes) {
  if (request.header("if-none-match") == "*" && objects_.contains(key))
    return error(412, "PreconditionFailed");
  std::string etag = fmt::format("\"{:08x}-{}\"", crc32c(as_bytes(bytes)), next_++);
  objects_[key] = {std::move(bytes), etag};
  return {200, {{"etag", etag}}, "", {}};
}

TestReply FakeS3::get(const TestRequest& request, const Object& object) {
  TestReply reply{200,
                  {{"etag", object.etag}, {"last-modified", "Wed, 25 Nov 2026 02:00:00 GMT"}},
                  object.bytes,
                  {}};
  const std::string range = request.header("range");
  if (request.method == "HEAD" || range.empty()) return reply;
  const size_t dash = range.find('-');
  const uint64_t first = std::stoull(range.substr(6, dash - 6)), size = object.bytes.size();
  if (first >= size) {
    TestReply refused = error(416, "InvalidRange");
    refused.headers = {{"content-range", fmt::format("bytes */{}", size)}};
    return refused;
  }
  const uint64_t last = std::min<uint64_t>(std::stoull(range.substr(dash + 1)), size - 1);
  reply.status = 206;
  reply.body = object.bytes.substr(first, last - first + 1);
  reply.headers.emplace_back("content-range", fmt::format("bytes {}-{}/{}", first, last, size));
  return reply;
}

TestReply FakeS3::complete(const TestRequest& request, const std::string& key,
                           const std::string& upload) {
  pugi::xml_document document;
  document.load_string(request.body.c_str());
  std::string bytes;
  for (const pugi::xml_node& node : document.child("CompleteMultipartUpload").children("Part")) {
    const auto part = uploads_[upload].find(node.child("PartNumber").text().as_int());
    if (part == uploads_[upload].end() || part->second.etag != node.child("ETag").text().get()) {
      return error(400, "InvalidPart");
    }
    bytes += part->second.bytes;
  }
  const TestReply stored = put(request, key, std::move(bytes));
  if (stored.status != 200) return stored;
  uploads_.erase(upload);
  return {200,
          {},
          "<CompleteMultipartUploadResult><ETag>&quot;" +
              stored.headers[0].second.substr(1, stored.headers[0].second.size() - 2) +
              "&quot;</ETag></CompleteMultipartUploadResult>",
          {}};
}

TestReply FakeS3::remove_many(const TestRequest& request) {
  pugi::xml_document document;
  if (!document.load_buffer(request.body.data(), request.body.size()))
    return error(400, "MalformedXML");
  std::string failures;
  for (const pugi::xml_node& node : document.child("Delete").children("Object")) {
    const std::string key = node.child("Key").text().get();
    if (key.ends_with("undeletable")) {
      failures += "<Error><Key>" + key + "</Key><Code>AccessDenied</Code></Error>";
    } else {
      objects_.erase(key);
    }
  }
  return {200, {}, "<DeleteResult>" + failures + "</DeleteResult>", {}};
}

TestReply FakeS3::list(const std::map<std::string, std::string>& query) {
  ListOptions options;
  options.start_after = value_of(query, "start-after");
  options.delimiter = value_of(query, "delimiter");
  options.limit = std::stoul(value_of(query, "max-keys"));
  PageBuilder builder(value_of(query, "prefix"), options);
  for (const auto& [key, object] : objects_) {
    if (builder.would_take(key)) builder.add({key, object.bytes.size(), object.etag, {}});
  }
  const ListPage page = builder.finish();
  std::string xml =
      "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
      "<EncodingType>url</EncodingType>";
  xml += fmt::format("<IsTruncated>{}</IsTruncated>", page.truncated);
  for (const ObjectInfo& object : page.objects) {
    xml += fmt::format(
        "<Contents><Key>{}</Key><Size>{}</Size><ETag>&quot;{}&quot;</ETag>"
        "<LastModified>2026-11-25T02:00:00.123Z</LastModified></Contents>",
        uri_encode(object.key, true), object.size, object.etag.substr(1, object.etag.size() - 2));
  }
  for (const std::string& prefix : page.common_prefixes) {
    xml += "<CommonPrefixes><Prefix>" + uri_encode(prefix, false) + "</Prefix></CommonPrefixes>";
  }
  return {200, {}, xml + "</ListBucketResult>", {}};
}

}  // namespace shoal::object
