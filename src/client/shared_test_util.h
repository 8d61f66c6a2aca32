// SharedWorld: clients of one owner in one process, each with its session and its own staging on a
// disk of its own, over the real owner. Time moves when told; everything runs on the calling
// thread.
//
// A reader asks whoever holds a segment: how staged slices travel between mounts is not what these
// tests are about.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "client/client_impl.h"
#include "client/fake_data_test_util.h"
#include "engine/memory/memory_engine.h"
#include "meta/owner.h"
#include "object/memory/memory_store.h"
#include "sim/fake_clock.h"
#include "sim/manual_executor.h"
#include "sim/seeded_random.h"
#include "sim/sim_fs.h"

namespace shoal::client {

// What the kernel was told to drop.
struct RecordingSink final : InvalidationSink {
  void invalidate_attributes(Ino ino) override { attributes.insert(ino); }
  void invalidate_pages(Ino ino, uint64_t, uint64_t) override {
    on_pages();
    MutexLock lock(mutex);
    pages.insert(ino);
  }
  void invalidate_entry(Ino, const std::string&) override {}
  void invalidate_everything() override { ++everything; }
  std::function<void()> on_pages = [] {};
  Mutex mutex;  // of those that write; looked at when nobody does
  std::set<Ino> attributes, pages;
  int everything = 0;
};

class SharedWorld {
 public:
  struct Mount;

  // `pool`: where tasks run, else when the test says so.
  explicit SharedWorld(size_t mounts = 2, Executor* pool = nullptr);
  ~SharedWorld();

  meta::Metadata& metadata() { return owner->metadata(); }
  Mount& operator[](size_t i) { return *mounts_[i]; }
  Mount& add();
  // What waits for the executor: events, granted locks.
  void run() { executor.run_ready(); }

  class HolderReader;

  sim::FakeClock clock;
  sim::SeededRandom random{1};
  sim::ManualExecutor executor;
  Executor& tasks;
  std::unique_ptr<engine::KvEngine> engine = engine::make_memory_engine();
  std::unique_ptr<object::ObjectStore> store = object::make_memory_store(tasks);
  std::unique_ptr<meta::OwnerHandle> owner;
  FakeCache cache;
  data::Holders* holders = nullptr;  // of mounts that are added from now on

 private:
  std::vector<std::unique_ptr<Mount>> mounts_;
};

class SharedWorld::HolderReader final : public data::Reader {
 public:
  explicit HolderReader(SharedWorld& world) : world_(world) {}
  std::shared_ptr<data::ReadPattern> make_pattern() override {
    return std::make_shared<data::ReadPattern>();
  }
  data::ReadMode begin(data::ReadPattern&, uint64_t, uint64_t,
                       std::span<const format::Extent>) override {
    return data::ReadMode::kRandom;
  }
  Status read(const format::Target& target, uint64_t first, MutableBytes into,
              data::ReadMode mode) override;
  data::ReadStats stats() const override { return {}; }
  void forget(const SegmentId&) override {}

 private:
  SharedWorld& world_;
};

struct SharedWorld::Mount {
  explicit Mount(SharedWorld& of) : world(of) { who.kernel_checked = true; }

  void start() {
    make_dirs(disk, "/state").value();
    const format::Volume volume = world.metadata().volume().value();
    staging = data::Staging::open({disk, world.clock, world.random, world.tasks, *world.store},
                                  "/state", {volume.uuid, volume.lineage, "host"}, {})
                  .value();
    session = world.metadata().session_open("host", "test").value();
    number =
        world.metadata()
            .store_open(session, staging->uuid(), "host", staging->folder(), staging->nonce(), "")
            .value();
    replay = staging->replay(world.metadata(), number).value();
    reader = std::make_unique<HolderReader>(world);
    client = std::make_unique<ClientImpl>(
        Client::Seams{world.metadata(), *staging, *reader, world.cache, world.clock, world.tasks,
                      session, number, world.holders},
        ClientOptions{}, volume);
    client->set_invalidation_sink(&sink);
  }
  // What a mount does whose session is over.
  void new_session() {
    session = world.metadata().session_open("host", "test").value();
    world.metadata()
        .store_open(session, staging->uuid(), "host", staging->folder(), staging->nonce(), "")
        .value();
    client->session_lost(session);
  }
  // SIGKILL; the owner lives and ends the session.
  void kill() {
    client->abandon();
    client.reset();
    world.metadata().session_close(session).value();
    staging.reset();
  }

