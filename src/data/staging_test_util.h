// What tests of staging stand on: an owner that keeps meta::Metadata's rules in memory and whose
// unsynced tail can be cut, a bucket that refuses to be rewritten (I2), and a volume's worth of
// seams.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "data/fake_metadata_test_util.h"
#include "data/staging.h"
#include "sim/fake_clock.h"
#include "sim/faulty_fs.h"
#include "sim/manual_executor.h"
#include "sim/seeded_random.h"
#include "sim/sim_fs.h"

namespace shoal::data {

// Objects survive power cuts; callbacks run on the executor of the day.
class TestBucket final : public object::ObjectStore {
 public:
  void put(std::string key, std::vector<ByteView> spans, object::CallOptions options,
           object::Done<std::string> done) override;
  void get(std::string, uint64_t, MutableBytes, object::GetOptions,
           object::Done<object::GetResult>) override {}
  void head(std::string, object::CallOptions, object::Done<object::ObjectInfo>) override {}
  void remove_many(std::vector<std::string>, object::CallOptions,
                   object::Done<std::vector<std::string>>) override {}
  void list(std::string, object::ListOptions, object::Done<object::ListPage>) override {}
  void upload_begin(std::string, object::CallOptions, object::Done<std::string>) override {}
  void upload_part(std::string, std::string, int, std::vector<ByteView>, object::CallOptions,
                   object::Done<object::UploadedPart>) override {}
  void upload_complete(std::string, std::string, std::vector<object::UploadedPart>,
                       object::CallOptions, object::Done<std::string>) override {}
  void upload_abort(std::string, std::string, object::CallOptions, object::Done<bool>) override {}
  object::RequestCounts counts() const override { return {}; }
  std::string describe() const override { return "test bucket"; }

  void use(Executor& executor) { executor_ = &executor; }
  void fail(int times) { failures_ = times; }                  // the next puts answer EIO
  void refuse(std::string key) { refused_ = std::move(key); }  // puts of it answer EIO; "": none
  std::map<std::string, std::string> objects() const;
  std::string object(const Uuid& volume, const SegmentId& id) const;  // "" when absent
  int rewritten() const { return rewritten_; }  // puts over a key with other bytes: must stay 0
  uint64_t bytes_flying_max() const { return flying_max_; }

 private:
  mutable Mutex mutex_;
  Executor* executor_ = nullptr;
  std::map<std::string, std::string> objects_ GUARDED_BY(mutex_);
  std::atomic<int> failures_{0};
  std::string refused_;
  std::atomic<int> rewritten_{0};
  uint64_t flying_ GUARDED_BY(mutex_) = 0;
  std::atomic<uint64_t> flying_max_{0};
};

// A machine: disk, clock, bucket and engine state outlive the processes ("lives") that run on it.
struct Machine {
  explicit Machine(uint64_t seed) : random(seed), faulty(disk) {
    volume = random.uuid();
    // Inode numbers of the tests; everything below 1000 exists.
  }
  void boot();  // a new executor; what the old one had queued is gone
  Result<std::unique_ptr<Staging>> open(const StagingOptions& options);
  StagingSeams seams() { return {faulty, clock, random, *executor, bucket}; }
  void kill(std::unique_ptr<Staging>& staging);  // SIGKILL: nothing runs any more
  void cut_power(std::unique_ptr<Staging>& staging, uint64_t seed);  // and the unsynced is lost

  sim::SeededRandom random;
  sim::SimFs disk;
  sim::FaultyFs faulty;
  sim::FakeClock clock;
  std::vector<std::unique_ptr<sim::ManualExecutor>> executors;
  sim::ManualExecutor* executor = nullptr;
  TestBucket bucket;
  FakeEngine engine;  // what the engine holds
  std::vector<std::unique_ptr<FakeOwner>> owners;
  FakeOwner* owner = nullptr;  // of this life
  Uuid volume;
  uint64_t lineage = 77;
};

StagingOptions small_segments();
// Who wrote 64 KiB one byte behind the other is a large writer.
StagingOptions large_writers();

DataOperation data_operation(Ino ino, uint64_t offset, uint64_t length, Ino parent = 1);
// Appends `bytes` at `offset` of `ino`.
Result<Journaled> append_bytes(Staging& staging, DataOperation operation, std::string_view bytes);
std::string pattern(uint64_t seed, size_t bytes);

// The bytes an applied record names: from staging while it holds them, else from the bucket. Fails
// the test when their CRC is wrong.
std::string bytes_of(Staging& staging, const TestBucket& bucket, const Uuid& volume,
                     const format::Target& target);
// The same of the part of the slice that is the record's.
std::string bytes_of(Staging& staging, const TestBucket& bucket, const Uuid& volume,
                     const meta::DataRecord& record);

}  // namespace shoal::data
