// FakeStaging and FakeReader: a journal in memory that knows what is synced, and a reader of its
// slices.
#pragma once

#include <cstring>
#include <functional>
#include <map>
#include <set>
#include <vector>

#include "client/client.h"
#include "data/read_pattern.h"
#include "sys/mutex.h"
#include "sys/on_behalf.h"

namespace shoal::client {

class FakeStaging final : public data::Staging {
 public:
  // --- for tests ---
  int fail_appends = 0;
  int fail_syncs = 0;
  int append_code = EIO;
  std::function<void(const std::string&)> trace = [](const std::string&) {};
  std::function<void()> before_append = [] {};
  uint64_t appends = 0, syncs = 0, stores = 0;

  void lose_unsynced() {
    MutexLock lock(mutex_);
    std::erase_if(records_,
                  [&](const auto& entry) REQUIRES(mutex_) { return entry.first > synced_; });
    lost_.clear();
  }
  // What a start does: every record that may not be in the engine is offered again, by sequence.
  void replay_into(meta::Metadata& metadata) {
    std::vector<meta::DataRecord> left;
    {
      MutexLock lock(mutex_);
      for (const auto& [position, record] : records_) {
        if (!record.dropped) left.push_back(record.journaled.record);
      }
      synced_ = position_;
    }
    for (const meta::DataRecord& record : left) metadata.commit_data({}, 1, {record}).value();
  }
  uint64_t uncommitted() {
    MutexLock lock(mutex_);
    uint64_t count = 0;
    for (const auto& [position, record] : records_) count += !record.dropped && record.stamp == 0;
    return count;
  }

  // --- data::Staging ---
  Uuid uuid() const override { return {}; }
  uint64_t nonce() const override { return 1; }
  Path folder() const override { return {}; }
  uint32_t number() const override { return 1; }
  SegmentId draw_segment_id() override { return {9, ++drawn_}; }
  Result<data::ReplayReport> replay(meta::Metadata&, uint32_t) override {
    return data::ReplayReport{};
  }

  Result<data::Journaled> append(const data::DataOperation& operation,
                                 std::span<const ByteView> bytes) override {
    before_append();
    MutexLock lock(mutex_);
    if (fail_appends > 0) {
      --fail_appends;
      return error(append_code, "injected");
    }
    ++appends;
    Record record;
    format::RecordHeader& h = record.journaled.record.header;
    h.kind = operation.kind;
    h.flags = operation.flags;
    h.ino = operation.ino;
    h.generation = operation.generation;
    h.parent = operation.parent;
    h.previous_sequence = operation.previous_sequence;
    h.base_version = operation.base_version;
    h.offset = operation.offset;
    h.length = operation.length;
    h.mtime = operation.mtime;
    h.atime = operation.atime;
    h.sequence = ++sequence_;
    if (operation.kind == format::RecordKind::kData) {
      ByteBuffer slice;
      for (const ByteView part : bytes) slice.insert(slice.end(), part.begin(), part.end());
      CHECK(slice.size() == operation.length && !slice.empty() && slice.size() <= kRecordBytesMax);
      format::Target target;
      target.segment = {1, h.sequence};
      target.length = slice.size();
      slices_[target.segment] = std::move(slice);
      record.journaled.record.target = target;
    } else {
      CHECK(bytes.empty());
    }
    record.journaled.journal = 1;
    record.journaled.position = ++position_;
    records_[position_] = record;
    return record.journaled;
  }
  Status sync() override {
    MutexLock lock(mutex_);
    ++syncs;
    if (fail_syncs > 0) {
      --fail_syncs;
      for (const auto& [position, record] : records_) {
        if (position > synced_ && !record.dropped) lost_.insert(position);
      }
      return error(EIO, "injected");
    }
    if (!lost_.empty()) return error(EIO, "lost records");
    trace("sync_staging");
    synced_ = position_;
    return {};
  }
  uint64_t synced_position() const override {
    MutexLock lock(mutex_);
    return synced_;
  }
  std::vector<uint64_t> lost_positions() const override {
    MutexLock lock(mutex_);
    return {lost_.begin(), lost_.end()};
  }
  void forget_lost(uint64_t position) override {
    MutexLock lock(mutex_);
    lost_.erase(position);
  }
  void committed(const data::Journaled& record, Stamp stamp) override {
    MutexLock lock(mutex_);
    CHECK(stamp == 0 || record.position <= synced_);
    const auto it = records_.find(record.position);
    CHECK(it != records_.end() && it->second.stamp == 0 && !it->second.dropped);
    it->second.stamp = stamp;
    it->second.dropped = stamp == 0;
  }
  Status store_inode(Ino) override {
    if (given_up()) return Error(EINTR);
    ++stores;
    trace("store_inode");
    return {};
  }
  Status store_all(const std::function<void(const data::StagingStatus&)>&) override {
    trace("store_all");
    return {};
  }
  bool holds(const SegmentId&) const override { return true; }
  bool upload_soon(const SegmentId&) override { return false; }
  void will_need(const SegmentId&, uint64_t, uint64_t) override {}
  Status read(const SegmentId& id, uint64_t offset, MutableBytes into) override {
    MutexLock lock(mutex_);
    const auto it = slices_.find(id);
    if (it == slices_.end()) return error(ENOENT, "segment {}", id.to_string());
    CHECK(offset + into.size() <= it->second.size());
    std::memcpy(into.data(), it->second.data() + offset, into.size());
    return {};
  }
  Result<std::vector<uint32_t>> frame_crcs(const SegmentId&, uint64_t) override {
    return std::vector<uint32_t>{};
  }
  data::StagingStatus status() const override { return {}; }
  // Recycles: what is committed and synced is not replayed any more.
  void engine_synced(Stamp stamp) override {
    MutexLock lock(mutex_);
    std::erase_if(records_, [&](const auto& entry) {
      return entry.second.dropped || (entry.second.stamp != 0 && entry.second.stamp <= stamp);
    });
  }

