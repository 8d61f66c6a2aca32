#include "data/fsck_bucket.h"

#include <algorithm>
#include <map>
#include <set>

#include "data/verify_segment.h"
#include "engine/for_each.h"
#include "format/keys.h"
#include "format/segment.h"
#include "format/volume.h"

namespace shoal::data {
namespace {

using format::Segment;

constexpr size_t kProblemsMax = 1'000;
constexpr uint64_t kToTheEnd = ~uint64_t{0};

class BucketFsck {
 public:
  BucketFsck(engine::KvEngine& engine, object::ObjectStore& store, const Uuid& volume,
             const BucketCheck& check)
      : engine_(engine), store_(store), volume_(volume), check_(check) {}

  Result<BucketReport> run() {
    TRY(list_objects());
    const auto check = [&](const engine::Item& item) -> Result<engine::Visit> {
      TRY_ASSIGN(const SegmentId id, format::parse_segment_key(item.key));
      TRY_ASSIGN(const Segment record, format::decode_segment(item.value));
      TRY(record.state == Segment::State::kStored ? check_stored(id, record)
                                                  : check_staged(id, record));
      return engine::Visit::kContinue;
    };
    const std::unique_ptr<engine::ReadToken> token = engine_.read_token();
    TRY(engine::for_each_with(engine_, token.get(), format::segment_prefix(), check));
    TRY(name_files());
    return std::move(report_);
  }

 private:
  void problem(std::string what) {
    ++report_.problems_total;
    if (report_.problems.size() < kProblemsMax) report_.problems.push_back({std::move(what)});
  }

  // One list of the bucket beforehand: a segment that becomes stored later is in it or is asked for
  // by itself.
  Status list_objects() {
    object::ListOptions list;
    for (bool more = true; more;) {
      TRY_ASSIGN(const object::ListPage page,
                 object::list_and_wait(store_, volume_.to_string() + "/seg/", list));
      for (const object::ObjectInfo& object : page.objects) {
        const Result<SegmentId> id = format::parse_segment_object_key(object.key);
        if (id.ok()) objects_.emplace(*id, object.size);
      }
      more = page.truncated;
      list.start_after = page.next_start_after;
    }
    return {};
  }

  Status check_stored(const SegmentId& id, const Segment& record) {
    auto found = objects_.find(id);
    if (found == objects_.end()) {
      const Result<object::ObjectInfo> head =
          object::head_and_wait(store_, format::segment_object_key(volume_, id));
      if (head.ok()) {
        found = objects_.emplace(id, head->size).first;
      } else if (!head.error().is(ENOENT)) {
        return head.error();
      }
    }
    if (found == objects_.end()) {
      problem(
          fmt::format("segment {} is stored by its record but not in the bucket", id.to_string()));
      damage_[id] = {{0, kToTheEnd}};
      return {};
    }
    if (found->second != record.length) {
      problem(fmt::format("segment {} has {} bytes in the bucket, its record says {}",
                          id.to_string(), found->second, record.length));
      damage_[id] = {{std::min(found->second, record.length), kToTheEnd}};
      return {};
    }
    return check_.data ? check_data(id, record) : Status();
  }

  Status check_data(const SegmentId& id, const Segment& record) {
    TRY_ASSIGN(std::vector<ByteRange> damaged, damaged_ranges(store_, volume_, id, record.length));
    bytes_read_ += record.length;
    if (check_.progress) check_.progress(bytes_read_);
    if (!damaged.empty()) damage_[id] = std::move(damaged);
    return {};
  }

  Status check_staged(const SegmentId& id, const Segment& record) {
    std::string why;
    if (record.state == Segment::State::kLost) {
      why = "was given up with its staging";
    } else if (record.state == Segment::State::kStaging) {
      const auto gone = check_.gone_stores.find(record.store);
      if (gone != check_.gone_stores.end())
        why = fmt::format("lies in staging folder {}, which is gone", gone->second);
    }
    if (why.empty()) return {};
    TRY_ASSIGN(const int64_t live, engine::read_counter(engine_, nullptr, format::live_key(id)));
    if (live == 0) return {};
    problem(fmt::format("segment {} {}: {} bytes of files", id.to_string(), why, live));
    damage_[id] = {{0, kToTheEnd}};
    return {};
  }

  // Which files the damage hurts, in one walk over all extents.
  Status name_files() {
    if (damage_.empty()) return {};
    struct Hurt {
      uint64_t first = 0;  // in the file
      uint64_t bytes = 0;
    };
    std::map<Ino, Hurt> hurt;
    std::set<SegmentId> hurting;
    TRY(meta::each_extent(engine_, [&](Ino ino, const format::Extent& extent) -> Status {
      const auto damaged = damage_.find(extent.target.segment);
      if (damaged == damage_.end()) return {};
      const uint64_t begin = extent.target.offset + extent.first;
      for (const ByteRange& range : damaged->second) {
        const uint64_t from = std::max(begin, range.begin);
        const uint64_t to = std::min(begin + extent.length, range.end);
        if (from >= to) continue;
        hurt.try_emplace(ino, Hurt{extent.offset + from - begin}).first->second.bytes += to - from;
        hurting.insert(extent.target.segment);
      }
      return {};
    }));
    // What no file has is nobody's loss: a power cut tears bytes that nothing was told of.
    for (const SegmentId& id : hurting) {
      for (const ByteRange& range : damage_[id]) {
        if (range.end == kToTheEnd) continue;  // said before
        problem(fmt::format("segment {}: {} bytes from {} are damaged", id.to_string(),
                            range.end - range.begin, range.begin));
      }
    }
    for (const auto& [ino, file] : hurt) {
      problem(fmt::format("{} (inode {}): {} bytes cannot be read, the first at {}",
                          check_.name_of ? check_.name_of(ino) : "file", ino, file.bytes,
                          file.first));
    }
    return {};
  }

  engine::KvEngine& engine_;
  object::ObjectStore& store_;
  const Uuid volume_;
  const BucketCheck& check_;
  BucketReport report_;
  std::unordered_map<SegmentId, uint64_t> objects_;
  std::unordered_map<SegmentId, std::vector<ByteRange>> damage_;
  uint64_t bytes_read_ = 0;
};

}  // namespace

Result<BucketReport> fsck_bucket(engine::KvEngine& engine, object::ObjectStore& store,
                                 const Uuid& volume, const BucketCheck& check) {
  return BucketFsck(engine, store, volume, check).run();
}

}  // namespace shoal::data
