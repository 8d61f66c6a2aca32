// Segments: their `B` records, changed by compare-and-commit under the segment's latch, and what gc
// asks.
#include "format/keys.h"
#include "meta/owner_impl.h"

namespace shoal::meta {
namespace {

constexpr size_t kSegmentsCached = 1 << 14;
using State = format::Segment::State;

}  // namespace

void Owner::cache_segment(const SegmentId& id, const CachedSegment& segment) {
  MutexLock lock(segments_mutex_);
  if (segments_.size() >= kSegmentsCached) segments_.clear();
  segments_[id] = segment;
}

Result<Owner::CachedSegment> Owner::segment_latched(const SegmentId& id) {
  {
    MutexLock lock(segments_mutex_);
    if (const auto it = segments_.find(id); it != segments_.end()) return it->second;
  }
  TRY_ASSIGN(const auto found, engine_.get(nullptr, format::segment_key(id)));
  if (!found) return error(ENOENT, "segment {} is not known", id.to_string());
  CachedSegment segment;
  TRY_ASSIGN(segment.record, format::decode_segment(found->value));
  segment.stamp = found->stamp;
  cache_segment(id, segment);
  return segment;
}

Status Owner::write_segment(const SegmentId& id, const CachedSegment& before,
                            const format::Segment& after) {
  Change change(stamps_);
  change.batch().update(format::segment_key(id), format::encode_segment(after), before.stamp);
  TRY(commit(change));
  cache_segment(id, {after, change.stamp()});
  return {};
}

Status Owner::check_segment(Change& change, const SegmentId& id) {
  TRY_ASSIGN(const CachedSegment segment, segment_latched(id));
  if (segment.record.state == State::kDying) {
    return error(ESTALE, "segment {} is being deleted", id.to_string());
  }
  change.batch().check(format::segment_key(id), segment.stamp);
  return {};
}

Result<int64_t> Owner::live_bytes(const SegmentId& id) {
  return engine::read_counter(engine_, nullptr, format::live_key(id));
}

Status Owner::segment_open(const Request& /*request*/, const SegmentId& id, uint32_t store) {
  TRY(healthy());
  {
    const Latches latch(segment_latches_, {exclusive(latch_key(id))});
    auto known = segment_latched(id);
    if (known.ok()) {
      if (known->record.store != store || known->record.state != State::kStaging) {
        return error(EEXIST, "segment {} exists already", id.to_string());
      }
    } else {
      if (!known.error().is(ENOENT)) return known.error();
      Change change(stamps_);
      format::Segment segment;
      segment.store = store;
      segment.born = change.stamp();
      change.batch().insert(format::segment_key(id), format::encode_segment(segment));
      TRY(commit(change));
      cache_segment(id, {segment, change.stamp()});
    }
  }
  return sync();
}

Status Owner::segment_stored(const Request& /*request*/, const SegmentId& id, uint64_t length,
                             bool complete) {
  TRY(healthy());
  const Latches latch(segment_latches_, {exclusive(latch_key(id))});
  TRY_ASSIGN(const CachedSegment before, segment_latched(id));
  format::Segment after = before.record;
  if (after.state == State::kDying) {
    return error(ESTALE, "segment {} is being deleted", id.to_string());
  }
  if (after.state == State::kStored && after.length != length) {
    return error(EINVAL, "segment {} was stored with {} bytes, now with {}", id.to_string(),
                 after.length, length);
  }
  after.state = State::kStored;
  after.length = length;
  after.complete = after.complete || complete;
  if (before.record.state == State::kStored && after.complete == before.record.complete) return {};
  return write_segment(id, before, after);
}

Status Owner::segment_discard(const Request& /*request*/, const SegmentId& id) {
  TRY(healthy());
  const Latches latch(segment_latches_, {exclusive(latch_key(id))});
  auto known = segment_latched(id);
  if (!known.ok()) return known.error().is(ENOENT) ? Status() : Status(known.error());
  if (known->record.state != State::kStaging && known->record.state != State::kLost) {
    return error(EBUSY, "segment {} is stored", id.to_string());
  }
  TRY_ASSIGN(const int64_t live, live_bytes(id));
  if (live != 0) return error(EBUSY, "segment {} has {} live bytes", id.to_string(), live);
  return erase_segment(id, known->stamp);
}

Status Owner::segment_lost(const SegmentId& id) {
  TRY(healthy());
  const Latches latch(segment_latches_, {exclusive(latch_key(id))});
  TRY_ASSIGN(const CachedSegment before, segment_latched(id));
  format::Segment after = before.record;
  if (after.state == State::kLost) return {};
  if (after.state != State::kStaging) {
    return error(EBUSY, "segment {} is not staging", id.to_string());
  }
  after.state = State::kLost;
  return write_segment(id, before, after);
}

// Its R records first, in pages: a crash between leaves B, and the next call finishes.
Status Owner::erase_segment(const SegmentId& id, Stamp stamp) {
  const std::string prefix = format::back_reference_prefix(id);
  for (;;) {
    TRY_ASSIGN(const engine::Page page,
               engine_.scan(nullptr, prefix, engine::prefix_end(prefix), kPageEntriesMax));
    if (page.items.empty()) break;
    Change change(stamps_);
    for (const engine::Item& item : page.items) change.batch().erase(item.key, item.stamp);
    TRY(commit(change));
  }
  Change change(stamps_);
  change.batch().erase(format::segment_key(id), stamp);
  change.batch().remove(format::live_key(id));
  TRY(commit(change));
  MutexLock lock(segments_mutex_);
  segments_.erase(id);
  return {};
}

Result<std::vector<SegmentInfo>> Owner::segments(const SegmentId& after, size_t limit) {
  TRY(healthy());
  const std::string begin =
      after.is_zero() ? std::string("B") : format::segment_key(after) + std::string(1, '\0');
  TRY_ASSIGN(const engine::Page page,
             engine_.scan(nullptr, begin, "C", std::clamp<size_t>(limit, 1, kPageEntriesMax)));
  std::vector<SegmentInfo> infos;
  infos.reserve(page.items.size());
  for (const engine::Item& item : page.items) {
    SegmentInfo info;
    TRY_ASSIGN(info.id, format::parse_segment_key(item.key));
    TRY_ASSIGN(info.record, format::decode_segment(item.value));
    TRY_ASSIGN(info.live_bytes, live_bytes(info.id));
    infos.push_back(info);
  }
  return infos;
}

Result<std::vector<SegmentInfo>> Owner::store_segments(uint32_t store) {
  std::vector<SegmentInfo> found;
  SegmentId after;
  for (;;) {
    TRY_ASSIGN(const auto page, segments(after, kPageEntriesMax));
    for (const SegmentInfo& info : page) {
      const bool stored = info.record.state == State::kStored || info.record.state == State::kDying;
      if (info.record.store == store && !stored) found.push_back(info);
    }
    if (page.size() < kPageEntriesMax) return found;
    after = page.back().id;
  }
}

Result<SegmentPlace> Owner::segment_place(const SegmentId& id) {
  TRY(healthy());
  SegmentPlace place;
  {
    const Latches latch(segment_latches_, {shared(latch_key(id))});
    TRY_ASSIGN(const CachedSegment segment, segment_latched(id));
    place.state = segment.record.state;
    place.store = segment.record.store;
  }
  if (place.state == State::kStored || place.state == State::kDying) return place;
  TRY_ASSIGN(auto store, store_of(place.store));
  if (!store) return place;
  place.host = std::move(store->host);
  place.path = std::move(store->path);
  place.address = std::move(store->address);
  return place;
}

Result<bool> Owner::segment_dying(const SegmentId& id) {
  TRY(healthy());
  {
    const Latches latch(segment_latches_, {exclusive(latch_key(id))});
    TRY_ASSIGN(CachedSegment before, segment_latched(id));
    format::Segment record = before.record;
    if (record.state == State::kStored) {
      TRY_ASSIGN(const int64_t live, live_bytes(id));
      if (!record.complete || live != 0) return false;
      record.state = State::kDying;
      TRY(write_segment(id, before, record));
      TRY_ASSIGN(before, segment_latched(id));
    }
    if (record.state != State::kDying) return false;
    TRY_ASSIGN(const int64_t live, live_bytes(id));
    if (live != 0) {
      record.state = State::kStored;
      record.died = 0;
      TRY(write_segment(id, before, record));
      return false;
    }
    if (record.died == 0) {
      record.died = stamps_.committed();
      TRY(write_segment(id, before, record));
    }
  }
  TRY(sync());
  return true;
}

Status Owner::segment_forget(const SegmentId& id) {
  TRY(healthy());
  const Latches latch(segment_latches_, {exclusive(latch_key(id))});
  auto known = segment_latched(id);
  if (!known.ok()) return known.error().is(ENOENT) ? Status() : Status(known.error());
  if (known->record.state != State::kDying || known->record.died == 0) {
    return error(EBUSY, "segment {} is not dying", id.to_string());
  }
  TRY_ASSIGN(const int64_t live, live_bytes(id));
  if (live != 0) return error(EBUSY, "segment {} has {} live bytes", id.to_string(), live);
  return erase_segment(id, known->stamp);
}

}  // namespace shoal::meta
