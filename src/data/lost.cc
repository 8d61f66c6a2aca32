#include "data/lost.h"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "engine/for_each.h"
#include "format/keys.h"
#include "meta/fsck.h"

namespace shoal::data {
namespace {

using State = format::Segment::State;
using Segments = std::vector<std::pair<SegmentId, State>>;

bool is_nowhere_else(State state) { return state == State::kStaging || state == State::kLost; }

Result<std::map<uint32_t, Segments>> staged_by_store(engine::KvEngine& engine) {
  std::map<uint32_t, Segments> staged;
  const auto visit = [&](const engine::Item& item) -> Result<engine::Visit> {
    TRY_ASSIGN(const format::Segment segment, format::decode_segment(item.value));
    if (!is_nowhere_else(segment.state)) return engine::Visit::kContinue;
    TRY_ASSIGN(const SegmentId id, format::parse_segment_key(item.key));
    staged[segment.store].emplace_back(id, segment.state);
    return engine::Visit::kContinue;
  };
  TRY(engine::for_each_with(engine, nullptr, format::segment_prefix(), visit));
  return staged;
}

Result<std::unordered_map<uint32_t, format::StoreRecord>> all_stores(engine::KvEngine& engine) {
  std::unordered_map<uint32_t, format::StoreRecord> stores;
  const auto visit = [&](const engine::Item& item) -> Result<engine::Visit> {
    TRY_ASSIGN(format::StoreRecord store, format::decode_store(item.value));
    store.nonces.clear();
    stores[store.number] = std::move(store);
    return engine::Visit::kContinue;
  };
  TRY(engine::for_each_with(engine, nullptr, format::store_prefix(), visit));
  return stores;
}

// It may have been stored, or freed, since the list was made.
Result<bool> still_nowhere_else(engine::KvEngine& engine, const SegmentId& id) {
  TRY_ASSIGN(const auto found, engine.get(nullptr, format::segment_key(id)));
  if (!found) return false;
  TRY_ASSIGN(const format::Segment segment, format::decode_segment(found->value));
  return is_nowhere_else(segment.state);
}

class Finder {
 public:
  Finder(engine::KvEngine& engine, const LostCheck& check) : engine_(engine), check_(check) {}

  Result<LostReport> run() {
    TRY_ASSIGN(const auto staged, staged_by_store(engine_));
    TRY_ASSIGN(auto stores, all_stores(engine_));
    for (const auto& [number, segments] : staged) {
      format::StoreRecord& store = stores[number];
      store.number = number;
      TRY(ask(store, segments));
    }
    if (lost_.empty()) return std::move(report_);
    TRY(meta::each_extent(engine_, [this](Ino ino, const format::Extent& extent) -> Status {
      note(ino, extent);
      return {};
    }));
    finish();
    return std::move(report_);
  }

 private:
  Status ask(const format::StoreRecord& store, const Segments& segments) {
    LostStore lost{store, "", 0, 0};
    std::string silence;  // why it is asked no more
    for (const auto& [id, state] : segments) {
      std::string why = state == State::kLost ? "given up" : silence;
      if (state != State::kLost && silence.empty()) {
        const Result<bool> has = check_.has(store, id);
        if (has.ok() && *has) continue;
        why = has.ok() ? "it does not have them" : has.error().text();
        if (!has.ok()) silence = why;
      }
      TRY_ASSIGN(const bool gone, still_nowhere_else(engine_, id));
      if (!gone) continue;
      if (lost.why.empty()) lost.why = why;
      lost_[id] = report_.stores.size();
      ++lost.segments;
    }
    if (lost.segments > 0) report_.stores.push_back(std::move(lost));
    return {};
  }

  void note(Ino ino, const format::Extent& extent) {
    const auto at = lost_.find(extent.target.segment);
    if (at == lost_.end()) return;
    report_.stores[at->second].bytes += extent.length;
    report_.bytes += extent.length;
    if (files_.size() == kLostFilesMax && !files_.contains(ino)) {
      report_.more = true;
      return;
    }
    LostFile& file = files_[ino];
    file.ino = ino;
    file.bytes += extent.length;
    file.ranges.emplace_back(extent.offset, extent.length);
  }

  void finish() {
    // What was open when its journal was made, and holds nothing of a file, is no loss to anybody.
    std::erase_if(report_.stores, [](const LostStore& store) { return store.bytes == 0; });
    for (auto& [ino, file] : files_) {
      std::sort(file.ranges.begin(), file.ranges.end());
      std::vector<std::pair<uint64_t, uint64_t>> merged;
      for (const auto& [offset, length] : file.ranges) {
        if (!merged.empty() && merged.back().first + merged.back().second == offset) {
          merged.back().second += length;
        } else {
          merged.emplace_back(offset, length);
        }
      }
      file.ranges = std::move(merged);
      report_.files.push_back(std::move(file));
    }
  }

  engine::KvEngine& engine_;
  const LostCheck& check_;
  LostReport report_;
  std::unordered_map<SegmentId, size_t> lost_;  // → place in report_.stores
  std::map<Ino, LostFile> files_;
};

}  // namespace

Result<LostReport> find_lost(engine::KvEngine& engine, const LostCheck& check) {
  return Finder(engine, check).run();
}

}  // namespace shoal::data
