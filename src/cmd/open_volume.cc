#include "cmd/open_volume.h"

#include "base/log.h"
#include "cmd/bucket.h"
#include "format/keys.h"

namespace shoal::cmd {
namespace {

constexpr int kStoreThreads = 16;
constexpr int kReadThreads = 16;
constexpr int kWorkThreads = 16;

}  // namespace

OpenVolume::~OpenVolume() {
  // The client journals and commits what is buffered, while everything below it still runs.
  client_.reset();
  if (owner_ != nullptr && session_ != 0) {
    if (Status closed = owner_->metadata().session_close(session_); !closed.ok()) {
      log(LogLevel::kWarn, "closing the session: {}", closed.error().text());
    }
  }
  reader_.reset();
  staging_.reset();
  if (owner_ != nullptr) {
    if (Status synced = owner_->metadata().sync(); !synced.ok()) {
      log(LogLevel::kError, "syncing the metadata: {}", synced.error().text());
    }
  }
  if (executor_ != nullptr) executor_->stop();
  owner_.reset();
  if (read_executor_ != nullptr) read_executor_->stop();
  store_.reset();
}

Result<std::unique_ptr<OpenVolume>> OpenVolume::open_to_read(Runtime& runtime, const MetaUrl& url) {
  auto opened = std::unique_ptr<OpenVolume>(new OpenVolume(runtime, url));
  TRY_ASSIGN(opened->engine_, open_engine(runtime.fs, url, EngineOpen::kExisting));
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
  TRY_ASSIGN(std::unique_ptr<OpenVolume> opened, open_to_own(runtime, url, settings));
  TRY(opened->start_client(settings));
  return opened;
}

Status OpenVolume::own(const OpenSettings& settings) {
  store_executor_ = std::make_unique<ThreadPool>("store", kStoreThreads);
  read_executor_ = std::make_unique<ThreadPool>("read", kReadThreads);
  executor_ = std::make_unique<ThreadPool>("work", kWorkThreads);
  TRY_ASSIGN(store_, open_bucket(runtime_, *store_executor_, volume_.bucket, {}));
  if (settings.take_over) {
    // The bucket itself must answer: a wrong key must not look like a volume taken over.
    TRY(object::list_and_wait(*store_, volume_.uuid.to_string() + "/", {}));
  } else {
    TRY(check_marker(*store_, volume_));
  }
  TRY(check_staging_of_this_host(settings.accept_lost_staging));
  meta::OwnerOptions options;
  options.redraw_lineage = settings.take_over;
  TRY_ASSIGN(owner_,
             meta::open_owner(*engine_, runtime_.clock, runtime_.random, *executor_, options));
  TRY(write_marker(*store_, owner_->marker()));
  TRY_ASSIGN(volume_, owner_->metadata().volume());
  return {};
}

// A store of this host whose folder is gone took acknowledged bytes with it, unless it had nothing
// staged.
Status OpenVolume::check_staging_of_this_host(bool accept_lost) {
  const std::string prefix = format::store_key(Uuid{}).substr(0, 1);
  std::string begin = prefix;
  for (;;) {
    TRY_ASSIGN(const engine::Page page,
               engine_->scan(nullptr, begin, engine::prefix_end(prefix), kPageEntriesMax));
    for (const engine::Item& item : page.items) {
      TRY_ASSIGN(const format::StoreRecord record, format::decode_store(item.value));
      if (record.host != host_name()) continue;
      TRY_ASSIGN(const bool there, exists(runtime_.fs, record.path));
      if (there) continue;
      uint64_t staged = 0;
      std::string from = format::segment_key(SegmentId{}).substr(0, 1);
      const std::string to = engine::prefix_end(from);
      for (bool more = true; more;) {
        TRY_ASSIGN(const engine::Page segments, engine_->scan(nullptr, from, to, kPageEntriesMax));
        for (const engine::Item& segment : segments.items) {
          TRY_ASSIGN(const format::Segment state, format::decode_segment(segment.value));
          if (state.store == record.number && state.state == format::Segment::State::kStaging)
            ++staged;
        }
        more = segments.more;
        if (more) from = segments.items.back().key + '\0';
      }
      if (staged == 0) continue;
      if (!accept_lost) {
        return error(ENOENT,
                     "staging folder {} of host {} is gone, with {} segments not yet in the "
                     "bucket; bring it back, or "
                     "mount with --accept-lost-staging (reading what it held will fail with EIO)",
                     record.path, record.host, staged);
      }
      log(LogLevel::kError, "staging folder {} of host {} is gone: {} segments lost", record.path,
          record.host, staged);
    }
    if (!page.more) return {};
    begin = page.items.back().key + '\0';
  }
}

// Segments that the metadata lists as staged here and no journal holds. Those without a living byte
// lost nothing.
Status OpenVolume::settle_lost_segments(bool accept_lost) {
  uint64_t lost = 0;
  for (const meta::SegmentInfo& segment : replay_.lost_segments) {
    if (segment.live_bytes == 0) {
      TRY(owner_->metadata().segment_discard({}, segment.id));
    } else {
      ++lost;
    }
  }
  if (lost == 0) return {};
  if (!accept_lost) {
    return error(ENOENT,
                 "{} segments of staging folder {} are gone before they reached the bucket; bring "
                 "the folder back, or "
                 "mount with --accept-lost-staging (reading what they held will fail with EIO)",
                 lost, staging_->folder());
  }
  log(LogLevel::kError, "{} segments of staging folder {} are lost", lost, staging_->folder());
  return {};
}

Status OpenVolume::start_client(const OpenSettings& settings) {
  const std::string uuid = volume_.uuid.to_string();
  const Path state_dir = settings.state_dir.empty() ? default_state_dir(uuid) : settings.state_dir;
  const Path cache_dir = settings.cache_dir.empty() ? default_cache_dir(uuid) : settings.cache_dir;
  meta::Metadata& metadata = owner_->metadata();

  if (settings.cache_bytes == 0) {
    cache_ = cache::make_null_cache();
  } else {
    cache::DiskCacheOptions cache_options;
    cache_options.capacity_bytes = settings.cache_bytes;
    Result<std::unique_ptr<cache::BlockCache>> disk =
        cache::open_disk_cache(runtime_.fs, runtime_.clock, cache_dir, cache_options);
    if (disk.ok()) {
      cache_ = std::move(*disk);
    } else {
      log(LogLevel::kWarn, "going on without a disk cache: {}", disk.error().text());
      cache_ = cache::make_null_cache();
    }
  }

  TRY(make_dirs(runtime_.fs, state_dir));
  const data::StagingSeams seams{runtime_.fs, runtime_.clock, runtime_.random, *executor_, *store_};
  const data::StagingIdentity identity{volume_.uuid, volume_.lineage, host_name()};
  TRY_ASSIGN(staging_, data::Staging::open(seams, state_dir, identity, settings.staging));
  TRY_ASSIGN(session_, metadata.session_open(host_name(), mount_point));
  TRY_ASSIGN(const uint32_t store_number,
             metadata.store_open(session_, staging_->uuid(), host_name(), staging_->folder(),
                                 staging_->nonce()));
  TRY_ASSIGN(replay_, staging_->replay(metadata, store_number));
  if (replay_.records > 0 || replay_.quarantined_files > 0) {
    log(LogLevel::kInfo,
        "replayed {} records of {} journals: {} applied, {} known, {} of freed files, {} refused",
        replay_.records, replay_.journals, replay_.applied, replay_.already, replay_.no_inode,
        replay_.conflicts);
  }
  TRY(settle_lost_segments(settings.accept_lost_staging));
  reader_ = data::Reader::make({*store_, *cache_, *read_executor_, runtime_.clock, volume_.uuid},
                               staging_.get(), {});
  client::Client::Seams client_seams{metadata,       *staging_,  *reader_, *cache_,
                                     runtime_.clock, *executor_, session_, store_number};
  TRY_ASSIGN(client_, client::Client::start(client_seams, settings.client));
  return {};
}

}  // namespace shoal::cmd
