// Credentials that a service hands out: STS for a web identity, the container service, IMDSv2.
// Errors never repeat what such a service answered to a success, since that is the secret.
#include <nlohmann/json.hpp>
#include <pugixml.hpp>

#include "object/s3/credentials_chain.h"
#include "object/s3/http_fetch.h"
#include "object/s3/sigv4.h"
#include "object/s3/xml.h"

namespace shoal::object {
namespace {

constexpr uint64_t kTokenBytesMax = 64 << 10;

std::string without_trailing_blanks(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' '))
    text.pop_back();
  return text;
}

Result<HttpResponse> fetch_ok(HttpRequest request, std::string_view text,
                              std::chrono::milliseconds timeout, Clock& clock) {
  const std::string url = request.url.substr(0, request.url.find('?'));
  Result<HttpResponse> response = http_fetch(std::move(request), text, timeout, clock);
  if (!response.ok()) return error(EACCES, "{}: {}", url, response.error().text());
  if (response->status != 200)
    return error(EACCES, "{} answered with status {}", url, response->status);
  return response;
}

// The form that the container service and IMDS share.
Result<Credentials> parse_json(const std::string& text, const std::string& from) {
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  const auto field = [&](const char* name) -> std::string {
    if (!json.is_object()) return "";
    const auto found = json.find(name);
    return found != json.end() && found->is_string() ? found->get<std::string>() : "";
  };
  Credentials credentials{field("AccessKeyId"), field("SecretAccessKey"), field("Token"),
                          parse_iso_time(field("Expiration"))};
  if (credentials.access_key.empty() || credentials.secret_key.empty()) {
    return error(EACCES, "{} answered without AccessKeyId and SecretAccessKey", from);
  }
  return credentials;
}

bool is_private_host(std::string_view url) {
  for (const char* start :
       {"http://127.", "http://localhost", "http://[::1]", "http://169.254.170.2",
        "http://169.254.170.23", "http://[fd00:ec2::23]", "https://"}) {
    if (url.starts_with(start)) return true;
  }
  return false;
}

}  // namespace

Result<Credentials> fetch_web_identity(const ChainInputs& inputs, const std::string& role,
                                       const std::string& token_file, const std::string& session) {
  Result<std::string> token = read_file(inputs.fs, token_file, kTokenBytesMax);
  if (!token.ok())
    return error(EACCES, "web identity token {}: {}", token_file, token.error().text());
  std::string endpoint = inputs.variable("AWS_ENDPOINT_URL_STS"),
              region = inputs.variable("AWS_REGION");
  if (endpoint.empty()) {
    endpoint = region.empty() ? "https://sts.amazonaws.com"
                              : fmt::format("https://sts.{}.amazonaws.com", region);
  }
  while (endpoint.ends_with('/')) endpoint.pop_back();
  const std::string form = encoded_query({{"Action", "AssumeRoleWithWebIdentity"},
                                          {"Version", "2011-06-15"},
                                          {"RoleArn", role},
                                          {"RoleSessionName", session},
                                          {"WebIdentityToken", without_trailing_blanks(*token)}});
  HttpRequest request;
  request.method = "POST";
  request.url = endpoint + "/";
  request.headers = {"content-type: application/x-www-form-urlencoded"};
  request.no_proxy = endpoint.starts_with("http://127.");
  TRY_ASSIGN(const HttpResponse response,
             fetch_ok(std::move(request), form, inputs.sts_timeout, inputs.clock));
  pugi::xml_document document;
  document.load_buffer(response.text.data(), response.text.size());
  const pugi::xml_node node = document.child("AssumeRoleWithWebIdentityResponse")
                                  .child("AssumeRoleWithWebIdentityResult")
                                  .child("Credentials");
  Credentials credentials{node.child("AccessKeyId").text().get(),
                          node.child("SecretAccessKey").text().get(),
                          node.child("SessionToken").text().get(),
                          parse_iso_time(node.child("Expiration").text().get())};
  if (credentials.access_key.empty() || credentials.secret_key.empty()) {
    return error(EACCES, "{} answered without credentials for {}", endpoint, role);
  }
  return credentials;
}

Result<Credentials> fetch_container(const ChainInputs& inputs) {
  std::string url = inputs.variable("AWS_CONTAINER_CREDENTIALS_FULL_URI");
  const std::string relative = inputs.variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
  if (!relative.empty()) url = "http://169.254.170.2" + relative;
  if (url.empty()) return Error(ENOENT);
  // A token must not travel in the clear to a stranger.
  if (!is_private_host(url)) {
    return error(
        EACCES,
        "AWS_CONTAINER_CREDENTIALS_FULL_URI is {}: neither https nor this machine's service", url);
  }
  std::string token = inputs.variable("AWS_CONTAINER_AUTHORIZATION_TOKEN");
  const std::string file = inputs.variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
  if (!file.empty()) {
    Result<std::string> read = read_file(inputs.fs, file, kTokenBytesMax);
    if (!read.ok())
      return error(EACCES, "container authorization token {}: {}", file, read.error().text());
    token = without_trailing_blanks(*read);
  }
  if (token.find_first_of("\r\n") != std::string::npos) {
    return Error(EACCES, "the container authorization token has more than one line");
  }
  HttpRequest request;
  request.method = "GET";
  request.url = url;
  request.no_proxy = true;
  if (!token.empty()) request.headers.push_back("authorization: " + token);
  TRY_ASSIGN(const HttpResponse response,
             fetch_ok(std::move(request), "", inputs.metadata_timeout, inputs.clock));
  return parse_json(response.text, url);
}

Result<Credentials> fetch_instance(const ChainInputs& inputs) {
  if (inputs.variable("AWS_EC2_METADATA_DISABLED") == "true") return Error(ENOENT);
  std::string endpoint = inputs.variable("AWS_EC2_METADATA_SERVICE_ENDPOINT");
  if (endpoint.empty()) endpoint = "http://169.254.169.254";
  while (endpoint.ends_with('/')) endpoint.pop_back();
  HttpRequest session;
  session.method = "PUT";
  session.url = endpoint + "/latest/api/token";
  session.headers = {"x-aws-ec2-metadata-token-ttl-seconds: 21600"};
  session.no_proxy = true;
  TRY_ASSIGN(const HttpResponse token,
             fetch_ok(std::move(session), "", inputs.metadata_timeout, inputs.clock));
  const auto get = [&](const std::string& path) {
    HttpRequest request;
    request.method = "GET";
    request.url = endpoint + path;
    request.headers = {"x-aws-ec2-metadata-token: " + without_trailing_blanks(token.text)};
    request.no_proxy = true;
    return fetch_ok(std::move(request), "", inputs.metadata_timeout, inputs.clock);
  };
  const std::string roles = "/latest/meta-data/iam/security-credentials/";
  TRY_ASSIGN(const HttpResponse list, get(roles));
  const std::string role = list.text.substr(0, list.text.find_first_of("\r\n"));
  if (role.empty()) return error(EACCES, "{}: this instance has no role", endpoint);
  TRY_ASSIGN(const HttpResponse response, get(roles + uri_encode(role, false)));
  return parse_json(response.text, endpoint + roles + role);
}

}  // namespace shoal::object
