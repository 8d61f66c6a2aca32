// Bodies of staging_test_util.h and fake_metadata_test_util.h. No tests of its own.
#include <gtest/gtest.h>

#include "base/crc32c.h"
#include "base/limits.h"
#include "data/staging_test_util.h"

namespace shoal::data {

using format::RecordKind;
using format::Segment;

// --- engine ---

FakeState FakeEngine::current() const {
  MutexLock lock(mutex_);
  return states_.back();
}

void FakeEngine::commit(FakeState state) {
  MutexLock lock(mutex_);
  states_.push_back(std::move(state));
}

void FakeEngine::sync() {
  MutexLock lock(mutex_);
  states_.erase(states_.begin(), states_.end() - 1);
}

Stamp FakeEngine::synced_stamp() const {
  MutexLock lock(mutex_);
  return states_.front().stamp;
}

void FakeEngine::cut(Random& random) {
  MutexLock lock(mutex_);
  states_.resize(1 + random.below(states_.size()));
  states_.erase(states_.begin(), states_.end() - 1);
  states_.back().stamp += 1'000'000;  // a new epoch: stamps do not recur
}

// --- owner ---

void FakeOwner::die() {
  MutexLock lock(mutex_);
  dead_ = true;
}

std::vector<std::string> FakeOwner::violations() const {
  MutexLock lock(mutex_);
  return violations_;
}

void FakeOwner::remove_inode(Ino ino) {
  MutexLock lock(mutex_);
  FakeState state = engine_.current();
  state.inodes.erase(ino);
  ++state.stamp;
  engine_.commit(std::move(state));
}

Status FakeOwner::segment_open(const meta::Request&, const SegmentId& id, uint32_t store) {
  MutexLock lock(mutex_);
  if (dead()) return Error(EIO);
  FakeState state = engine_.current();
  if (state.segments.contains(id)) violations_.push_back("segment opened twice: " + id.to_string());
  state.segments[id].store = store;
  state.segments[id].born = ++state.stamp;
  engine_.commit(std::move(state));
  engine_.sync();
  return {};
}

meta::DataOutcome FakeOwner::apply(FakeState& state, const meta::DataRecord& record) {
  const format::RecordHeader& h = record.header;
  const auto at = state.inodes.find(h.ino);
  if (at == state.inodes.end() || at->second.generation != h.generation)
    return {meta::DataOutcome::Kind::kNoInode, 0};
  FakeInode& inode = at->second;
  if (h.sequence <= inode.applied) return {meta::DataOutcome::Kind::kAlready, 0};
  const bool chained = h.previous_sequence != 0 ? h.previous_sequence == inode.applied
                                                : h.base_version == inode.version;
  if (!chained) return {meta::DataOutcome::Kind::kConflict, 0};
  if (record.target.has_value()) {
    const auto segment = state.segments.find(record.target->segment);
    if (segment == state.segments.end()) {
      violations_.push_back("a record names a segment without B: " +
                            record.target->segment.to_string());
    } else if (segment->second.complete) {
      violations_.push_back("a record of a complete segment was applied: " +
                            record.target->segment.to_string());
    }
  }
  inode.applied = h.sequence;
  inode.records.push_back(record);
  return {meta::DataOutcome::Kind::kApplied, 0};
}

Result<meta::CommitReply> FakeOwner::commit_data(const meta::Request&, uint32_t,
                                                 const std::vector<meta::DataRecord>& records) {
  MutexLock lock(mutex_);
  if (dead()) return Error(EIO);
  if (records.size() > 1000) violations_.push_back("commit of more than 1,000 records");
  FakeState state = engine_.current();
  ++state.stamp;
  meta::CommitReply reply;
  for (const meta::DataRecord& record : records) {
    reply.outcomes.push_back(apply(state, record));
  }
  for (const meta::DataRecord& record : records) {
    const auto at = state.inodes.find(record.header.ino);
    if (at == state.inodes.end()) continue;
    if (at->second.applied == record.header.sequence) at->second.version = state.stamp;
    meta::InodeCommit commit;
    commit.ino = record.header.ino;
    commit.attr.data_version = at->second.version;
    reply.inodes.push_back(commit);
  }
  engine_.commit(std::move(state));
  return reply;
}

Status FakeOwner::segment_stored(const meta::Request&, const SegmentId& id, uint64_t length,
                                 bool complete) {
  MutexLock lock(mutex_);
  if (dead()) return Error(EIO);
  if (failures_ > 0) {
    --failures_;
    return error(EIO, "injected");
  }
  FakeState state = engine_.current();
  const auto at = state.segments.find(id);
  if (at == state.segments.end()) return Error(ENOENT);
  if (at->second.state == Segment::State::kStored && at->second.length != length) {
    violations_.push_back("stored again with another length: " + id.to_string());
  }
  at->second.state = Segment::State::kStored;
  at->second.length = length;
  at->second.complete = at->second.complete || complete;
  ++state.stamp;
  engine_.commit(std::move(state));
  return {};
}

Status FakeOwner::segment_discard(const meta::Request&, const SegmentId& id) {
  MutexLock lock(mutex_);
  if (dead()) return Error(EIO);
  FakeState state = engine_.current();
  const auto at = state.segments.find(id);
  if (at == state.segments.end()) return Error(ENOENT);
  for (const auto& [ino, inode] : state.inodes) {
    for (const meta::DataRecord& record : inode.records) {
      if (record.target.has_value() && record.target->segment == id) return Error(EBUSY);
    }
  }
  if (at->second.state != Segment::State::kStaging) return Error(EBUSY);
  state.segments.erase(at);
  ++state.stamp;
  engine_.commit(std::move(state));
  return {};
}

Result<std::vector<meta::SegmentInfo>> FakeOwner::store_segments(uint32_t store) {
  std::vector<meta::SegmentInfo> segments;
  for (const auto& [id, segment] : engine_.current().segments) {
    if (segment.state == Segment::State::kStaging && segment.store == store)
      segments.push_back({id, segment, 0});
  }
  return segments;
}

Result<meta::SegmentPlace> FakeOwner::segment_place(const SegmentId& id) {
  const FakeState state = engine_.current();
  const auto at = state.segments.find(id);
  if (at == state.segments.end()) return Error(ENOENT);
  return meta::SegmentPlace{at->second.state, at->second.store, "", "", ""};
}

Status FakeOwner::sync() {
  MutexLock lock(mutex_);
  if (dead()) return Error(EIO);
  engine_.sync();
  return {};
}

Stamp FakeOwner::committed_stamp() { return engine_.current().stamp; }
Stamp FakeOwner::synced_stamp() { return engine_.synced_stamp(); }

// --- bucket ---

void TestBucket::put(std::string key, std::vector<ByteView> spans, object::CallOptions,
                     object::Done<std::string> done) {
  uint64_t bytes = 0;
  for (const ByteView span : spans) bytes += span.size();
  {
    MutexLock lock(mutex_);
    flying_ += bytes;
    flying_max_ = std::max(flying_max_.load(), flying_);
  }
  executor_->post(
      [this, key = std::move(key), spans = std::move(spans), done = std::move(done), bytes] {
        const bool refused = key == refused_;
        const bool fails = failures_ > 0 || refused;
        {
          MutexLock lock(mutex_);
          flying_ -= bytes;
          if (fails && !refused) --failures_;
          std::string content;
          for (const ByteView span : spans) content += as_text(span);
          const auto at = objects_.find(key);
          if (!fails && at != objects_.end() && at->second != content) ++rewritten_;
          if (!fails) objects_[key] = std::move(content);
        }
        fails ? done(error(EIO, "injected: the bucket is away")) : done(std::string("etag"));
      });
}

std::map<std::string, std::string> TestBucket::objects() const {
  MutexLock lock(mutex_);
  return objects_;
}

std::string TestBucket::object(const Uuid& volume, const SegmentId& id) const {
  MutexLock lock(mutex_);
  const auto at = objects_.find(format::segment_object_key(volume, id));
  return at == objects_.end() ? std::string() : at->second;
}

// --- machine ---

void Machine::boot() {
  executors.push_back(std::make_unique<sim::ManualExecutor>(clock));
  executor = executors.back().get();
  bucket.use(*executor);
  owners.push_back(std::make_unique<FakeOwner>(engine));
  owner = owners.back().get();
  owner->die_when([this] { return disk.power_is_cut(); });
}

Result<std::unique_ptr<Staging>> Machine::open(const StagingOptions& options) {
  return Staging::open(seams(), "/state", {volume, lineage, "host"}, options);
}

void Machine::kill(std::unique_ptr<Staging>& staging) {
  owner->die();
  staging.reset();
}

void Machine::cut_power(std::unique_ptr<Staging>& staging, uint64_t seed) {
  owner->die();
  if (disk.power_is_cut()) {
    disk.restore_power(seed);
  } else {
    disk.cut_power(seed);
  }
  sim::SeededRandom coin(seed);
  engine.cut(coin);
  staging.reset();
}

StagingOptions small_segments() {
  StagingOptions options;
  options.segment_bytes = 16 << 10;
  options.seal_large_bytes = 4 << 10;
  options.bytes_max = 1 << 20;
  return options;
}

StagingOptions large_writers() {
  StagingOptions options;
  options.segment_bytes = 256 << 10;
  options.seal_large_bytes = 64 << 10;
  options.bytes_max = 16 << 20;
  options.large_writer_bytes = 64 << 10;
  return options;
}

DataOperation data_operation(Ino ino, uint64_t offset, uint64_t length, Ino parent) {
  DataOperation operation;
  operation.ino = ino;
  operation.parent = parent;
  operation.offset = offset;
  operation.length = length;
  operation.mtime = {1'700'000'000, 5};
  return operation;
}

Result<Journaled> append_bytes(Staging& staging, DataOperation operation, std::string_view bytes) {
  operation.length = bytes.size();
  const ByteView half[] = {as_bytes(bytes.substr(0, bytes.size() / 2)),
                           as_bytes(bytes.substr(bytes.size() / 2))};
  return staging.append(operation, half);
}

std::string pattern(uint64_t seed, size_t bytes) {
  sim::SeededRandom random(seed);
  std::string text(bytes, 0);
  random.fill(as_mutable_bytes(text));
  return text;
}

std::string bytes_of(Staging& staging, const TestBucket& bucket, const Uuid& volume,
                     const format::Target& target) {
  std::string bytes(target.length, 0);
  if (const Status read = staging.read(target.segment, target.offset, as_mutable_bytes(bytes));
      !read.ok()) {
    EXPECT_EQ(read.code(), ENOENT) << read.error().to_string();
    const std::string object = bucket.object(volume, target.segment);
    if (target.offset + target.length > object.size()) {
      ADD_FAILURE() << "segment " << target.segment.to_string() << " is neither staged nor stored";
      return {};
    }
    bytes = object.substr(target.offset, target.length);
  }
  if (target.crc.has_value()) {
    EXPECT_EQ(crc32c(as_bytes(bytes)), *target.crc);
  }
  return bytes;
}

std::string bytes_of(Staging& staging, const TestBucket& bucket, const Uuid& volume,
                     const meta::DataRecord& record) {
  format::Target part = *record.target;
  if (part.length == record.header.length) return bytes_of(staging, bucket, volume, part);
  // A large writer's slice: by whole frames, which must be what the frame table says.
  constexpr uint64_t kFrame = kFrameBytesLarge;
  const uint64_t frames = (record.header.length + kFrame - 1) / kFrame;
  EXPECT_EQ(record.first % kFrame, 0u);
  std::vector<uint32_t> crcs;
  if (auto staged = staging.frame_crcs(part.segment, part.offset); staged.ok()) {
    crcs = *staged;
  } else {
    EXPECT_EQ(staged.code(), ENOENT);
    const std::string object = bucket.object(volume, part.segment);
    const ByteView all = as_bytes(object);
    if (object.size() < format::kFooterTailBytes) {
      ADD_FAILURE() << "segment " << part.segment.to_string() << " is neither staged nor stored";
      return {};
    }
    const auto place = format::find_footer(all.last(format::kFooterTailBytes), object.size());
    if (!place.ok()) {
      ADD_FAILURE() << place.error().to_string();
      return {};
    }
    const auto footer = format::decode_footer(all.subspan(place->offset), part.segment);
    if (!footer.ok() || footer->records.size() != 1) {
      ADD_FAILURE() << "segment " << part.segment.to_string() << ": no footer of one slice";
      return {};
    }
    EXPECT_EQ(footer->records.front().position + format::kRecordHeaderBytes, part.offset);
    crcs = footer->frame_crcs;
  }
  part.offset += record.first;
  part.length = frames * kFrame;
  std::string bytes = bytes_of(staging, bucket, volume, part);
  if (bytes.size() != part.length || crcs.size() < record.first / kFrame + frames) {
    ADD_FAILURE() << crcs.size() << " frames are known";
    return {};
  }
  for (uint64_t i = 0; i < frames; ++i) {
    EXPECT_EQ(crc32c(as_bytes(bytes).subspan(i * kFrame, kFrame)), crcs[record.first / kFrame + i])
        << "frame " << i;
  }
  bytes.resize(record.header.length);
  return bytes;
}

}  // namespace shoal::data
