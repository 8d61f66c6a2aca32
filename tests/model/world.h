// World: the whole stack in one process, without FUSE: a client over an owner over an engine, with
// staging, reader and bucket. Disk, clock, bucket and (for the memory engine) engine outlive the
// mounts, so a world can be remounted, killed, and its power cut.
//
// Everything of Shoal runs on the calling thread: tasks when the test says so, the store's and the
// reader's calls at once. So a seed decides all that happens, but for RocksDB's own threads. No
// call of the client may wait for the executor: instead of an fsync of class `object` or
// flush_all(store), use store_everything().
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "client/client.h"
#include "data/gc.h"
#include "data/reader.h"
#include "data/repack.h"
#include "data/staging.h"
#include "engine/faulty/faulty_engine.h"
#include "meta/fsck.h"
#include "meta/grouping.h"
#include "meta/owner.h"
#include "object/faulty/faulty_store.h"
#include "sim/fake_clock.h"
#include "sim/faulty_fs.h"
#include "sim/manual_executor.h"
#include "sim/seeded_random.h"
#include "sim/sim_fs.h"

namespace shoal::client {
class ClientImpl;
}

namespace shoal::model {

// Runs what is posted at once, on the thread that posts it; what is delayed never comes.
class InlineExecutor final : public Executor {
 public:
  void post(Task task) override { task(); }
  void post_after(std::chrono::nanoseconds, Task) override {}
};

enum class EngineKind { kMemory, kRocksdb };
std::string to_string(EngineKind engine);
enum class BucketKind { kMemory, kFolder };

struct WorldOptions {
  EngineKind engine = EngineKind::kMemory;
  BucketKind bucket = BucketKind::kFolder;
  uint32_t trash_days = 0;
  uint64_t segment_bytes = 64 << 10;
  uint64_t large_writer_bytes = 64 << 10;
  uint64_t write_buffer_bytes = 1 << 20;  // of RocksDB
  // As with `shoal meta`: commits travel in groups, requests and replies as bytes.
  bool behind_a_server = false;
  // What stands between the stack and World::disk, if anything.
  std::function<std::unique_ptr<LocalFs>(LocalFs&)> wrap_disk;
};

class World {
 public:
  explicit World(uint64_t seed, const WorldOptions& options);
  ~World();
  World(const World&) = delete;

  // Formats the volume when there is none, opens all parts, replays. Errors leave nothing open.
  Status start();
  // Orderly, as an unmount. The disk and the bucket stay.
  void stop();
  // SIGKILL: nothing is journaled, committed or synced any more. What programs wrote to the disk
  // stays.
  void kill();
  // As kill(), and what no sync covered is dropped, torn or kept as `seed` decides.
  sim::CutReport cut_power(uint64_t seed);
  bool running() const { return client_ != nullptr; }

  client::Client& client();
  meta::Metadata& metadata() { return remote_ ? *remote_ : owner_->metadata(); }
  meta::Maintenance& maintenance() { return owner_->maintenance(); }
  data::Staging& staging() { return *staging_; }
  engine::KvEngine& engine() { return *engine_; }
  object::ObjectStore& store() { return *store_; }
  // Taken by the last start(); 0: it did not get so far.
  uint64_t epoch() const { return volume_.epoch; }
  const data::ReplayReport& replay_report() const { return replay_; }

  // Tasks due within the next `by` run.
  void advance(std::chrono::nanoseconds by) { executor_->advance(by); }
  void run_ready() { executor_->run_ready(); }
  // Journals, commits, seals and uploads everything, and lets journals be recycled; by the timers.
  Status store_everything();
  Result<data::GcReport> collect_garbage();
  Result<data::RepackReport> repack();
  // Problems that either fsck finds; empty when all is well.
  std::vector<std::string> fsck();

  // --- faults: asked before each call, when set. Set them while no call is under way. ---
  std::function<sim::FaultyFs::Fault(sim::FsCall, const Path&)> on_disk_call;
  std::function<engine::Fault(engine::Call)> on_engine_call;
  std::function<object::Fault(object::Call, const std::string&)> on_store_call;
  // True: the engine's sync is left out and said to be done. `behind`: what the last commit before
  // it was (world.cc).
  std::function<bool(const std::string& behind)> forget_engine_sync;
  // The process ended itself: the engine could not sync (client/committer.h). Nothing it does
  // afterwards has an effect; what it answers means nothing.
  bool process_ended() const { return ended_; }

  sim::SimFs disk;
  sim::FakeClock clock;

 private:
  class MortalEngine;
  class DurableLoopback;

  Status open_parts();
  Status settle_lost_segments();
  void drop_parts();

  const WorldOptions options_;
  sim::SeededRandom random_;
  const std::unique_ptr<LocalFs> wrapped_disk_;  // null: nothing stands there
  sim::FaultyFs faulty_disk_;
  InlineExecutor inline_;
  std::atomic<bool> ended_ = false;
  std::unique_ptr<engine::KvEngine> memory_engine_;
  std::unique_ptr<object::ObjectStore> memory_store_;

  // Of one mount, destroyed in drop_parts().
  std::unique_ptr<sim::ManualExecutor> executor_;
  std::unique_ptr<engine::KvEngine> rocksdb_;
  std::unique_ptr<engine::KvEngine> faulty_engine_;
  std::unique_ptr<engine::KvEngine> engine_;
  std::unique_ptr<object::ObjectStore> folder_store_;
  std::unique_ptr<object::ObjectStore> store_;
  std::unique_ptr<engine::GroupCommit> groups_;
  std::unique_ptr<meta::OwnerHandle> owner_;
  std::unique_ptr<DurableLoopback> loopback_;
  std::unique_ptr<meta::Metadata> remote_;
  std::unique_ptr<cache::BlockCache> cache_;
  std::unique_ptr<data::Staging> staging_;
  std::unique_ptr<data::Reader> reader_;
  std::unique_ptr<client::ClientImpl> client_;
  SessionId session_ = 0;
  format::Volume volume_;
  data::ReplayReport replay_;
};

}  // namespace shoal::model
