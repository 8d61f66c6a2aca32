#include "base/coding.h"

namespace shoal {

Status Decoder::status(std::string_view what) const {
  if (!ok_) return error(EBADMSG, "{}: truncated or malformed", what);
  return {};
}

Status Decoder::finish(std::string_view what) const {
  TRY(status(what));
  if (!in_.empty()) return error(EBADMSG, "{}: {} bytes left over", what, in_.size());
  return {};
}

}  // namespace shoal
