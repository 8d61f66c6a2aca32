// Extended attributes.
#include "meta/owner_impl.h"

namespace shoal::meta {

Result<std::string> Owner::getxattr(const Request&, Ino, std::string_view) { return Error(ENOSYS); }
Result<std::vector<std::string>> Owner::listxattr(const Request&, Ino) { return Error(ENOSYS); }
Status Owner::setxattr(const Request&, Ino, std::string_view, std::string_view, XattrMode, bool) {
  return Error(ENOSYS);
}
Status Owner::removexattr(const Request&, Ino, std::string_view) { return Error(ENOSYS); }

}  // namespace shoal::meta
