// mkdir(2).
#include <sys/stat.h>

#include "meta/owner_impl.h"

namespace shoal::meta {

Result<Attr> Owner::mkdir(const Request& request, Ino parent, std::string_view name,
                          uint32_t mode) {
  // S_ISUID and S_ISGID asked for are dropped, as Linux does; S_ISGID comes from the parent.
  return make(request, parent, name, {.mode = S_IFDIR | (mode & 01777)});
}

}  // namespace shoal::meta