  HandleId create(const std::string& name) {
    return client->create(who, kRootIno, name, 0644, {.read = true, .write = true}, false)->handle;
  }
  OpenedFile opened(const std::string& name, OpenOptions with = {.read = true, .write = true}) {
    return client->open(who, ino(name), with).value();
  }
  HandleId open(const std::string& name, OpenOptions with = {.read = true, .write = true}) {
    return opened(name, with).handle;
  }
  Ino ino(const std::string& name) { return stat(name).ino; }
  Attr stat(const std::string& name) { return client->lookup(who, kRootIno, name).value(); }
  void write(HandleId handle, uint64_t offset, std::string_view bytes) {
    CHECK(client->write(who, handle, offset, as_bytes(bytes), false)->bytes == bytes.size());
  }
  std::string read(HandleId handle, uint64_t offset = 0, size_t length = 1 << 16) {
    std::string bytes(length, '?');
    bytes.resize(client->read(handle, offset, as_mutable_bytes(bytes)).value());
    return bytes;
  }
  void close(HandleId handle) {
    client->flush(handle, 0).value();
    client->release(handle).value();
  }
  void put(const std::string& name, std::string_view bytes) {
    const HandleId handle = create(name);
    write(handle, 0, bytes);
    close(handle);
  }
  std::string content(const std::string& name) {
    const HandleId handle = open(name, {.read = true});
    std::string bytes = read(handle);
    close(handle);
    return bytes;
  }
  meta::Lock lock(HandleId handle, meta::LockType type) const {
    meta::Lock lock;
    lock.kind = meta::LockKind::kFlock;
    lock.type = type;
    lock.owner = lock.handle = handle;
    return lock;
  }
  Status lock_set(HandleId handle, meta::LockType type) {
    return client->lock_set(who, client->ino_of(handle), lock(handle, type));
  }

  SharedWorld& world;
  sim::SimFs disk;
  Caller who;
  RecordingSink sink;
  data::ReplayReport replay;
  SessionId session = 0;
  uint32_t number = 0;  // of its store
  std::unique_ptr<data::Staging> staging;
  std::unique_ptr<data::Reader> reader;
  std::unique_ptr<ClientImpl> client;
};

inline SharedWorld::SharedWorld(size_t mounts, Executor* pool)
    : executor(clock), tasks(pool != nullptr ? *pool : executor) {
  meta::format_volume(*engine, {.name = "v", .bucket = "memory", .trash_days = 0}, clock, random)
      .value();
  owner = meta::open_owner(*engine, clock, random, tasks).value();
  for (size_t i = 0; i < mounts; ++i) add();
}

inline SharedWorld::~SharedWorld() {
  for (const auto& mount : mounts_) mount->client.reset();
}

inline SharedWorld::Mount& SharedWorld::add() {
  mounts_.push_back(std::make_unique<Mount>(*this));
  mounts_.back()->start();
  return *mounts_.back();
}

inline Status SharedWorld::HolderReader::read(const format::Target& target, uint64_t first,
                                              MutableBytes into, data::ReadMode) {
  for (const auto& mount : world_.mounts_) {
    if (mount->staging != nullptr && mount->staging->holds(target.segment))
      return mount->staging->read(target.segment, target.offset + first, into);
  }
  return error(ENOENT, "segment {}", target.segment.to_string());
}

}  // namespace shoal::client
