// For tests of meta/: a volume on the memory engine whose owner can be dropped and opened again,
// and a small check of the whole metadata from scratch.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "engine/memory/memory_engine.h"
#include "format/keys.h"
#include "meta/extent_work.h"
#include "meta/owner.h"
#include "sim/fake_clock.h"
#include "sim/manual_executor.h"
#include "sim/seeded_random.h"

namespace shoal::meta {

inline uint32_t store_number(Metadata& m, SessionId session) {
  return m.store_open(session, Uuid{{1}}, "host", "/state", 77, "").value();
}

class TestVolume {
 public:
  explicit TestVolume(VolumeSpec spec = {.name = "v", .bucket = "file:///b", .trash_days = 0},
                      engine::KvEngine* under = nullptr)
      : memory_(engine::make_memory_engine()), engine_(under != nullptr ? under : memory_.get()) {
    format_volume(*engine_, spec, clock, random).value();
    open();
  }

  // A new owner; the one before, if any, is dropped as a crash would.
  void open() {
    owner.reset();
    executor = std::make_unique<sim::ManualExecutor>(clock);
    owner = open_owner(*engine_, clock, random, *executor).value();
    request = {};
    request.session = m().session_open("host", "test").value();
    request.caller.kernel_checked = true;
    store = store_number(m(), request.session);
  }
  Metadata& m() { return owner->metadata(); }
  Maintenance& jobs() { return owner->maintenance(); }
  engine::KvEngine& engine() { return *engine_; }

  Request as(uint32_t uid, uint32_t gid) const {
    Request other = request;
    other.caller.uid = uid;
    other.caller.gid = gid;
    other.caller.kernel_checked = false;
    return other;
  }
  Ino dir(Ino parent, const std::string& name) {
    return m().mkdir(request, parent, name, 0755).value().ino;
  }
  // Created and released.
  Ino file(Ino parent, const std::string& name) {
    const Ino ino = m().create(request, parent, name, 0644, {}, true).value().opened.attr.ino;
    m().release(request, ino, {}).value();
    return ino;
  }
  Attr attr(Ino ino) { return m().getattr(request, ino).value(); }
  int lookup_code(Ino parent, const std::string& name) {
    return m().lookup(request, parent, name).code();
  }
  std::string names(Ino ino) {
    std::string all;
    std::string after;
    for (;;) {
      const DirPage page = m().readdir(request, ino, after, 3, true).value();
      for (const DirEntry& entry : page.entries) {
        all += (all.empty() ? "" : " ") + entry.name;
        EXPECT_TRUE(entry.attr && entry.attr->ino == entry.ino);
        after = entry.name;
      }
      if (!page.more) return all;
    }
  }

  // A data record as a client makes them: chained by sequence, on the inode's version.
  DataRecord data(Ino ino, uint64_t offset, uint64_t length, const SegmentId& segment,
                  uint64_t at = 0) {
    DataRecord record = operation(format::RecordKind::kData, ino, offset, length);
    record.target = format::Target{.segment = segment, .offset = at, .length = length};
    return record;
  }
  DataRecord operation(format::RecordKind kind, Ino ino, uint64_t offset, uint64_t length) {
    DataRecord record;
    record.header.kind = kind;
    record.header.ino = ino;
    record.header.generation = attr(ino).generation;
    record.header.sequence = ++sequence;
    record.header.previous_sequence = last_sequence[ino];
    record.header.base_version = attr(ino).data_version;
    record.header.offset = offset;
    record.header.length = length;
    record.header.mtime = clock.now();
    last_sequence[ino] = sequence;
    return record;
  }
  std::vector<DataOutcome::Kind> commit(const std::vector<DataRecord>& records) {
    std::vector<DataOutcome::Kind> kinds;
    const CommitReply reply = m().commit_data(request, store, records).value();
    for (const DataOutcome& outcome : reply.outcomes) kinds.push_back(outcome.kind);
    return kinds;
  }
  SegmentId segment(uint64_t n) {
    const SegmentId id{77, n};
    m().segment_open(request, id, store).value();
    return id;
  }
  std::vector<format::Extent> extents(Ino ino) {
    std::vector<format::Extent> all;
    for (uint64_t from = 0;;) {
      const ExtentPage page = m().extents(request, ino, from, 3).value();
      all.insert(all.end(), page.extents.begin(), page.extents.end());
      if (!page.more) return all;
      from = page.extents.back().end();
    }
  }
  int64_t live(const SegmentId& id) {
    return engine::read_counter(*engine_, nullptr, format::live_key(id)).value();
  }
  std::vector<engine::Item> all(std::string_view letter) {
    std::vector<engine::Item> items;
    std::string begin(letter);
    for (;;) {
      auto page = engine_->scan(nullptr, begin, engine::prefix_end(letter), 1000).value();
      items.insert(items.end(), page.items.begin(), page.items.end());
      if (!page.more) return items;
      begin = page.items.back().key + '\0';
    }
  }
  // Every count that the metadata keeps, recounted.
  void check();

  sim::FakeClock clock;
  sim::SeededRandom random{42};
  std::unique_ptr<sim::ManualExecutor> executor;
  std::unique_ptr<OwnerHandle> owner;
  Request request;
  uint32_t store = 0;
  uint64_t sequence = 0;
  std::map<Ino, uint64_t> last_sequence;

