// A service over the memory engine, behind a real socket, and mounts of it; the connections can be
// cut, the owner be replaced by a new one.
#pragma once

#include <gtest/gtest.h>

#include <atomic>

#include "base/log.h"
#include "engine/memory/memory_engine.h"
#include "meta/grouping.h"
#include "meta/owner.h"
#include "metasvc/remote_transport.h"
#include "metasvc/service.h"
#include "rpc/rpc_test_util.h"
#include "sim/fake_clock.h"
#include "sim/seeded_random.h"
#include "sys/thread.h"

namespace shoal::metasvc {

using namespace std::chrono_literals;
using rpc::eventually;

struct ServiceTest : ::testing::Test {
  ServiceTest() {
    set_log_sink([](LogLevel, std::string_view) {});
    meta::format_volume(*engine, {.name = "v", .bucket = "file:///b", .trash_days = 0}, real_clock,
                        random)
        .value();
    own();
    start();
  }
  ~ServiceTest() override {
    mounts.clear();
    stop();
    set_log_sink(nullptr);
  }

  void own() {
    meta::Grouped grouped = meta::group_commits(*engine, sending).value();
    groups = std::move(grouped.engine);
    owner = meta::open_owner(*groups, real_clock, random, pool).value();
    service = VolumeService::make(*owner, groups.get(), clock, std::move(grouped.notes), {});
  }
  // As SIGKILL: nobody is told anything any more, and what was not underneath is gone. By turns
  // much is done that nobody was told of, or little.
  void kill_owner() {
    if (++deaths % 2 == 0) cut_all();
    if (deaths % 4 < 2) stop();
    groups->stop("killed by the test");
    stop();
    service.reset();
    owner.reset();
    groups.reset();
  }
  void change_owner() {
    kill_owner();
    own();
    start();
  }

  void start() {
    rpc::ServerOptions options;
    options.authenticate = [](const rpc::Applicant&) -> Result<std::string> {
      return std::string(rpc::kTestToken);
    };
    server = rpc::RpcServer::start(
                 seams, scratch.unix_address(), options,
                 {.call = [this](const std::shared_ptr<rpc::Call>& call) { service->call(call); },
                  .connected =
                      [this](const std::shared_ptr<rpc::Peer>& peer) {
                        MutexLock lock(mutex);
                        peers.push_back(peer);
                      },
                  .disconnected = {}})
                 .value();
  }
  void stop() {
    if (server != nullptr) server->stop(0ms);
    server.reset();
  }
  void cut_all() {
    std::vector<std::shared_ptr<rpc::Peer>> all;
    {
      MutexLock lock(mutex);
      all.swap(peers);
    }
    for (const auto& peer : all) peer->drop(error(EIO, "cut by the test"));
  }

  // A session of its own.
  struct Mount {
    std::unique_ptr<RemoteTransport> transport;
    std::unique_ptr<meta::Metadata> metadata;
    meta::Request request;
    std::atomic<bool> lost = false;
  };
  Mount& mount(RemoteOptions options = {}) {
    auto fresh = std::make_unique<Mount>();
    options.servers = {scratch.unix_address()};
    options.credentials = {"v", std::string(rpc::kTestToken), "test"};
    options.session_lost = [mount = fresh.get()] { mount->lost = true; };
    fresh->transport = RemoteTransport::connect(seams, options).value();
    fresh->metadata = make_remote_metadata(*fresh->transport);
    fresh->request.session = fresh->metadata->session_open("host", "test").value();
    fresh->request.caller.kernel_checked = true;
    mounts.push_back(std::move(fresh));
    return *mounts.back();
  }

  rpc::Scratch scratch;
  SystemClock real_clock;
  sim::FakeClock clock;  // the service's
  sim::SeededRandom random{1};
  SystemRandom real_random;
  RealNet net;
  ThreadPool sending{"send", 2}, pool{"work", 16};
  rpc::Seams seams{net, pool, real_clock, real_random};
  std::unique_ptr<engine::KvEngine> engine = engine::make_memory_engine();
  std::unique_ptr<engine::GroupCommit> groups;
  std::unique_ptr<meta::OwnerHandle> owner;
  std::unique_ptr<VolumeService> service;
  std::unique_ptr<rpc::RpcServer> server;
  int deaths = 0;
  Mutex mutex;
  std::vector<std::shared_ptr<rpc::Peer>> peers GUARDED_BY(mutex);
  std::vector<std::unique_ptr<Mount>> mounts;
};

inline meta::Lock write_lock(uint64_t owner) {
  meta::Lock lock;
  lock.type = meta::LockType::kWrite;
  lock.owner = owner;
  return lock;
}

// Makes directories, renames them and removes every other one. What is done twice fails.
inline void make_move_remove(ServiceTest::Mount& mount, int worker, int count) {
  meta::Metadata& metadata = *mount.metadata;
  for (int i = 0; i < count; ++i) {
    const std::string name = fmt::format("d{}-{}", worker, i);
    const auto made = metadata.mkdir(mount.request, kRootIno, name, 0755);
    EXPECT_TRUE(made.ok()) << made.error().to_string();
    const auto moved = metadata.rename(mount.request, kRootIno, name, kRootIno, name + "x",
                                       meta::RenameMode::kNoReplace);
    EXPECT_TRUE(moved.ok()) << moved.error().to_string();
    if (i % 2 == 0) continue;
    const auto gone = metadata.rmdir(mount.request, kRootIno, name + "x");
    EXPECT_TRUE(gone.ok()) << gone.error().to_string();
  }
}

}  // namespace shoal::metasvc
