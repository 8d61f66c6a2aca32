#include "sim/sim_content.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace shoal::sim {

namespace {

// Beyond this the simulated kernel writes back of its own accord, as real ones do, so that a file
// which nobody ever syncs does not grow this history without bound.
constexpr uint64_t kUnsyncedBytesMax = 128u << 20;
constexpr size_t kUnsyncedChangesMax = 64 * 1024;
constexpr uint64_t kEverything = std::numeric_limits<uint64_t>::max();

uint64_t sectors(uint64_t offset, uint64_t end) {
  if (offset >= end) return 0;
  return (end - 1) / SimContent::kSectorBytes - offset / SimContent::kSectorBytes + 1;
}

}  // namespace

CutReport& CutReport::operator+=(const CutReport& other) {
  writes_kept += other.writes_kept;
  writes_dropped += other.writes_dropped;
  writes_torn += other.writes_torn;
  names_kept += other.names_kept;
  names_dropped += other.names_dropped;
  return *this;
}

size_t SimContent::read(uint64_t offset, MutableBytes into) const {
  if (offset >= size_) return 0;
  const size_t length = static_cast<size_t>(std::min<uint64_t>(into.size(), size_ - offset));
  for (size_t done = 0; done < length;) {
    const uint64_t at = offset + done;
    const size_t n =
        static_cast<size_t>(std::min<uint64_t>(length - done, kPageBytes - at % kPageBytes));
    const auto page = pages_.find(at / kPageBytes);
    if (page == pages_.end() || page->second == nullptr) {
      std::memset(into.data() + done, 0, n);
    } else {
      std::memcpy(into.data() + done, page->second->data() + at % kPageBytes, n);
    }
    done += n;
  }
  return length;
}

size_t SimContent::write(uint64_t offset, ByteView bytes, uint64_t pages_max) {
  if (bytes.empty()) return 0;
  uint64_t end = offset + bytes.size();
  for (uint64_t page = offset / kPageBytes; page * kPageBytes < end; ++page) {
    if (pages_.contains(page)) continue;
    if (pages_max == 0) {
      end = std::max(offset, page * kPageBytes);
      break;
    }
    --pages_max;
  }
  bytes = bytes.first(static_cast<size_t>(end - offset));
  if (bytes.empty()) return 0;
  for (uint64_t page = offset / kPageBytes; page * kPageBytes < end; ++page) remember(page);
  copy_in(offset, bytes);
  size_ = std::max(size_, end);
  record(Kind::kWrite, offset, end, bytes);
  return bytes.size();
}

void SimContent::truncate(uint64_t size) {
  if (size < size_) {
    for (auto page = pages_.lower_bound(size / kPageBytes); page != pages_.end(); ++page)
      remember(page->first);
    zero(size, kEverything);
  }
  size_ = size;
  record(Kind::kTruncate, size, kEverything, {});
}

bool SimContent::allocate(uint64_t offset, uint64_t length, uint64_t pages_max) {
  const uint64_t end = offset + length;
  uint64_t missing = 0;
  for (uint64_t page = offset / kPageBytes; page * kPageBytes < end; ++page) {
    if (!pages_.contains(page) && ++missing > pages_max) return false;
  }
  for (uint64_t page = offset / kPageBytes; missing > 0 && page * kPageBytes < end; ++page) {
    if (!pages_.contains(page)) remember(page);
  }
  reserve(offset, end);
  size_ = std::max(size_, end);
  record(Kind::kAllocate, offset, end, {});
  return true;
}

void SimContent::punch(uint64_t offset, uint64_t length) {
  const uint64_t end = offset + length;
  for (auto page = pages_.lower_bound(offset / kPageBytes);
       page != pages_.end() && page->first * kPageBytes < end; ++page) {
    remember(page->first);
  }
  zero(offset, end);
  record(Kind::kPunch, offset, end, {});
}

void SimContent::sync() {
  synced_pages_.clear();
  changes_.clear();
  change_bytes_ = 0;
  synced_size_ = size_;
}

void SimContent::record(Kind kind, uint64_t offset, uint64_t end, ByteView data) {
  changes_.push_back({kind, offset, end, ByteBuffer(data.begin(), data.end()), size_});
  change_bytes_ += data.size();
  if (change_bytes_ > kUnsyncedBytesMax || changes_.size() > kUnsyncedChangesMax) sync();
}

// Keeps the synced version of a page that is about to change.
void SimContent::remember(uint64_t page) {
  if (synced_pages_.contains(page)) return;
  const auto now = pages_.find(page);
  synced_pages_.emplace(page, now == pages_.end() ? std::optional<PagePtr>() : now->second);
}

SimContent::Page& SimContent::writable(uint64_t page) {
  PagePtr& now = pages_[page];
  if (now == nullptr) {
    now = std::make_shared<Page>();
    now->fill(std::byte{0});
  } else if (now.use_count() > 1) {  // the synced version is the same page
    now = std::make_shared<Page>(*now);
  }
  return *now;
}

void SimContent::copy_in(uint64_t offset, ByteView bytes) {
  while (!bytes.empty()) {
    const size_t n =
        static_cast<size_t>(std::min<uint64_t>(bytes.size(), kPageBytes - offset % kPageBytes));
    std::memcpy(writable(offset / kPageBytes).data() + offset % kPageBytes, bytes.data(), n);
    bytes = bytes.subspan(n);
    offset += n;
  }
}

