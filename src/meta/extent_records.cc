#include "meta/extent_records.h"

#include <algorithm>

#include "engine/for_each.h"
#include "format/keys.h"

namespace shoal::meta {
std::vector<StampedExtent> load_part(const std::vector<StampedExtent>& list, uint64_t from,
                                     uint64_t to, size_t limit) {
  auto it = std::lower_bound(
      list.begin(), list.end(), from,
      [](const StampedExtent& record, uint64_t offset) { return record.extent.offset < offset; });
  if (it != list.begin() && std::prev(it)->extent.end() >= from) --it;
  std::vector<StampedExtent> found;
  for (; it != list.end() && it->extent.offset <= to && found.size() <= limit; ++it) {
    found.push_back(*it);
  }
  return found;
}

Result<format::Extent> decode_extent_record(const engine::Item& item) {
  TRY_ASSIGN(const auto key, format::parse_extent_key(item.key));
  Decoder in(item.value);
  const uint8_t format = in.u8();
  if (format > format::kExtentFormat) {
    return error(ENOTSUP, "extent record of format {}: made by a newer shoal", format);
  }
  return format::decode_extent(in, key.second);
}

Result<std::vector<StampedExtent>> ExtentStore::load(Ino ino, const InodeRef& ref, uint64_t from,
                                                     uint64_t to, size_t limit) const {
  if (ref->records) return load_part(ref->records->list, from, to, limit);
  std::vector<StampedExtent> found;
  const std::string prefix = format::extent_prefix(ino);
  if (from > 0) {
    TRY_ASSIGN(const auto before, engine_.last(nullptr, prefix, format::extent_key(ino, from)));
    if (before) {
      TRY_ASSIGN(const format::Extent extent, decode_extent_record(*before));
      if (extent.end() >= from) found.push_back({extent, before->stamp});
    }
  }
  std::string begin = format::extent_key(ino, from);
  const std::string end = format::extent_key(ino, to) + '\0';
  while (found.size() <= limit) {
    const size_t page_max = std::min(kPageEntriesMax, limit + 1 - found.size() + 1);
    TRY_ASSIGN(const engine::Page page, engine_.scan(nullptr, begin, end, page_max));
    for (const engine::Item& item : page.items) {
      TRY_ASSIGN(const format::Extent extent, decode_extent_record(item));
      found.push_back({extent, item.stamp});
    }
    if (!page.more) break;
    begin = page.items.back().key + '\0';
  }
  return found;
}

Result<ExtentRecordsRef> ExtentStore::all(Ino ino, const InodeRef& ref) const {
  if (ref->records || ref->many_records) return ref->records;
  TRY_ASSIGN(auto list, load(ino, ref, 0, kFileBytesMax, kRecordsPerInode));
  return keep(std::move(list));
}

ExtentRecordsRef ExtentStore::keep(std::vector<StampedExtent> list) const {
  if (list.size() > kRecordsPerInode) return nullptr;
  const auto size = static_cast<int64_t>(list.size());
  if (kept_->fetch_add(size) + size > kRecordsMax) {
    kept_->fetch_sub(size);
    return nullptr;
  }
  list.shrink_to_fit();
  return ExtentRecordsRef(new ExtentRecords{std::move(list)},
                          [kept = kept_, size](const ExtentRecords* records) {
                            kept->fetch_sub(size);
                            delete records;
                          });
}

Result<size_t> ExtentStore::count(Ino ino, size_t limit) const {
  size_t seen = 0;
  const auto visit = [&](const engine::Item&) -> Result<engine::Visit> {
    return ++seen < limit ? engine::Visit::kContinue : engine::Visit::kStop;
  };
  TRY(engine::for_each_with(engine_, nullptr, format::extent_prefix(ino), visit));
  return seen;
}

}  // namespace shoal::meta