 private:
  std::unique_ptr<engine::KvEngine> memory_;
  engine::KvEngine* engine_;
};

inline void TestVolume::check() {
  std::map<Ino, format::Inode> inodes;
  std::map<Ino, std::map<Ino, uint32_t>> names;  // inode → parent → names
  std::map<Ino, uint64_t> entries, subdirectories;
  std::map<SegmentId, int64_t> live_bytes;
  int64_t bytes = 0, trash_bytes = 0, trash_inodes = 0;
  for (const auto& item : all("I")) {
    inodes[format::parse_inode_key(item.key).value()] = format::decode_inode(item.value).value();
  }
  for (const auto& item : all("D")) {
    const auto [parent, name] = format::parse_entry_key(item.key).value();
    const Ino ino = format::decode_entry(item.value).value().ino;
    ++names[ino][parent];
    ++entries[parent];
    ASSERT_TRUE(inodes.contains(ino)) << name << " names " << ino;
    ASSERT_TRUE(inodes.contains(parent)) << name << " in " << parent;
    if (inodes[ino].is_directory()) ++subdirectories[parent];
  }
  std::set<Ino> nameless;
  for (const auto& item : all("O")) {
    nameless.insert(format::parse_open_unlinked_key(item.key).value().second);
  }
  for (const auto& item : all("G"))
    nameless.insert(format::parse_reclaim_key(item.key).value().second);
  for (const auto& item : all("T"))
    nameless.insert(format::parse_trash_key(item.key).value().second);
  for (auto& [ino, inode] : inodes) {
    uint32_t count = 0;
    for (const auto& [parent, n] : names[ino]) count += n;
    if (ino == kRootIno) {
      count = 1;
    } else if (count == 0) {
      EXPECT_TRUE(nameless.contains(ino)) << ino << " has no name and nothing keeps it";
      EXPECT_EQ(inode.nlink, 0u) << ino;
    }
    if (count > 0) {
      EXPECT_EQ(inode.nlink, inode.is_directory() ? 2 + subdirectories[ino] : count) << ino;
      if (ino != kRootIno) {
        EXPECT_TRUE(names[ino].contains(inode.parent)) << ino;
      }
    }
    EXPECT_EQ(inode.entries, entries[ino]) << ino;
    std::vector<format::Extent> extents = inode.extents;
    if (inode.content == format::Content::kExtents) {
      const auto records =
          ExtentStore(*engine_)
              .load(ino, std::make_shared<CachedInode>(), 0, kFileBytesMax, 1'000'000)
              .value();
      for (const StampedExtent& stamped : records) extents.push_back(stamped.extent);
    } else {
      EXPECT_LE(extents.size(), kExtentsInline);
    }
    uint64_t end = 0, allocated = 0;
    for (const format::Extent& extent : extents) {
      EXPECT_GE(extent.offset, end) << ino;
      end = extent.end();
      allocated += extent.length;
      live_bytes[extent.target.segment] += static_cast<int64_t>(extent.length);
    }
    EXPECT_LE(end, inode.size) << ino;
    EXPECT_EQ(inode.allocated, allocated) << ino;
    bytes += static_cast<int64_t>(allocated);
    if ((inode.flags & format::kFlagTrashed) != 0) {
      trash_bytes += static_cast<int64_t>(allocated);
      ++trash_inodes;
    }
  }
  for (const auto& item : all("E")) {
    const Ino ino = format::parse_extent_key(item.key).value().first;
    EXPECT_TRUE(inodes.contains(ino) && inodes[ino].content == format::Content::kExtents) << ino;
  }
  std::map<Ino, std::map<Ino, uint32_t>> links;
  for (const auto& item : all("L")) {
    const auto [ino, parent] = format::parse_link_key(item.key).value();
    links[ino][parent] = format::decode_link_count(item.value).value();
  }
  for (const auto& [ino, inode] : inodes) {
    if (!inode.is_directory() && inode.nlink > 1) {
      EXPECT_EQ(links[ino], names[ino]) << ino;
    } else {
      EXPECT_TRUE(links[ino].empty()) << ino;
    }
  }
  for (const auto& item : all("W")) {
    const SegmentId id = format::parse_segment_key(item.key).value();
    EXPECT_EQ(engine::decode_counter(item.value).value(), live_bytes[id]) << id.to_string();
    live_bytes.erase(id);
  }
  for (const auto& [id, sum] : live_bytes) EXPECT_EQ(sum, 0) << id.to_string();
  const VolumeUsage usage = m().usage().value();
  EXPECT_EQ(usage.inodes, inodes.size());
  EXPECT_EQ(usage.used_bytes, static_cast<uint64_t>(bytes));
  EXPECT_EQ(usage.trash_bytes, static_cast<uint64_t>(trash_bytes));
  EXPECT_EQ(usage.trash_inodes, static_cast<uint64_t>(trash_inodes));
  const auto stored = [&](uint16_t slot) {
    return engine::read_counter(*engine_, nullptr, format::usage_key(0, slot)).value();
  };
  EXPECT_EQ(stored(0), bytes);
  EXPECT_EQ(stored(1), static_cast<int64_t>(inodes.size()));
  EXPECT_EQ(stored(2), trash_bytes);
  EXPECT_EQ(stored(3), trash_inodes);
}

}  // namespace shoal::meta
