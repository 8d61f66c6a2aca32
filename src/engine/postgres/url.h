// What a postgres:// URL says. Private to this folder.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/error.h"

namespace shoal::engine::postgres {

struct Target {
  std::vector<std::pair<std::string, std::string>> parameters;  // libpq's, password and all
  std::string prefix;                                           // the schema
  std::string shown;  // "PostgreSQL at db1:5432, database shoal"; never the password
};

// EINVAL, in words that repeat nothing of the URL which might be a part of the password.
Result<Target> parse_url(const std::string& url);

}  // namespace shoal::engine::postgres