// Makes [offset, end) read as zeros: whole pages become holes.
void SimContent::zero(uint64_t offset, uint64_t end) {
  auto page = pages_.lower_bound(offset / kPageBytes);
  while (page != pages_.end() && page->first * kPageBytes < end) {
    const uint64_t start = page->first * kPageBytes;
    const uint64_t from = std::max(start, offset);
    const uint64_t to = std::min(start + kPageBytes, end);
    if (to - from == kPageBytes) {
      page = pages_.erase(page);
      continue;
    }
    if (page->second != nullptr)
      std::memset(writable(page->first).data() + (from - start), 0, to - from);
    ++page;
  }
}

void SimContent::reserve(uint64_t offset, uint64_t end) {
  for (uint64_t page = offset / kPageBytes; page * kPageBytes < end; ++page)
    pages_.try_emplace(page, nullptr);
}

bool SimContent::Fate::keeps(uint64_t sector) const {
  if (sector < whole) return true;
  if (scatter == 0) return false;
  uint64_t mixed = (sector + 1) * (scatter | 1) * 0x9e3779b97f4a7c15u;
  mixed ^= mixed >> 29;
  return (mixed * 0xbf58476d1ce4e5b9u) >> 63 != 0;
}

SimContent::Plan SimContent::plan_cut(SeededRandom& random) const {
  const size_t n = changes_.size();
  Plan plan{n, std::vector<Fate>(n, Fate{kEverything, 0})};
  const uint64_t style = random.below(100);
  if (style < 20) return plan;  // written back just in time
  if (style < 40) {             // nothing was
    plan.metadata = 0;
    std::fill(plan.fates.begin(), plan.fates.end(), Fate{});
    return plan;
  }
  if (style < 65) {  // in order, the last one torn
    const size_t torn = random.below(n);
    std::fill(plan.fates.begin() + static_cast<ptrdiff_t>(torn), plan.fates.end(), Fate{});
    plan.fates[torn].whole = random.below(sectors(changes_[torn].offset, changes_[torn].end) + 1);
    plan.metadata = torn + random.below(2);
    return plan;
  }
  size_t last_kept = 0;  // any order
  const bool scattered = style >= 85;
  for (size_t i = 0; i < n; ++i) {
    Fate& fate = plan.fates[i];
    if (random.chance(50)) {
      last_kept = i + 1;
      if (!random.chance(30)) continue;
      fate.whole = random.below(sectors(changes_[i].offset, changes_[i].end) + 1);
      if (scattered) fate.scatter = random.u64() | 1;
    } else {
      fate = Fate{0, scattered ? random.u64() | 1 : 0};
    }
  }
  plan.metadata = random.chance(50) ? last_kept : random.below(n + 1);
  return plan;
}

void SimContent::report_cut(const Plan& plan, CutReport& report) const {
  for (size_t i = 0; i < changes_.size(); ++i) {
    if (changes_[i].kind != Kind::kWrite) {
      ++(i < plan.metadata ? report.writes_kept : report.writes_dropped);
      continue;
    }
    const uint64_t count = sectors(changes_[i].offset, changes_[i].end);
    uint64_t kept = 0;
    for (uint64_t s = 0; s < count; ++s) kept += plan.fates[i].keeps(s) ? 1 : 0;
    ++(kept == count ? report.writes_kept : kept == 0 ? report.writes_dropped : report.writes_torn);
  }
}

void SimContent::cut(SeededRandom& random, CutReport& report) {
  if (changes_.empty()) return;
  const Plan plan = plan_cut(random);
  report_cut(plan, report);
  for (auto& [page, slot] : synced_pages_) {
    if (slot) {
      pages_[page] = std::move(*slot);
    } else {
      pages_.erase(page);
    }
  }
  synced_pages_.clear();
  replay(plan, std::exchange(changes_, {}));
  sync();
}

// From the synced version, which pages_ is now, to the one that `plan` picked.
void SimContent::replay(const Plan& plan, const std::vector<Change>& changes) {
  // Per sector the last change whose bytes it has, counted from 1. It has those of the earlier ones
  // too, whatever was planned for them: the page cache had them when it was written back.
  std::unordered_map<uint64_t, size_t> versions;
  for (size_t i = 0; i < changes.size(); ++i) {
    if (changes[i].kind != Kind::kWrite) continue;
    const uint64_t first = changes[i].offset / kSectorBytes;
    const uint64_t count = sectors(changes[i].offset, changes[i].end);
    for (uint64_t s = 0; s < count; ++s) {
      if (plan.fates[i].keeps(s)) versions[first + s] = i + 1;
    }
  }

  std::vector<std::pair<uint64_t, uint64_t>>
      elsewhere;  // sectors that lost changes moved to other blocks
  for (size_t i = 0; i < changes.size(); ++i) {
    const Change& change = changes[i];
    const bool metadata_kept = i < plan.metadata;
    if (change.kind == Kind::kAllocate) {
      if (metadata_kept) reserve(change.offset, change.end);
      continue;
    }
    if (change.kind != Kind::kWrite) {
      if (metadata_kept) {
        zero(change.offset, change.end);
      } else {
        elsewhere.emplace_back(change.offset / kSectorBytes, (change.end - 1) / kSectorBytes);
      }
      continue;
    }
    for (uint64_t at = change.offset; at < change.end;) {
      const uint64_t sector = at / kSectorBytes;
      const uint64_t end = std::min(change.end, (sector + 1) * kSectorBytes);
      const auto version = versions.find(sector);
      const bool kept =
          version != versions.end() && version->second > i &&
          std::none_of(elsewhere.begin(), elsewhere.end(), [sector](const auto& range) {
            return range.first <= sector && sector <= range.second;
          });
      if (kept) copy_in(at, ByteView(change.data).subspan(at - change.offset, end - at));
      at = end;
    }
  }
  size_ = plan.metadata == 0 ? synced_size_ : changes[plan.metadata - 1].size_after;
  zero(size_, kEverything);
}

}  // namespace shoal::sim