 private:
  uint64_t drawn_ = 0;
  struct Record {
    data::Journaled journaled;
    Stamp stamp = 0;
    bool dropped = false;
  };
  mutable Mutex mutex_;
  uint64_t sequence_ GUARDED_BY(mutex_) = 0;
  uint64_t position_ GUARDED_BY(mutex_) = 0;
  uint64_t synced_ GUARDED_BY(mutex_) = 0;
  std::map<uint64_t, Record> records_ GUARDED_BY(mutex_);  // by position; gone when recycled
  std::set<uint64_t> lost_ GUARDED_BY(mutex_);
  std::map<SegmentId, ByteBuffer> slices_ GUARDED_BY(mutex_);
};

class FakeReader final : public data::Reader {
 public:
  explicit FakeReader(FakeStaging& staging) : staging_(staging) {}
  int fail_enoent = 0;
  std::function<void()> before_read = [] {};
  std::shared_ptr<data::ReadPattern> make_pattern() override {
    return std::make_shared<data::ReadPattern>();
  }
  data::ReadMode begin(data::ReadPattern&, uint64_t, uint64_t,
                       std::span<const format::Extent>) override {
    return data::ReadMode::kRandom;
  }
  Status read(const format::Target& target, uint64_t first, MutableBytes into,
              data::ReadMode) override {
    before_read();
    if (fail_enoent > 0) {
      --fail_enoent;
      return error(ENOENT, "segment {}", target.segment.to_string());
    }
    return staging_.read(target.segment, first, into);
  }
  data::ReadStats stats() const override { return {}; }
  void forget(const SegmentId&) override {}

 private:
  FakeStaging& staging_;
};

class FakeCache final : public cache::BlockCache {
 public:
  bool read(const cache::ChunkKey&, uint32_t, MutableBytes, cache::Verify) override {
    return false;
  }
  void write(const cache::ChunkKey&, uint32_t, ByteView, uint32_t) override {}
  bool contains(const cache::ChunkKey&, uint32_t, uint32_t) const override { return false; }
  uint32_t whole(const cache::ChunkKey&) const override { return 0; }
  void forget(const cache::ChunkKey&) override {}
  cache::CacheStats stats() const override { return {}; }
};

}  // namespace shoal::client
