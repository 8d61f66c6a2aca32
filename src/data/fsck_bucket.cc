#include "data/fsck_bucket.h"

#include <optional>
#include <unordered_map>

#include "engine/for_each.h"
#include "format/keys.h"
#include "format/segment.h"
#include "format/volume.h"

namespace shoal::data {

namespace {

using Objects = std::unordered_map<SegmentId, uint64_t>;  // bytes

Result<Objects> list_segments(object::ObjectStore& store, const Uuid& volume) {
  Objects objects;
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
  return objects;
}

// Nothing: it is not in the bucket.
Result<std::optional<uint64_t>> bytes_of(const SegmentId& id, const Objects& listed,
                                         object::ObjectStore& store, const Uuid& volume) {
  const auto found = listed.find(id);
  if (found != listed.end()) return std::optional(found->second);
  const Result<object::ObjectInfo> head =
      object::head_and_wait(store, format::segment_object_key(volume, id));
  if (head.ok()) return std::optional(head->size);
  if (head.error().is(ENOENT)) return std::optional<uint64_t>();
  return head.error();
}

}  // namespace

Result<std::vector<meta::FsckProblem>> fsck_bucket(engine::KvEngine& engine,
                                                   object::ObjectStore& store, const Uuid& volume) {
  std::vector<meta::FsckProblem> problems;
  // One list of the bucket beforehand: a segment that becomes stored later is in it or is asked for
  // by itself.
  TRY_ASSIGN(const Objects listed, list_segments(store, volume));
  const auto check = [&](const engine::Item& item) -> Result<engine::Visit> {
    TRY_ASSIGN(const SegmentId id, format::parse_segment_key(item.key));
    TRY_ASSIGN(const format::Segment record, format::decode_segment(item.value));
    if (record.state != format::Segment::State::kStored) return engine::Visit::kContinue;
    TRY_ASSIGN(const std::optional<uint64_t> bytes, bytes_of(id, listed, store, volume));
    if (!bytes) {
      problems.push_back({fmt::format("segment {} is stored by its record but not in the bucket",
                                      id.to_string())});
    } else if (*bytes != record.length) {
      problems.push_back({fmt::format("segment {} has {} bytes in the bucket, its record says {}",
                                      id.to_string(), *bytes, record.length)});
    }
    return engine::Visit::kContinue;
  };
  const std::unique_ptr<engine::ReadToken> token = engine.read_token();
  TRY(engine::for_each_with(engine, token.get(), format::segment_prefix(), check));
  return problems;
}

}  // namespace shoal::data
