// The extents of a file, in pages.
#include <algorithm>

#include "format/keys.h"
#include "meta/owner_impl.h"

namespace shoal::meta {

Result<ExtentPage> Owner::extents(const Request& /*request*/, Ino ino, uint64_t from,
                                  size_t limit) {
  TRY(healthy());
  const size_t wanted = std::clamp<size_t>(limit, 1, kPageEntriesMax);
  const Latches latch(latches_, {shared(ino)});
  TRY_ASSIGN(const InodeRef ref, inode_latched(ino));
  ExtentPage page;
  page.data_version = ref->inode.data_version;
  page.size = ref->inode.size;
  const auto add = [&](const format::Extent& extent) {
    if (extent.end() <= from) return;
    if (page.extents.size() == wanted) {
      page.more = true;
    } else {
      page.extents.push_back(extent);
    }
  };
  if (ref->inode.content != format::Content::kExtents) {
    for (const format::Extent& extent : ref->inode.extents) add(extent);
    return page;
  }
  TRY_ASSIGN(const auto found, extent_store_.load(ino, ref, from, kFileBytesMax, wanted + 1));
  for (const StampedExtent& stamped : found) add(stamped.extent);
  return page;
}

}  // namespace shoal::meta
