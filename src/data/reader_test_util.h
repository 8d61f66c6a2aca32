// What tests of reading stand on: a bucket in memory that tells what was fetched and can be made to
// fail, a disk cache on a simulated disk, executors that a test can stop, and segments whose bytes
// the test knows.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/crc32c.h"
#include "base/limits.h"
#include "base/log.h"
#include "cache/block_cache.h"
#include "data/block_source.h"
#include "data/staging_test_util.h"
#include "format/extent.h"
#include "format/segment.h"
#include "object/faulty/faulty_store.h"
#include "object/memory/memory_store.h"
#include "sim/fake_clock.h"
#include "sim/faulty_fs.h"
#include "sim/sim_fs.h"
#include "sys/mutex.h"

namespace shoal::data {

using object::Fault;

inline constexpr uint64_t kKiB = 1 << 10;
inline constexpr uint64_t kMiB = 1 << 20;

// Runs tasks at once, on the thread that posts them, or keeps them while it is held. Timers never
// fire.
class GatedExecutor final : public Executor {
 public:
  void post(Task task) override {
    {
      MutexLock lock(mutex_);
      if (held_) {
        tasks_.push_back(std::move(task));
        changed_.notify_all();
        return;
      }
    }
    task();
  }
  void post_after(std::chrono::nanoseconds, Task) override {}

  void hold() {
    MutexLock lock(mutex_);
    held_ = true;
  }
  // Runs what was kept, also what comes meanwhile, and keeps nothing more. Returns how many ran.
  size_t release() {
    {
      MutexLock lock(mutex_);
      held_ = false;
    }
    size_t ran = 0;
    while (run_one()) ++ran;
    return ran;
  }
  bool run_one() {
    Task task;
    {
      MutexLock lock(mutex_);
      if (tasks_.empty()) return false;
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    task();
    return true;
  }
  size_t waiting() const {
    MutexLock lock(mutex_);
    return tasks_.size();
  }
  void wait_for_tasks(size_t n) {
    MutexLock lock(mutex_);
    while (tasks_.size() < n) changed_.wait(mutex_);
  }

 private:
  mutable Mutex mutex_;
  CondVar changed_;
  bool held_ GUARDED_BY(mutex_) = false;
  std::deque<Task> tasks_ GUARDED_BY(mutex_);
};

struct Get {
  SegmentId segment;
  uint64_t offset = 0;
  size_t bytes = 0;
  object::Priority priority = object::Priority::kForeground;
  uint64_t block() const { return offset / kBlockBytes; }
  bool whole_block() const { return offset % kBlockBytes == 0 && bytes == kBlockBytes; }
};

// Notes every GET and asks `on_get` what becomes of it, on the thread that asked for it.
// Thread-safe if `on_get` is.
class WatchedStore final : public object::ObjectStore {
 public:
  explicit WatchedStore(object::ObjectStore& under)
      : faulty_(object::make_faulty_store(under, [this](object::Call call, const auto&, uint64_t) {
          if (call == object::Call::kHead && on_head) return on_head();
          return call == object::Call::kGet ? std::exchange(fault_, Fault::kNone) : Fault::kNone;
        })) {}

  std::function<Fault(const Get&)> on_get;
  std::function<Fault()> on_head;

  std::vector<Get> gets() const {
    MutexLock lock(mutex_);
    return gets_;
  }
  std::vector<Get> take_gets() {
    MutexLock lock(mutex_);
    return std::exchange(gets_, {});
  }

  void get(std::string key, uint64_t offset, MutableBytes into, object::GetOptions options,
           object::Done<object::GetResult> done) override {
    Get get{{}, offset, into.size(), options.call.priority};
    if (Result<SegmentId> id = format::parse_segment_object_key(key); id.ok()) get.segment = *id;
    {
      MutexLock lock(mutex_);
      gets_.push_back(get);
    }
    const Fault fault = on_get ? on_get(get) : Fault::kNone;
    fault_ = fault;  // last: on_get may read too
    faulty_->get(std::move(key), offset, into, std::move(options), std::move(done));
  }
  void put(std::string key, std::vector<ByteView> spans, object::CallOptions options,
           object::Done<std::string> done) override {
    faulty_->put(std::move(key), std::move(spans), options, std::move(done));
  }
  void head(std::string key, object::CallOptions options,
            object::Done<object::ObjectInfo> done) override {
    faulty_->head(std::move(key), options, std::move(done));
  }
  void remove_many(std::vector<std::string> keys, object::CallOptions options,
                   object::Done<std::vector<std::string>> done) override {
    faulty_->remove_many(std::move(keys), options, std::move(done));
  }
  void list(std::string, object::ListOptions, object::Done<object::ListPage>) override {}
  void upload_begin(std::string, object::CallOptions, object::Done<std::string>) override {}
  void upload_part(std::string, std::string, int, std::vector<ByteView>, object::CallOptions,
                   object::Done<object::UploadedPart>) override {}
  void upload_complete(std::string, std::string, std::vector<object::UploadedPart>,
                       object::CallOptions, object::Done<std::string>) override {}
  void upload_abort(std::string, std::string, object::CallOptions, object::Done<bool>) override {}
  object::RequestCounts counts() const override { return faulty_->counts(); }
  std::string describe() const override { return faulty_->describe(); }

