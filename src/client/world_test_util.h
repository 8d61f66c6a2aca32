// World: a client over fakes, with a clock that moves a nanosecond a look and an executor that runs
// when told.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "client/client_impl.h"
#include "client/fake_data_test_util.h"
#include "client/fake_metadata_test_util.h"

namespace shoal::client {

class TickingClock final : public Clock {
 public:
  Time now() const override {
    const uint64_t at = ++ticks_;
    return {1'700'000'000 + static_cast<int64_t>(at / 1'000'000'000),
            static_cast<uint32_t>(at % 1'000'000'000)};
  }
  std::chrono::nanoseconds since_boot() const override {
    return std::chrono::nanoseconds(++ticks_);
  }

 private:
  mutable std::atomic<uint64_t> ticks_ = 0;
};

// Runs what was posted when told; what is delayed never comes, tests do the timers' work
// themselves.
class HandExecutor final : public Executor {
 public:
  void post(Task task) override {
    MutexLock lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  void post_after(std::chrono::nanoseconds, Task) override {}
  size_t run() {
    std::vector<Task> tasks;
    {
      MutexLock lock(mutex_);
      tasks.swap(tasks_);
    }
    for (Task& task : tasks) task();
    return tasks.size();
  }

 private:
  Mutex mutex_;
  std::vector<Task> tasks_ GUARDED_BY(mutex_);
};

struct World {
  explicit World(ClientOptions with = {}) : options(with) { start(); }
  ~World() { client.reset(); }

  void start() {
    Client::Seams seams{metadata, staging, reader, cache, clock, executor, 1, 1};
    client = std::make_unique<ClientImpl>(seams, options, metadata.volume().value());
    who.kernel_checked = true;
    who.uid = 1000;
  }
  void kill() {
    client->abandon();
    client.reset();
    metadata.lose_session();
    staging.replay_into(metadata);
    start();
  }
  void cut_power() {
    client->abandon();
    client.reset();
    metadata.lose_unsynced();
    staging.lose_unsynced();
    staging.replay_into(metadata);
    start();
  }
  void pump() { client->committer().commit_everything().value(); }

  // Notes what the seams are asked, in order.
  void record() {
    auto note = [this](const std::string& event) { events.push_back(event); };
    metadata.trace = staging.trace = note;
  }
  size_t when(const std::string& event) const {
    for (size_t i = 0; i < events.size(); ++i) {
      if (events[i] == event) return i;
    }
    return events.size();
  }

  HandleId create(const std::string& name, bool append = false) {
    return client
        ->create(who, kRootIno, name, 0644, {.read = true, .write = true, .append = append}, false)
        ->handle;
  }
  HandleId open(Ino ino, OpenOptions with = {.read = true, .write = true}) {
    return client->open(who, ino, with)->handle;
  }
  Ino ino(const std::string& name) { return client->lookup(who, kRootIno, name)->ino; }
  Status write(HandleId handle, uint64_t offset, std::string_view bytes) {
    auto written = client->write(who, handle, offset, as_bytes(bytes), false);
    if (!written.ok()) return written.error();
    CHECK(written->bytes == bytes.size());
    return {};
  }
  std::string read(HandleId handle, uint64_t offset = 0, size_t length = 1 << 16) {
    std::string bytes(length, '?');
    const size_t got = client->read(handle, offset, as_mutable_bytes(bytes)).value();
    bytes.resize(got);
    return bytes;
  }
  std::string content(const std::string& name) {
    const HandleId handle = open(ino(name), {.read = true});
    std::string bytes = read(handle);
    client->release(handle).value();
    return bytes;
  }
  Attr stat(const std::string& name) { return client->lookup(who, kRootIno, name).value(); }
  void close(HandleId handle) {
    client->flush(handle, 0).value();
    client->release(handle).value();
  }

  ClientOptions options;
  TickingClock clock;
  HandExecutor executor;
  FakeMetadata metadata{clock};
  FakeStaging staging;
  FakeReader reader{staging};
  FakeCache cache;
  Caller who;
  std::unique_ptr<ClientImpl> client;
  std::vector<std::string> events;
};

}  // namespace shoal::client
