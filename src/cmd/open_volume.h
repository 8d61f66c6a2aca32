// A volume opened by this process, as far as a command or a mount needs it: owned by this process,
// or by a meta server to which it has a session. Members are destroyed in the right order.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "cache/block_cache.h"
#include "client/client.h"
#include "cmd/meta_url.h"
#include "cmd/runtime.h"
#include "data/holder_service.h"
#include "data/holders.h"
#include "data/reader.h"
#include "data/staging.h"
#include "meta/owner.h"
#include "metasvc/remote_transport.h"
#include "object/object_store.h"
#include "sys/gate.h"

namespace shoal::cmd {

struct OpenSettings {
  std::string mount_point;           // of a mount, for `status` and the owner's list of sessions
  bool take_over = false;            // mount although the bucket knows a newer life of the metadata
  bool though_moved = false;         // a dump --move that is repeated
  bool accept_lost_staging = false;  // mount although staging of this host is gone
  Path state_dir;                    // empty: default
  Path cache_dir;                    // empty: default
  uint64_t cache_bytes = uint64_t{100} << 30;  // 0: no disk cache
  data::StagingOptions staging;
  client::ClientOptions client;
  // Of a mount of a meta server's volume: where it serves what it has staged (empty: where it is
  // seen by that server), and how long it waits for what others have.
  std::optional<NetAddress> data_listen;
  std::chrono::milliseconds holder_timeout{10'000};
};

class OpenVolume {
 public:
  // Metadata for reading only: nothing is changed, no epoch taken.
  static Result<std::unique_ptr<OpenVolume>> open_to_read(Runtime& runtime, const MetaUrl& url,
                                                          const std::string& mount_point = {});
  // As its owner: checks the bucket's marker, takes an epoch, writes the marker.
  static Result<std::unique_ptr<OpenVolume>> open_to_own(Runtime& runtime, const MetaUrl& url,
                                                         const OpenSettings& settings);
  // With staging replayed and a client: what a mount is, and what `flush` and `umount` of a dead
  // one need.
  static Result<std::unique_ptr<OpenVolume>> open_whole(Runtime& runtime, const MetaUrl& url,
                                                        const OpenSettings& settings);
  ~OpenVolume();
  // Nothing of this process touches the metadata from now on, but it stays open, under the epoch
  // that was taken. Not of a whole one.
  Status drop_owner();

  Runtime& runtime() { return runtime_; }
  const MetaUrl& url() const { return url_; }
  const format::Volume& volume() const { return volume_; }
  engine::KvEngine& engine() { return group_ != nullptr ? *group_ : *engine_; }
  // This process, or the meta server by proxy; null: opened to read.
  meta::OwnerHandle* owner() { return owner_.get(); }
  bool owned_here() const { return owner_ != nullptr && transport_ == nullptr; }
  object::ObjectStore* store() { return store_.get(); }  // null: opened to read
  data::Staging* staging() { return staging_.get(); }    // null unless whole
  data::Reader* reader() { return reader_.get(); }
  client::Client* client() { return client_.get(); }
  const data::ReplayReport& replay_report() const { return replay_; }
  SessionId session() const { return session_; }
  Executor& executor() { return *executor_; }

  // Stores of this machine whose staging folder is gone: number → folder.
  Result<std::unordered_map<uint32_t, std::string>> gone_stores();

  std::string mount_point;  // "" unless a mount

 private:
  OpenVolume(Runtime& runtime, MetaUrl url) : runtime_(runtime), url_(std::move(url)) {}
  Status connect();
  void session_lost();
  Status own(const OpenSettings& settings);
  Status start_client(const OpenSettings& settings);
  Status open_cache(const OpenSettings& settings);
  Status start_holders(const OpenSettings& settings);
  Status refuse_gone_stores();
  Status settle_gone_stores();
  Status settle_lost_segments(const std::vector<meta::SegmentInfo>& segments,
                              const std::string& folder, bool accept_lost);

  Runtime& runtime_;
  MetaUrl url_;
  format::Volume volume_;
  std::unique_ptr<ThreadPool>
      store_executor_;  // the folder store's calls; nothing else may wait in it
  std::unique_ptr<ThreadPool> read_executor_;    // fetches and read-ahead
  std::unique_ptr<ThreadPool> executor_;         // timers, uploads, reclaim
  std::unique_ptr<ThreadPool> commit_executor_;  // sends groups of commits; nothing else waits here
  std::unique_ptr<ThreadPool> rpc_executor_;
  std::unique_ptr<metasvc::RemoteTransport>
      transport_;  // null unless a meta server owns the volume
  std::unique_ptr<engine::KvEngine> engine_;
  std::unique_ptr<engine::KvEngine> group_;  // over engine_, when a commit there is a round trip
  std::unique_ptr<object::ObjectStore> store_;
  std::unique_ptr<meta::OwnerHandle> owner_;
  std::unique_ptr<cache::BlockCache> cache_;
  std::unique_ptr<data::Staging> staging_;
  std::unique_ptr<ThreadPool> data_executor_;  // calls from other mounts, and to them
  std::unique_ptr<data::Holders> holders_;     // null unless a meta server owns the volume
  std::unique_ptr<data::Reader> reader_;
  std::unique_ptr<data::HolderService> holder_service_;
  std::string data_address_;  // as others reach it
  std::unique_ptr<client::Client> client_;
  std::atomic<SessionId> session_ = 0;
  std::shared_ptr<Gate> session_gate_ = std::make_shared<Gate>();  // of session_lost()
  data::ReplayReport replay_;
};

}  // namespace shoal::cmd
