#include "world.h"

#include "client/client_impl.h"
#include "data/fsck_bucket.h"
#include "engine/memory/memory_engine.h"
#include "engine/rocksdb/hasty_env.h"
#include "metasvc/loopback_test_util.h"
#include "object/folder/folder_store.h"
#include "object/memory/memory_store.h"

namespace shoal::model {
namespace {

using namespace std::chrono_literals;

constexpr const char* kStateFolder = "/state";
constexpr const char* kBucketFolder = "/bucket";
constexpr const char* kCacheFolder = "/cache";

}  // namespace

std::string to_string(EngineKind engine) {
  return engine == EngineKind::kMemory ? "memory" : "rocksdb";
}

// What a commit was, by what it wrote.
static std::string kind_of(const engine::Batch& batch) {
  std::string kind = "names and data";
  for (const engine::Write& write : batch.writes()) {
    if (write.kind == engine::Write::Kind::kCheck) continue;
    switch (write.key.front()) {
      case 'B': {
        const auto segment = format::decode_segment(write.value);
        if (!segment.ok()) return "a segment forgotten";
        using State = format::Segment::State;
        return segment->state == State::kStaging  ? "a segment opened"
               : segment->state == State::kStored ? "a segment stored"
                                                  : "a segment dying";
      }
      case 'C':
        return "an id lease";
      case 'F':
        return "the volume's record";
      case 'S':
        return "a session or store";
      default:
        break;
    }
  }
  return kind;
}

// A mount ends its process when the engine cannot sync. Here it goes on, without effect, until the
// test looks.
class World::MortalEngine final : public engine::KvEngine {
 public:
  explicit MortalEngine(engine::KvEngine& under, World& world) : under_(under), world_(world) {}

  std::unique_ptr<engine::ReadToken> read_token() override { return under_.read_token(); }
  Result<std::optional<engine::Versioned>> get(const engine::ReadToken* token,
                                               std::string_view key) override {
    TRY(alive());
    return under_.get(token, key);
  }
  Result<std::vector<std::optional<engine::Versioned>>> get_many(
      const engine::ReadToken* token, const std::vector<std::string>& keys) override {
    TRY(alive());
    return under_.get_many(token, keys);
  }
  Result<engine::Page> scan(const engine::ReadToken* token, std::string_view begin,
                            std::string_view end, size_t limit) override {
    TRY(alive());
    return under_.scan(token, begin, end, limit);
  }
  Result<std::optional<engine::Item>> last(const engine::ReadToken* token, std::string_view begin,
                                           std::string_view end) override {
    TRY(alive());
    return under_.last(token, begin, end);
  }
  Result<engine::CommitResult> commit(const engine::Batch& batch) override {
    TRY(alive());
    {
      MutexLock lock(mutex_);
      last_ = kind_of(batch);
    }
    return under_.commit(batch);
  }
  Status sync() override {
    TRY(alive());
    std::string behind;
    {
      MutexLock lock(mutex_);
      behind = last_;
    }
    if (world_.forget_engine_sync && world_.forget_engine_sync(behind)) return {};
    return under_.sync();
  }
  Status ingest(const std::vector<engine::Item>& items) override { return under_.ingest(items); }
  engine::Capabilities capabilities() const override { return under_.capabilities(); }
  std::string describe() const override { return under_.describe(); }
  Result<uint64_t> disk_bytes() override { return under_.disk_bytes(); }

 private:
  Status alive() const {
    if (world_.ended_) return Error(EIO, "this process ended");
    return {};
  }
  engine::KvEngine& under_;
  World& world_;
  Mutex mutex_;
  std::string last_ GUARDED_BY(mutex_);
};

// A reply leaves when its commit is durable.
class World::DurableLoopback final : public metasvc::Loopback {
 public:
  DurableLoopback(meta::Metadata& metadata, engine::GroupCommit& groups)
      : Loopback(metadata), groups_(groups) {}
  Result<std::string> call(uint16_t method, const rpc::Identity& identity,
                           std::string body) override {
    Result<std::string> answer = Loopback::call(method, identity, std::move(body));
    groups_.when_durable([&answer](const Status& durable) {
      if (!durable.ok()) answer = durable.error();
    });
    return answer;
  }

