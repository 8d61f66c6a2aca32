#include "cmd/remote_volume.h"

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace shoal::cmd {
namespace {

std::string without_space(std::string text) {
  const auto is_space = [](char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; };
  while (!text.empty() && is_space(text.back())) text.pop_back();
  size_t begin = 0;
  while (begin < text.size() && is_space(text[begin])) ++begin;
  return text.substr(begin);
}

Result<std::string> read_token_file(const std::string& path) {
  std::ifstream file(path);
  if (!file)
    return error(errno, "token file {}: {}", path, errno != 0 ? strerrordesc_np(errno) : "?");
  std::stringstream text;
  text << file.rdbuf();
  const std::string token = without_space(text.str());
  if (token.empty()) return error(EINVAL, "token file {} is empty", path);
  return token;
}

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

Result<std::string> find_token(const RemoteAccess& access, const std::string& volume) {
  if (!access.token_file.empty()) return read_token_file(access.token_file);
  if (const std::string token = without_space(variable("SHOAL_TOKEN")); !token.empty())
    return token;
  if (const std::string file = variable("SHOAL_TOKEN_FILE"); !file.empty())
    return read_token_file(file);
  const std::string usual = "/etc/shoal/" + volume + ".token";
  if (std::ifstream(usual)) return read_token_file(usual);
  return error(EACCES,
               "no token for volume '{}': give --token-file, SHOAL_TOKEN or {}; beside the engine "
               "shoal token META-URL prints it",
               volume, usual);
}

Result<std::unique_ptr<metasvc::RemoteTransport>> connect_to_owner(
    Runtime& runtime, Executor& executor, const MetaUrl& url, const std::string& description,
    std::function<void()> session_lost) {
  metasvc::RemoteOptions options;
  options.servers = url.servers;
  options.credentials.volume = url.volume;
  TRY_ASSIGN(options.credentials.token, find_token(runtime.remote, url.volume));
  options.credentials.description = description;
  options.soft_timeout = runtime.remote.soft_timeout;
  options.session_lost = std::move(session_lost);
  if (!runtime.remote.tls.ca_file.empty() || !runtime.remote.tls.certificate_file.empty()) {
    TRY_ASSIGN(options.tls, rpc::TlsContext::for_client(runtime.remote.tls));
  }
  auto transport = metasvc::RemoteTransport::connect(
      {runtime.net, executor, runtime.clock, runtime.random}, std::move(options));
  if (transport.code() == EACCES) {
    return error(EACCES,
                 "{} refused: the token is wrong, or it has no volume '{}'; shoal token META-URL "
                 "prints the right one beside the engine",
                 url.to_string(), url.volume);
  }
  if (!transport.ok()) return transport.error().in(url.to_string());
  return transport;
}

}  // namespace shoal::cmd
