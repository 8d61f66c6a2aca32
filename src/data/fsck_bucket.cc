#include "data/fsck_bucket.h"

#include <unordered_map>

#include "format/keys.h"
#include "format/segment.h"

namespace shoal::data {

Result<std::vector<meta::FsckProblem>> fsck_bucket(engine::KvEngine& engine,
                                                   object::ObjectStore& store, const Uuid& volume,
                                                   const Staging* staging) {
  std::vector<meta::FsckProblem> problems;
  const std::string first = format::segment_key(SegmentId{}).substr(0, 1);
  std::string begin = first;
  const std::string end = engine::prefix_end(first);
  // One list of the bucket beforehand: a segment that becomes stored later is in it or is asked for
  // by itself.
  std::unordered_map<SegmentId, uint64_t> objects;
  object::ListOptions list;
  for (bool more = true; more;) {
    TRY_ASSIGN(const object::ListPage page,
               object::list_and_wait(store, volume.to_string() + "/seg/", list));
    for (const object::ObjectInfo& object : page.objects) {
      const Result<SegmentId> id = format::parse_segment_object_key(object.key);
      if (id.ok()) objects.emplace(*id, object.size);
    }
    more = page.truncated;
    list.start_after = page.next_start_after;
  }
  const std::unique_ptr<engine::ReadToken> token = engine.read_token();
  for (bool more = true; more;) {
    TRY_ASSIGN(const engine::Page page, engine.scan(token.get(), begin, end, kPageEntriesMax));
    for (const engine::Item& item : page.items) {
      TRY_ASSIGN(const SegmentId id, format::parse_segment_key(item.key));
      TRY_ASSIGN(const format::Segment record, format::decode_segment(item.value));
      if (record.state == format::Segment::State::kStored) {
        auto found = objects.find(id);
        if (found == objects.end()) {
          const Result<object::ObjectInfo> head =
              object::head_and_wait(store, format::segment_object_key(volume, id));
          if (head.ok()) {
            found = objects.emplace(id, head->size).first;
          } else if (!head.error().is(ENOENT)) {
            return head.error();
          }
        }
        if (found == objects.end()) {
          problems.push_back({fmt::format(
              "segment {} is stored by its record but not in the bucket", id.to_string())});
        } else if (found->second != record.length) {
          problems.push_back(
              {fmt::format("segment {} has {} bytes in the bucket, its record says {}",
                           id.to_string(), found->second, record.length)});
        }
      }
    }
    more = page.more;
    if (more) begin = page.items.back().key + '\0';
  }
  (void)staging;
  return problems;
}

}  // namespace shoal::data
