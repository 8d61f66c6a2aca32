#include "object/s3/credentials_chain.h"

#include <cstdlib>

#include "object/s3/profile.h"

namespace shoal::object {
namespace {

constexpr uint64_t kFileBytesMax = 1 << 20;

Error not_here() { return Error(ENOENT); }

Result<Credentials> from_environment(const ChainInputs& inputs) {
  Credentials credentials{inputs.variable("AWS_ACCESS_KEY_ID"),
                          inputs.variable("AWS_SECRET_ACCESS_KEY"),
                          inputs.variable("AWS_SESSION_TOKEN"),
                          {}};
  if (credentials.access_key.empty() && credentials.secret_key.empty()) return not_here();
  if (credentials.access_key.empty() || credentials.secret_key.empty()) {
    return Error(EACCES, "only one of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY is set");
  }
  return credentials;
}

// The profile's keys from both files; those in the credentials file win. ENOENT when there is no
// such profile.
Result<ProfileKeys> read_profile(const ChainInputs& inputs) {
  std::string profile = inputs.variable("AWS_PROFILE");
  const bool asked_for = !profile.empty();
  if (!asked_for) profile = "default";
  const std::string home = inputs.variable("HOME");
  std::string credentials = inputs.variable("AWS_SHARED_CREDENTIALS_FILE"),
              config = inputs.variable("AWS_CONFIG_FILE");
  if (credentials.empty() && !home.empty()) credentials = home + "/.aws/credentials";
  if (config.empty() && !home.empty()) config = home + "/.aws/config";
  ProfileKeys keys;
  for (const auto& [path, is_config] : {std::pair(credentials, false), std::pair(config, true)}) {
    if (path.empty()) continue;
    const Result<std::string> text = read_file(inputs.fs, path, kFileBytesMax);
    if (!text.ok()) {
      if (text.error().is(ENOENT) || text.error().is(ENOTDIR)) continue;
      return text.error().in(path);
    }
    keys.merge(parse_profile(*text, profile, is_config));  // keeps what is there
  }
  if (keys.empty() && asked_for) {
    return error(EACCES, "AWS_PROFILE is {}, but neither {} nor {} has that profile", profile,
                 credentials, config);
  }
  if (keys.empty()) return not_here();
  return keys;
}

Result<Credentials> from_profile(const ChainInputs& inputs) {
  TRY_ASSIGN(ProfileKeys keys, read_profile(inputs));
  Credentials credentials{
      keys["aws_access_key_id"], keys["aws_secret_access_key"], keys["aws_session_token"], {}};
  if (credentials.access_key.empty() && credentials.secret_key.empty()) return not_here();
  if (credentials.access_key.empty() || credentials.secret_key.empty()) {
    return Error(EACCES, "the profile has only one of aws_access_key_id and aws_secret_access_key");
  }
  return credentials;
}

Result<Credentials> from_web_identity(const ChainInputs& inputs) {
  std::string role = inputs.variable("AWS_ROLE_ARN"),
              file = inputs.variable("AWS_WEB_IDENTITY_TOKEN_FILE"),
              session = inputs.variable("AWS_ROLE_SESSION_NAME");
  if (role.empty() || file.empty()) {
    Result<ProfileKeys> keys = read_profile(inputs);
    if (!keys.ok()) return not_here();
    role = (*keys)["role_arn"];
    file = (*keys)["web_identity_token_file"];
    if (session.empty()) session = (*keys)["role_session_name"];
  }
  if (role.empty() || file.empty()) return not_here();
  return fetch_web_identity(inputs, role, file, session.empty() ? "shoal" : session);
}

// Credentials of one place, fetched anew at 80 % of their life, jittered so that a fleet does not
// ask at once.
class Refreshing final : public CredentialsSource {
 public:
  Refreshing(CredentialsPlace place, Credentials first, Clock& clock, Random& random)
      : place_(std::move(place)), clock_(clock), random_(random) {
    keep(std::move(first));
  }

  Result<Credentials> get() override {
    const int64_t now = clock_.now().seconds;
    if (!refused_ && (current_.expires == Time{} || now < refresh_at_)) return current_;
    Result<Credentials> fetched = place_.fetch();
    if (fetched.ok()) {
      keep(std::move(*fetched));
      return current_;
    }
    if (!refused_ && now < current_.expires.seconds) {
      refresh_at_ = now + 10;  // still good; do not hammer a service in trouble
      return current_;
    }
    return error(EACCES, "{}: {}", place_.name, fetched.error().text());
  }

  void expired() override { refused_ = true; }

 private:
  void keep(Credentials credentials) {
    current_ = std::move(credentials);
    refused_ = false;
    const int64_t life = current_.expires.seconds - clock_.now().seconds;
    if (life <= 0) {
      refresh_at_ = 0;
      return;
    }
    const int64_t jitter =
        static_cast<int64_t>(random_.below(static_cast<uint64_t>(life / 20 + 1)));
    refresh_at_ = clock_.now().seconds + life * 8 / 10 - jitter;
  }

  const CredentialsPlace place_;
  Clock& clock_;
  Random& random_;
  Credentials current_;
  int64_t refresh_at_ = 0;
  bool refused_ = false;
};

}  // namespace

std::vector<CredentialsPlace> credentials_places(const ChainInputs& inputs) {
  return {{"environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY)",
           [inputs] { return from_environment(inputs); }},
          {"shared files (~/.aws/credentials, ~/.aws/config)",
           [inputs] { return from_profile(inputs); }},
          {"web identity (AWS_ROLE_ARN, AWS_WEB_IDENTITY_TOKEN_FILE)",
           [inputs] { return from_web_identity(inputs); }},
          {"container service (AWS_CONTAINER_CREDENTIALS_*_URI)",
           [inputs] { return fetch_container(inputs); }},
          {"instance metadata (IMDSv2)", [inputs] { return fetch_instance(inputs); }}};
}

Result<std::unique_ptr<CredentialsSource>> make_credentials_chain(const ChainInputs& inputs) {
  std::string looked_at;
  for (CredentialsPlace& place : credentials_places(inputs)) {
    Result<Credentials> found = place.fetch();
    if (found.ok()) {
      return std::unique_ptr<CredentialsSource>(std::make_unique<Refreshing>(
          std::move(place), std::move(*found), inputs.clock, inputs.random));
    }
    if (!looked_at.empty()) looked_at += "; ";
    looked_at += place.name + ": " + (found.error().is(ENOENT) ? "not set" : found.error().text());
  }
  return error(
      EACCES,
      "no S3 credentials found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (looked at {})",
      looked_at);
}

Result<std::unique_ptr<CredentialsSource>> make_default_credentials(LocalFs& fs, Clock& clock,
                                                                    Random& random) {
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value != nullptr ? value : "");
  };
  return make_credentials_chain({fs, clock, random, variable});
}

}  // namespace shoal::object
