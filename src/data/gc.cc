#include "data/gc.h"

#include "base/log.h"

namespace shoal::data {
namespace {

using format::Segment;
using meta::SegmentInfo;

class Collector {
 public:
  Collector(meta::Maintenance& maintenance, object::ObjectStore& store, Reader* reader,
            const Uuid& volume, const GcOptions& options)
      : maintenance_(maintenance),
        store_(store),
        reader_(reader),
        volume_(volume),
        options_(options) {}

  Status visit(const SegmentInfo& info, GcReport& report) {
    ++report.segments;
    report.stored_bytes += info.record.length;
    report.live_bytes += static_cast<uint64_t>(std::max<int64_t>(info.live_bytes, 0));
    const bool dying = info.record.state == Segment::State::kDying;
    const bool dead = info.record.state == Segment::State::kStored && info.record.complete &&
                      info.live_bytes == 0;
    if (!dying && !dead) return {};
    ++report.dead_segments;
    report.dead_bytes += info.record.length;
    if (!options_.remove) return {};
    // Also when it is dying already: a crash may have come before W was looked at or the stamp was
    // durable.
    TRY_ASSIGN(const bool marked, maintenance_.segment_dying(info.id));
    if (!marked) return {};  // somebody referenced it meanwhile
    TRY(object::remove_and_wait(store_, format::segment_object_key(volume_, info.id)));
    TRY(maintenance_.segment_forget(info.id));
    if (reader_ != nullptr) reader_->forget(info.id);
    ++report.removed_segments;
    return {};
  }

 private:
  meta::Maintenance& maintenance_;
  object::ObjectStore& store_;
  Reader* reader_;
  const Uuid& volume_;
  const GcOptions& options_;
};

// Looks B up for a page of keys at a time: the page's ids bound the scan, hash digits in the key
// scatter them.
Result<bool> known(meta::Maintenance& maintenance, const SegmentId& id) {
  SegmentId before = id;
  if (before.sequence > 0) {
    --before.sequence;
  } else {
    before = {before.nonce - 1, ~uint64_t{0}};
  }
  TRY_ASSIGN(const std::vector<SegmentInfo> found, maintenance.segments(before, 1));
  return !found.empty() && found.front().id == id;
}

Status collect_orphans(meta::Maintenance& maintenance, object::ObjectStore& store,
                       const Uuid& volume, const Clock& clock, const GcOptions& options,
                       GcReport& report) {
  const std::string prefix = volume.to_string() + "/seg/";
  object::ListOptions list;
  for (;;) {
    TRY_ASSIGN(const object::ListPage page, object::list_and_wait(store, prefix, list));
    for (const object::ObjectInfo& object : page.objects) {
      const Result<SegmentId> id = format::parse_segment_object_key(object.key);
      if (!id.ok()) continue;  // not ours: left alone
      TRY_ASSIGN(const bool in_metadata, known(maintenance, *id));
      if (in_metadata || clock.now().seconds - object.modified.seconds < options.orphan_age.count())
        continue;
      ++report.orphans;
      report.orphan_bytes += object.size;
      if (!options.remove) continue;
      TRY(object::remove_and_wait(store, object.key));
      ++report.removed_orphans;
    }
    if (!page.truncated) return {};
    list.start_after = page.next_start_after;
  }
}

}  // namespace

Result<GcReport> collect_garbage(meta::Metadata& metadata, meta::Maintenance& maintenance,
                                 object::ObjectStore& store, Reader* reader, const Uuid& volume,
                                 const Clock& clock, const GcOptions& options) {
  GcReport report;
  Collector collector(maintenance, store, reader, volume, options);
  SegmentId after{};
  for (;;) {
    TRY_ASSIGN(const std::vector<SegmentInfo> page, maintenance.segments(after, kPageEntriesMax));
    if (page.empty()) break;
    for (const SegmentInfo& info : page) TRY(collector.visit(info, report));
    after = page.back().id;
    if (options.progress) options.progress(report.segments);
  }
  // The records that say "dying" must not come back after the objects are gone.
  if (report.removed_segments > 0) TRY(metadata.sync());
  if (options.orphans) TRY(collect_orphans(maintenance, store, volume, clock, options, report));
  return report;
}

}  // namespace shoal::data