 private:
  inline static thread_local Fault fault_ = Fault::kNone;  // of the call that begins now
  mutable Mutex mutex_;
  std::vector<Get> gets_ GUARDED_BY(mutex_);
  std::unique_ptr<object::ObjectStore> faulty_;
};

// A segment as staging and repack write it: data records one behind the other, then the footer.
class SegmentBuilder {
 public:
  explicit SegmentBuilder(const SegmentId& id) : id_(id) {
    bytes_ = format::encode_segment_header({{}, 1, {}, id, false, 0});
  }
  format::Target add(std::string_view slice) {
    format::RecordHeader header;
    header.payload_length = static_cast<uint32_t>(slice.size());
    header.payload_crc = crc32c(as_bytes(slice));
    header.frame_bytes = format::frame_bytes_for(slice.size());
    header.ino = 7;
    header.sequence = footer_.records.size() + 1;
    header.length = slice.size();
    const std::vector<uint32_t> crcs = format::frame_crcs(as_bytes(slice));
    footer_.records.push_back(
        {bytes_.size(), header, static_cast<uint32_t>(footer_.frame_crcs.size())});
    footer_.frame_crcs.insert(footer_.frame_crcs.end(), crcs.begin(), crcs.end());
    footer_.data_bytes += slice.size();
    bytes_ += format::encode_record_header(header, id_);
    format::Target target;
    target.segment = id_;
    target.offset = bytes_.size();
    target.length = slice.size();
    if (crcs.size() == 1) target.crc = crcs.front();
    bytes_ += slice;
    return target;
  }
  std::string finish() {
    footer_offset_ = bytes_.size();
    bytes_ += format::encode_footer(footer_, bytes_.size(), id_);
    return std::move(bytes_);
  }
  uint64_t footer_offset() const { return footer_offset_; }

 private:
  const SegmentId id_;
  std::string bytes_;
  format::Footer footer_;
  uint64_t footer_offset_ = 0;
};

inline SegmentId segment_id(uint64_t number) { return {0x5eed, number}; }

// What fails in these tests fails on purpose.
struct QuietLog {
  QuietLog() {
    set_log_sink([](LogLevel, std::string_view) {});
  }
  ~QuietLog() { set_log_sink(nullptr); }
};

struct ReaderWorld {
  explicit ReaderWorld(uint64_t cache_bytes = 64 * kMiB) {
    if (cache_bytes == 0) {
      cache = cache::make_null_cache();
    } else {
      cache = cache::open_disk_cache(fs, clock, "c", {cache_bytes, 0}).value();
    }
  }
  ReaderWorld(const ReaderWorld&) = delete;

  void put(const SegmentId& id, std::string_view bytes) {
    object::put_and_wait(*bucket, format::segment_object_key(volume, id), as_bytes(bytes)).value();
  }
  void remove(const SegmentId& id) {
    object::remove_and_wait(*bucket, format::segment_object_key(volume, id)).value();
  }
  bool cached(const SegmentId& id, uint64_t block, uint32_t offset = 0, uint32_t length = 1) {
    return cache->contains(cache::segment_block_key(id, block), offset, length);
  }
  // Flips a bit of every copy of these bytes on the cache's disk; returns how many there were.
  // `needle` begins at a multiple of 4 KiB in its block.
  int corrupt_on_disk(std::string_view needle, size_t at = 0) {
    int found = 0;
    auto slab = disk.open("c/slab", OpenMode::kReadWrite).value();
    std::string bytes(slab->size().value(), 0);
    slab->read_at(0, as_mutable_bytes(bytes)).value();
    for (size_t unit = 0; unit + needle.size() <= bytes.size(); unit += 4096) {
      if (std::string_view(bytes).substr(unit, needle.size()) != needle) continue;
      const std::byte flipped = static_cast<std::byte>(bytes[unit + at]) ^ std::byte{0x10};
      slab->write_at(unit + at, {&flipped, 1}).value();
      ++found;
    }
    return found;
  }

  const Uuid volume{{1, 2, 3}};
  sim::FakeClock clock;
  sim::SimFs disk;
  sim::FaultyFs fs{disk};
  GatedExecutor store_executor, executor;
  std::unique_ptr<object::ObjectStore> bucket = object::make_memory_store(store_executor);
  WatchedStore store{*bucket};
  std::unique_ptr<cache::BlockCache> cache;
};

// Faults of the first `times` GETs, kNone afterwards. Thread-safe.
inline std::function<Fault(const Get&)> first_gets(int times, Fault fault) {
  auto left = std::make_shared<std::atomic<int>>(times);  // shared with the copies of the closure
  return [=](const Get&) { return left->fetch_sub(1) > 0 ? fault : Fault::kNone; };
}

}  // namespace shoal::data
