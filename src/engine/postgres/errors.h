// What the server or libpq said, as our errors: the server named, in one sentence, with a remedy.
// Private to this folder.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "engine/postgres/url.h"

namespace shoal::engine::postgres {

struct Answer;

// Of libpq's message about a connection that was not made.
Error connect_error(const Target& target, std::string_view message);

// Of an answer that is not kDone. `doing`: "reading".
Error answer_error(const Target& target, const Answer& answer, std::string_view doing);

// Line breaks and runs of blanks become single blanks.
std::string one_line(std::string_view text);

}  // namespace shoal::engine::postgres
