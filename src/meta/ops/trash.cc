// Trash: what unlink, rmdir and rename-over moved there (links.cc, drop_inode).
#include "meta/owner_impl.h"

namespace shoal::meta {

Result<std::vector<TrashEntry>> Owner::trash_list(size_t) { return Error(ENOSYS); }
Status Owner::trash_restore(Ino, std::optional<std::pair<Ino, std::string>>) { return Error(ENOSYS); }
Result<uint64_t> Owner::trash_empty(uint32_t) { return Error(ENOSYS); }
void Owner::age_trash() {}
void Owner::make_room(uint64_t, uint64_t) {}

}  // namespace shoal::meta