 private:
  engine::GroupCommit& groups_;
};

World::World(uint64_t seed, const WorldOptions& options)
    : options_(options),
      random_(seed),
      wrapped_disk_(options.wrap_disk ? options.wrap_disk(disk) : nullptr),
      faulty_disk_(wrapped_disk_ ? *wrapped_disk_ : disk),
      memory_engine_(engine::make_memory_engine()),
      memory_store_(object::make_memory_store(inline_)) {
  faulty_disk_.decide([this](sim::FsCall call, const Path& path, uint64_t) -> sim::FaultyFs::Fault {
    if (ended_) return {.code = EIO};
    if (on_disk_call) return on_disk_call(call, path);
    return {};
  });
}

World::~World() {
  if (running()) kill();
}

Status World::start() {
  CHECK(!running());
  ended_ = false;
  executor_ = std::make_unique<sim::ManualExecutor>(clock);
  Status opened = open_parts();
  if (!opened.ok()) {
    if (client_ != nullptr) client_->abandon();
    drop_parts();
  }
  return opened;
}

Status World::open_parts() {
  volume_ = {};
  engine::KvEngine* engine = memory_engine_.get();
  if (options_.engine == EngineKind::kRocksdb) {
    engine::RocksdbOptions wanted;
    wanted.create_if_missing = true;
    wanted.block_cache_bytes = 1 << 20;
    wanted.write_buffer_bytes = options_.write_buffer_bytes;
    TRY_ASSIGN(rocksdb_, engine::open_hastily(faulty_disk_, wanted));
    engine = rocksdb_.get();
  }
  faulty_engine_ = engine::make_faulty_engine(*engine, [this](engine::Call call, uint64_t) {
    return on_engine_call ? on_engine_call(call) : engine::Fault::kNone;
  });
  engine_ = std::make_unique<MortalEngine>(*faulty_engine_, *this);

  const meta::VolumeSpec spec{
      .name = "model", .bucket = "file:///bucket", .trash_days = options_.trash_days};
  TRY(meta::format_volume(*engine_, spec, clock, random_));
  object::ObjectStore* store = memory_store_.get();
  if (options_.bucket == BucketKind::kFolder) {
    TRY(make_dirs(faulty_disk_, kBucketFolder));
    TRY_ASSIGN(folder_store_, object::open_folder_store(faulty_disk_, inline_, kBucketFolder));
    store = folder_store_.get();
  }
  store_ = object::make_faulty_store(
      *store, [this](object::Call call, const std::string& key, uint64_t) {
        return on_store_call ? on_store_call(call, key) : object::Fault::kNone;
      });
  engine = engine_.get();
  if (options_.behind_a_server) {
    TRY_ASSIGN(meta::Grouped grouped, meta::group_commits(*engine_, inline_));
    groups_ = std::move(grouped.engine);
    engine = groups_.get();
  }
  TRY_ASSIGN(owner_, meta::open_owner(*engine, clock, random_, *executor_));
  if (options_.behind_a_server) {
    loopback_ = std::make_unique<DurableLoopback>(owner_->metadata(), *groups_);
    remote_ = metasvc::make_remote_metadata(*loopback_);
  }
  TRY_ASSIGN(volume_, owner_->metadata().volume());

  auto cached = cache::open_disk_cache(faulty_disk_, clock, kCacheFolder,
                                       {.capacity_bytes = 64 << 20, .free_bytes_min = 0});
  cache_ = cached.ok() ? std::move(*cached) : cache::make_null_cache();  // as a mount does
  TRY(make_dirs(faulty_disk_, kStateFolder));
  data::StagingOptions staging_options;
  staging_options.segment_bytes = options_.segment_bytes;
  staging_options.seal_large_bytes = options_.segment_bytes / 4;
  staging_options.large_writer_bytes = options_.large_writer_bytes;
  const data::StagingSeams seams{faulty_disk_, clock, random_, *executor_, *store_};
  TRY_ASSIGN(staging_,
             data::Staging::open(seams, kStateFolder, {volume_.uuid, volume_.lineage, "host"},
                                 staging_options));
  TRY_ASSIGN(session_, metadata().session_open("host", "model"));
  TRY_ASSIGN(const uint32_t number,
             metadata().store_open(session_, staging_->uuid(), "host", staging_->folder(),
                                   staging_->nonce(), ""));
  TRY_ASSIGN(replay_, staging_->replay(metadata(), number));
  TRY(settle_lost_segments());
  reader_ =
      data::Reader::make({*store_, *cache_, inline_, clock, volume_.uuid}, staging_.get(), {});
  client::ClientOptions client_options;
  client_options.end_process = [this] { ended_ = true; };
  client_options.shared = options_.behind_a_server;  // as such mounts are
  client_ = std::make_unique<client::ClientImpl>(
      client::Client::Seams{metadata(), *staging_, *reader_, *cache_, clock, *executor_, session_,
                            number},
      client_options, volume_);
  return {};
}

// As a mount does (cmd/open_volume.cc): what had no living byte lost nothing, anything else is
// refused.
Status World::settle_lost_segments() {
  for (const meta::SegmentInfo& segment : replay_.lost_segments) {
    if (segment.live_bytes != 0) {
      return error(ENOENT, "segment {} was lost with {} living bytes", segment.id.to_string(),
                   segment.live_bytes);
    }
    TRY(metadata().segment_discard({}, segment.id));
  }
  return {};
}

client::Client& World::client() { return *client_; }

void World::drop_parts() {
  client_.reset();
  reader_.reset();
  staging_.reset();
  remote_.reset();
  loopback_.reset();
  owner_.reset();
  groups_.reset();
  store_.reset();
  folder_store_.reset();
  engine_.reset();
  faulty_engine_.reset();
  rocksdb_.reset();
  cache_.reset();
  executor_.reset();
}

void World::stop() {
  CHECK(running());
  client_.reset();
  metadata().session_close(session_).ignore("the next open ends it");
  reader_.reset();
  staging_.reset();
  metadata().sync().ignore("shows as process_ended()");
  drop_parts();
}

void World::kill() {
  if (client_ != nullptr) client_->abandon();
  drop_parts();
}

sim::CutReport World::cut_power(uint64_t seed) {
  ended_ = true;  // between the cut and the end of the process it can do nothing
  sim::CutReport report;
  if (!disk.power_is_cut()) report = disk.cut_power(seed);
  kill();
  if (disk.power_is_cut()) report = disk.restore_power(seed);
  return report;
}

Status World::store_everything() {
  TRY(client_->flush_all(false, nullptr));
  advance(65s);
  // Uploads are told to the owner, and that is synced; then journals are recycled.
  return client_->flush_all(false, nullptr);
}

Result<data::GcReport> World::collect_garbage() {
  data::GcOptions options;
  options.remove = true;
  return data::collect_garbage(metadata(), maintenance(), *store_, reader_.get(), volume_.uuid,
                               clock, options);
}

Result<data::RepackReport> World::repack() {
  return data::repack(metadata(), maintenance(), *store_, *reader_, *staging_, volume_.uuid,
                      nullptr);
}

std::vector<std::string> World::fsck() {
  std::vector<std::string> found;
  const Result<meta::FsckReport> names = meta::fsck(*engine_, {});
  if (!names.ok()) return {"fsck: " + names.error().to_string()};
  for (const meta::FsckProblem& problem : names->problems) found.push_back(problem.what);
  data::BucketCheck check;
  check.data = true;
  const auto bucket = data::fsck_bucket(*engine_, *store_, volume_.uuid, check);
  if (!bucket.ok()) return {"fsck of the bucket: " + bucket.error().to_string()};
  for (const meta::FsckProblem& problem : bucket->problems) found.push_back(problem.what);
  return found;
}

}  // namespace shoal::model
