#include "cmd/open_volume.h"

#include <unistd.h>

#include <unordered_map>

#include "base/log.h"
#include "cmd/bucket.h"
#include "cmd/data_place.h"
#include "cmd/ownership.h"
#include "cmd/remote_volume.h"
#include "engine/for_each.h"
#include "format/keys.h"
#include "meta/access_token.h"
#include "meta/dump.h"
#include "meta/grouping.h"
#include "metasvc/remote_owner.h"

namespace shoal::cmd {
namespace {

constexpr int kStoreThreads = 16;
constexpr int kReadThreads = 16;
constexpr int kWorkThreads = 16;
constexpr int kRpcThreads = 8;
constexpr int kCommitThreads = 2;
constexpr int kDataThreads = 8;

}  // namespace

OpenVolume::~OpenVolume() {
  session_gate_->shut();
  // The client journals and commits what is buffered, while everything below it still runs.
  client_.reset();
  holder_service_.reset();
  reader_.reset();
  holders_.reset();
  if (data_executor_ != nullptr) data_executor_->stop();
  staging_.reset();
  if (owner_ != nullptr) {
    if (Status synced = owner_->metadata().sync(); !synced.ok()) {
      log(LogLevel::kError, "syncing the metadata: {}", synced.error().text());
    }
  }
  if (owner_ != nullptr && session_ != 0) {
    if (Status closed = owner_->metadata().session_close(session_); !closed.ok()) {
      log(LogLevel::kWarn, "closing the session: {}", closed.error().text());
    }
  }
  if (executor_ != nullptr) executor_->stop();
  owner_.reset();
  if (read_executor_ != nullptr) read_executor_->stop();
  store_.reset();
  group_.reset();
  if (commit_executor_ != nullptr) commit_executor_->stop();
  engine_.reset();
  transport_.reset();
  if (rpc_executor_ != nullptr) rpc_executor_->stop();
}

// The meta server has ended the session: this machine was cut off for too long, or evicted.
void OpenVolume::session_lost() {
  if (client_ == nullptr) return;  // a command: its next request tells
  const auto begin = [this]() -> Result<SessionId> {
    meta::Metadata& metadata = owner_->metadata();
    TRY_ASSIGN(const SessionId fresh, metadata.session_open(host_name(), mount_point));
    TRY(metadata.store_open(fresh, staging_->uuid(), host_name(), staging_->folder(),
                            staging_->nonce(), data_address_));
    return fresh;
  };
  const Result<SessionId> fresh = begin();
  if (!fresh.ok()) {
    log(LogLevel::kError, "no new session with the meta server: {}", fresh.error().text());
    return;
  }
  log(LogLevel::kWarn,
      "session {} was lost; session {} goes on without its locks and uncommitted bytes",
      session_.load(), *fresh);
  session_ = *fresh;
  client_->session_lost(*fresh);
}

// The volume of a meta server.
Status OpenVolume::connect() {
  rpc_executor_ = std::make_unique<ThreadPool>("rpc", kRpcThreads);
  const std::string description = fmt::format("{} process {}", host_name(), ::getpid());
  const auto lost = [this, gate = session_gate_] { gate->pass([this] { session_lost(); }); };
  TRY_ASSIGN(transport_, connect_to_owner(runtime_, *rpc_executor_, url_, description, lost));
  TRY_ASSIGN(session_,
             metasvc::make_remote_metadata(*transport_)->session_open(host_name(), mount_point));
  TRY_ASSIGN(owner_, metasvc::make_remote_owner(*transport_));
  engine_ = metasvc::make_remote_engine(*transport_);
  TRY_ASSIGN(volume_, owner_->metadata().volume());
  return {};
}

Result<std::unique_ptr<OpenVolume>> OpenVolume::open_to_read(Runtime& runtime, const MetaUrl& url,
                                                             const std::string& mount_point) {
  auto opened = std::unique_ptr<OpenVolume>(new OpenVolume(runtime, url));
  opened->mount_point = mount_point;
  if (url.is_remote()) {
    TRY(opened->connect());
    return opened;
  }
  TRY_ASSIGN(opened->engine_, open_engine(runtime.fs, runtime.clock, url));
  TRY_ASSIGN(opened->volume_, meta::read_volume(*opened->engine_));
  return opened;
}

Result<std::unique_ptr<OpenVolume>> OpenVolume::open_to_own(Runtime& runtime, const MetaUrl& url,
                                                            const OpenSettings& settings) {
  TRY_ASSIGN(std::unique_ptr<OpenVolume> opened, open_to_read(runtime, url));
  TRY(opened->own(settings));
  return opened;
}

Result<std::unique_ptr<OpenVolume>> OpenVolume::open_whole(Runtime& runtime, const MetaUrl& url,
                                                           const OpenSettings& settings) {
  TRY_ASSIGN(std::unique_ptr<OpenVolume> opened, open_to_read(runtime, url, settings.mount_point));
  if (!settings.accept_lost_staging) TRY(opened->refuse_gone_stores());
  TRY(opened->own(settings));
  TRY(opened->start_client(settings));
  return opened;
}

Status OpenVolume::own(const OpenSettings& settings) {
  if (url_.is_remote() && settings.take_over) {
    return error(EINVAL,
                 "--take-over is for who has the engine; use the META-URL of the engine while no "
                 "meta server owns the volume");
  }
  if (url_.kind == MetaUrl::Kind::kPostgres) TRY(check_no_meta_server(runtime_, *engine_, url_));
  store_executor_ = std::make_unique<ThreadPool>("store", kStoreThreads);
  read_executor_ = std::make_unique<ThreadPool>("read", kReadThreads);
  executor_ = std::make_unique<ThreadPool>("work", kWorkThreads);
  TRY_ASSIGN(store_, open_bucket(runtime_, *store_executor_, volume_.bucket, {}));
  if (!settings.take_over && !settings.though_moved) TRY(meta::check_not_moved(volume_));
  if (settings.take_over) {
    // The bucket itself must answer: a wrong key must not look like a volume taken over.
    TRY(check_bucket_answers(*store_, volume_.uuid.to_string() + "/"));
  } else {
    TRY(check_marker(*store_, volume_));
  }
  if (!url_.is_remote()) {
    meta::OwnerOptions options;
    options.redraw_lineage = settings.take_over;
    options.though_moved = settings.though_moved;
    engine::KvEngine* engine = engine_.get();
    if (engine_->capabilities().durable_on_commit) {
      commit_executor_ = std::make_unique<ThreadPool>("commit", kCommitThreads);
      TRY_ASSIGN(meta::Grouped grouped, meta::group_commits(*engine_, *commit_executor_));
      group_ = std::move(grouped.engine);
      engine = group_.get();
    }
    TRY_ASSIGN(owner_,
               meta::open_owner(*engine, runtime_.clock, runtime_.random, *executor_, options));
  }
  TRY(write_marker(*store_, owner_->marker()));
  TRY_ASSIGN(volume_, owner_->metadata().volume());
  return {};
}

Status OpenVolume::drop_owner() {
  CHECK(client_ == nullptr);
  executor_->stop();
  TRY(owner_->metadata().sync());
  owner_.reset();
  return {};
}

Result<std::unordered_map<uint32_t, std::string>> OpenVolume::gone_stores() {
  std::unordered_map<uint32_t, std::string> gone;
  const auto visit = [&](const engine::Item& item) -> Result<engine::Visit> {
    TRY_ASSIGN(const format::StoreRecord record, format::decode_store(item.value));
    if (record.host != host_name()) return engine::Visit::kContinue;
    TRY_ASSIGN(const bool there, exists(runtime_.fs, record.path));
    if (!there) gone.emplace(record.number, record.path);
    return engine::Visit::kContinue;
  };
  TRY(engine::for_each_with(*engine_, nullptr, format::store_prefix(), visit));
  return gone;
}

// A store of this machine whose folder is gone took acknowledged bytes with it, unless it had
// nothing staged. Also what has no living byte counts: its journal may have held records that were
// not committed yet. Asked before the volume is owned: a refused mount changes nothing.
Status OpenVolume::refuse_gone_stores() {
  TRY_ASSIGN(const auto gone, gone_stores());
  if (gone.empty()) return {};
  std::unordered_map<uint32_t, uint64_t> staged;  // segments by store
  const auto visit = [&](const engine::Item& item) -> Result<engine::Visit> {
    TRY_ASSIGN(const format::Segment segment, format::decode_segment(item.value));
    if (segment.state == format::Segment::State::kStaging) ++staged[segment.store];
    return engine::Visit::kContinue;
  };
  TRY(engine::for_each_with(*engine_, nullptr, format::segment_prefix(), visit));
  for (const auto& [number, folder] : gone) {
    if (!staged.contains(number)) continue;
    return error(ENOENT,
                 "staging folder {} of host {} is gone, with {} segments not yet in the bucket; "
                 "bring it back, or mount with --accept-lost-staging (reading what it held will "
                 "fail with EIO)",
                 folder, host_name(), staged[number]);
  }
  return {};
}

// What of gone stores was given up stays, while files need it.
Status OpenVolume::settle_gone_stores() {
  TRY_ASSIGN(const auto gone, gone_stores());
  for (const auto& [number, folder] : gone) {
    TRY_ASSIGN(std::vector<meta::SegmentInfo> segments, owner_->metadata().store_segments(number));
    std::erase_if(segments, [](const meta::SegmentInfo& segment) {
      return segment.record.state == format::Segment::State::kLost && segment.live_bytes > 0;
    });
    TRY(settle_lost_segments(segments, folder, /*accept_lost=*/true));
  }
  return {};
}

// Segments that the metadata lists as staged in `folder` and no journal holds. Those without a
// living byte lost nothing that can be known.
Status OpenVolume::settle_lost_segments(const std::vector<meta::SegmentInfo>& segments,
                                        const std::string& folder, bool accept_lost) {
  uint64_t lost = 0, bytes = 0;
  for (const meta::SegmentInfo& segment : segments) {
    if (segment.live_bytes == 0) {
      TRY(owner_->metadata().segment_discard({}, segment.id));
      continue;
    }
    ++lost;
    bytes += static_cast<uint64_t>(segment.live_bytes);
    if (accept_lost) TRY(owner_->maintenance().segment_lost(segment.id));
  }
  if (lost == 0) return {};
  if (!accept_lost) {
    return error(ENOENT,
                 "{} segments of staging folder {} are gone before they reached the bucket; bring "
                 "the folder back, or mount with --accept-lost-staging (reading what they held "
                 "will fail with EIO)",
                 lost, folder);
  }
  log(LogLevel::kError,
      "{} segments of staging folder {} are lost, with {} bytes of files; "
      "shoal fsck {} names the files",
      lost, folder, bytes, url_.to_string());
  return owner_->metadata().sync();
}

Status OpenVolume::open_cache(const OpenSettings& settings) {
  const Path cache_dir =
      settings.cache_dir.empty() ? default_cache_dir(volume_.uuid.to_string()) : settings.cache_dir;
  cache_ = cache::make_null_cache();
  if (settings.cache_bytes == 0) return {};
  cache::DiskCacheOptions options;
  options.capacity_bytes = settings.cache_bytes;
  Result<std::unique_ptr<cache::BlockCache>> disk =
      cache::open_disk_cache(runtime_.fs, runtime_.clock, cache_dir, options);
  if (disk.ok()) {
    cache_ = std::move(*disk);
  } else {
    log(LogLevel::kWarn, "{}", disk.error().text());
  }
  return {};
}

// Slices that are staged elsewhere, and here for others.
Status OpenVolume::start_holders(const OpenSettings& settings) {
  data_executor_ = std::make_unique<ThreadPool>("data", kDataThreads);
  const rpc::Seams seams{runtime_.net, *data_executor_, runtime_.clock, runtime_.random};
  std::string volume = volume_.name, token;
  if (url_.is_remote()) {
    volume = url_.volume;
    TRY_ASSIGN(token, find_token(runtime_.remote, volume));
  } else {
    TRY_ASSIGN(token, meta::draw_access_token(*engine_, runtime_.random, /*renew=*/false));
  }
  const std::string description = fmt::format("{} process {}", host_name(), ::getpid());
  holders_ = std::make_unique<data::Holders>(
      seams, owner_->metadata(),
      data::HoldersOptions{volume, token, description, settings.holder_timeout});
  reader_ = data::Reader::make(
      {*store_, *cache_, *read_executor_, runtime_.clock, volume_.uuid, holders_.get()},
      staging_.get(), {});
  TRY_ASSIGN(const DataPlace place, data_place(runtime_, url_, settings.data_listen));
  TRY_ASSIGN(holder_service_,
             data::HolderService::start(seams, *staging_, *reader_, {place.listen, volume, token}));
  data_address_ = place.reached_at(holder_service_->address()).to_string();
  log(LogLevel::kInfo, "serving what is staged here at {}", data_address_);
  return {};
}

Status OpenVolume::start_client(const OpenSettings& settings) {
  const Path state_dir =
      settings.state_dir.empty() ? default_state_dir(volume_.uuid.to_string()) : settings.state_dir;
  meta::Metadata& metadata = owner_->metadata();
  TRY(open_cache(settings));
  TRY(settle_gone_stores());
  TRY(make_dirs(runtime_.fs, state_dir));
  const data::StagingSeams seams{runtime_.fs, runtime_.clock, runtime_.random, *executor_, *store_};
  const data::StagingIdentity identity{volume_.uuid, volume_.lineage, host_name()};
  TRY_ASSIGN(staging_, data::Staging::open(seams, state_dir, identity, settings.staging));
  TRY(start_holders(settings));
  if (!url_.is_remote()) {
    TRY_ASSIGN(session_, metadata.session_open(host_name(), mount_point));
  }
  TRY_ASSIGN(const uint32_t store_number,
             metadata.store_open(session_, staging_->uuid(), host_name(), staging_->folder(),
                                 staging_->nonce(), data_address_));
  if (holders_ != nullptr) holders_->own_store(store_number);
  TRY_ASSIGN(replay_, staging_->replay(metadata, store_number));
  if (replay_.records > 0 || replay_.quarantined_files > 0) {
    log(LogLevel::kInfo,
        "replayed {} records of {} journals: {} applied, {} known, {} of freed files, {} refused",
        replay_.records, replay_.journals, replay_.applied, replay_.already, replay_.no_inode,
        replay_.conflicts);
  }
  TRY(settle_lost_segments(replay_.lost_segments, staging_->folder(),
                           settings.accept_lost_staging));
  client::Client::Seams client_seams{metadata, *staging_,      *reader_,
                                     *cache_,  runtime_.clock, *executor_,
                                     session_, store_number,   holders_.get()};
  client::ClientOptions client_options = settings.client;
  client_options.shared |= url_.is_remote();
  TRY_ASSIGN(client_, client::Client::start(client_seams, client_options));
  return {};
}

}  // namespace shoal::cmd
