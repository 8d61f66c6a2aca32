// The places where AWS credentials may be, in the order of AWS's own tools. Private to s3/; tests
// replace the environment. Source: AWS SDKs and Tools Reference Guide, "Standardized credential
// providers".
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "object/s3/s3_store.h"

namespace shoal::object {

struct ChainInputs {
  LocalFs& fs;
  Clock& clock;
  Random& random;
  std::function<std::string(const char*)> variable;   // of the environment; "" when unset
  std::chrono::milliseconds metadata_timeout{1'000};  // ECS and IMDS: near or not there at all
  std::chrono::milliseconds sts_timeout{5'000};
};

// One place. fetch() is ENOENT when it is not set up here; other errors say what is wrong with it.
struct CredentialsPlace {
  std::string name;  // for messages
  std::function<Result<Credentials>()> fetch;
};

std::vector<CredentialsPlace> credentials_places(const ChainInputs& inputs);

// Takes the first place that has credentials and stays with it. EACCES naming every place
// otherwise.
Result<std::unique_ptr<CredentialsSource>> make_credentials_chain(const ChainInputs& inputs);

// The remote places.
Result<Credentials> fetch_web_identity(const ChainInputs& inputs, const std::string& role,
                                       const std::string& token_file, const std::string& session);
Result<Credentials> fetch_container(const ChainInputs& inputs);
Result<Credentials> fetch_instance(const ChainInputs& inputs);

}  // namespace shoal::object
