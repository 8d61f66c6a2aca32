// AWS's shared files: ~/.aws/credentials and ~/.aws/config, in their INI form.
// Source: AWS SDKs and Tools Reference Guide, "Shared config and credentials files".
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace shoal::object {

using ProfileKeys = std::map<std::string, std::string>;

// The keys of one profile; empty when the text has no such section. A config file writes "[profile
// NAME]", but
// "[default]" plainly; a credentials file always "[NAME]".
ProfileKeys parse_profile(std::string_view text, std::string_view profile, bool is_config);

}  // namespace shoal::object
